"""Real stacks for tests: Kafka (one broker, or three that can be killed), Prometheus, workers; each
test may have its own, on free ports, since one starts in about a second.

    def test_something(stack):                       # one broker; stack3: three
        stack.create_topic("metrics.valid", 12)
        validate = stack.worker("validate", policy=str(path))
        validate.process.kill(); validate.start(); validate.wait_ready()
        rows = stack.read_committed("metrics.valid")
"""
import os
import time

import confluent_kafka
import pytest
from confluent_kafka import admin

from deploy.local import topics
from deploy.local.kafka import Kafka
from deploy.local.places import ROOT, free_ports, private_places
from deploy.local.prometheus import Prometheus
from deploy.local.s3proxy import S3Proxy
from deploy.local.workers import WORKERS, Worker
from tests.flow import group_offsets

READ_TIMEOUT_S = 60
MAX_MESSAGE_BYTES = 8454144
CONTROL_TOPIC = "sluice.control"
# A broker of a test lives for seconds: the second compiler takes as much time of the processors as all the rest of it.
SHORT_LIVED_JVM = ["-XX:TieredStopAtLevel=1"]


class StackUnderTest:
    def __init__(self, directory, brokers=1, properties="", lasting=False):
        """lasting: brokers at full speed, for benches."""
        self.places = private_places(directory, os.environ.get("SLUICE_BIN"))
        self.places.make()
        self.kafka = Kafka(self.places, brokers, properties=properties)
        self.kafka.jvm_options = [] if lasting else SHORT_LIVED_JVM
        self.s3proxy = S3Proxy(self.places, self.places.port("s3proxy"))  # not started
        self._prometheus = None
        self.workers = []
        self.at_stop = []  # called first
        self._admin = None
        self._has_control_topic = False

    @property
    def bootstrap(self):
        return self.kafka.bootstrap

    @property
    def prometheus(self):
        """Started when it is first asked for."""
        if self._prometheus is None:
            self._prometheus = Prometheus(self.places)
            self._prometheus.start()
            self._prometheus.wait_ready()
        return self._prometheus

    @property
    def admin(self):
        if self._admin is None:
            self._admin = admin.AdminClient({"bootstrap.servers": self.bootstrap})
        return self._admin

    # topics

    def create_topic(self, name, partitions=12, **config):
        """Config keys with _ for the dots; what is not said is as in the local profile."""
        self._create([(name, partitions, {k.replace("_", "."): str(v) for k, v in config.items()})])

    def create_all_topics(self):
        """Those of deploy/topics.json, in the local profile, with the local tenants."""
        topics.apply(self.places, self.kafka)

    def _create(self, new):
        replication, in_sync = (1, "1") if self.kafka.n_brokers == 1 else (3, "2")
        base = {"max.message.bytes": str(MAX_MESSAGE_BYTES), "message.timestamp.type": "LogAppendTime",
                "min.insync.replicas": in_sync}
        futures = self.admin.create_topics(
            [admin.NewTopic(name, partitions, replication, config={**base, **config})
             for name, partitions, config in new])
        for future in futures.values():
            future.result()

    # workers

    def worker(self, kind, name=None, build=None, ready=True, arguments=(), env=None, **keys):
        """Starts sluice-<kind> and waits for /ready (ready=False: does not). Config keys with __
        for the dots (kafka__session__timeout__ms=6000). build: "faults" or "asan" instead of
        the release build (or of SLUICE_BIN)."""
        worker = self.new_worker(kind, name, build, **keys)
        worker.start(arguments, env)
        if ready:
            worker.wait_ready()
        return worker

    def new_worker(self, kind, name=None, build=None, **keys):
        """The same, not started; worker.start() does."""
        places = self.places
        if "control_topic" not in keys:
            self._make_control_topic()
        if build is not None:
            places = type(places)(places.dir, places._ports, ROOT / "build" / build)
        worker = Worker(places, kind, name or f"{kind}-{len(self.workers) + 1}", free_ports(1))
        base = WORKERS[kind](self) if kind in WORKERS else {}
        worker.configure(self.bootstrap, {**base, **{k.replace("__", "."): v for k, v in keys.items()}})
        self.workers.append(worker)
        return worker

    def _make_control_topic(self):
        """Every worker reads it."""
        if not any(broker.alive() for broker in self.kafka.brokers):
            return
        if not self._has_control_topic and CONTROL_TOPIC not in self.admin.list_topics(timeout=30).topics:
            try:
                self.create_topic(CONTROL_TOPIC, 1, cleanup_policy="compact")
            except confluent_kafka.KafkaException as e:  # it is there, and not every broker knows yet
                assert e.args[0].code() == confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS, e
        self._has_control_topic = True

    # records

    def producer(self, **config):
        return confluent_kafka.Producer({
            "bootstrap.servers": self.bootstrap, "message.max.bytes": MAX_MESSAGE_BYTES,
            "enable.idempotence": True, "linger.ms": 5,
            **{k.replace("_", "."): v for k, v in config.items()}})

    def ends(self, topic):
        """{partition: end offset}, open transactions included."""
        partitions = self.admin.list_topics(topic, timeout=10).topics[topic].partitions
        asked = {confluent_kafka.TopicPartition(topic, p): admin.OffsetSpec.latest() for p in partitions}
        futures = self.admin.list_offsets(
            asked, isolation_level=confluent_kafka.IsolationLevel.READ_UNCOMMITTED)
        return {tp.partition: future.result().offset for tp, future in futures.items()}

    def read_committed(self, topic, starts=None, timeout_s=READ_TIMEOUT_S):
        """All records of committed transactions up to the end as it is now, in order per partition.
        starts: {partition: offset}. Fails when an open transaction hides the end."""
        ends = {p: end for p, end in self.ends(topic).items() if end > (starts or {}).get(p, 0)}
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": "reader", "enable.auto.commit": False,
            "isolation.level": "read_committed", "enable.partition.eof": True,
            "auto.offset.reset": "error", "fetch.message.max.bytes": MAX_MESSAGE_BYTES})
        first = confluent_kafka.OFFSET_BEGINNING
        consumer.assign([confluent_kafka.TopicPartition(topic, p, (starts or {}).get(p, first))
                         for p in ends])
        try:
            return _read_to(consumer, topic, ends, timeout_s)
        finally:
            consumer.close()

    def committed(self, group, topic):
        """{partition: (offset, metadata)} as the group committed them."""
        return group_offsets.committed(self.bootstrap, group, topic, sorted(self.ends(topic)))

    # end

    def stop(self):
        for end in self.at_stop:
            end()
        for worker in self.workers:
            worker.process.kill()
        if self._prometheus is not None:
            self._prometheus.process.kill()
        self.kafka.stop()

    def log_tails(self, n_lines=25):
        for path in sorted(self.places.logs.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()
            if lines:
                yield f"--- {path.name}\n" + "\n".join(lines[-n_lines:])


def _read_to(consumer, topic, ends, timeout_s):
    records, waiting, deadline = [], dict(ends), time.monotonic() + timeout_s
    while waiting:
        if time.monotonic() > deadline:
            raise AssertionError(f"{topic}: not read to the end after {timeout_s} s, wanted {waiting}")
        for message in consumer.consume(1000, 0.2):
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() != confluent_kafka.KafkaError._PARTITION_EOF:
                raise AssertionError(f"{topic}: {error}")
            elif message.offset() >= ends[message.partition()]:
                waiting.pop(message.partition(), None)
    return records


def wait_for(condition, timeout_s=30, what="the condition"):
    """Polls until condition() is true, and returns what it gave."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout_s} s")
        time.sleep(0.1)


@pytest.fixture
def new_stack(tmp_path, request):
    """new_stack(brokers=1, properties=""): a started stack, stopped after the test; on a failure the
    ends of its logs are printed."""
    made = []

    def make(brokers=1, properties=""):
        made.append(StackUnderTest(tmp_path / f"stack-{len(made)}", brokers, properties))
        made[-1].kafka.start()
        return made[-1]

    yield make
    for one in made:
        one.stop()
        if getattr(request.node, "failed_in_call", False):
            print("\n".join(one.log_tails()))


@pytest.fixture
def stack(new_stack):
    return new_stack()


@pytest.fixture
def stack3(new_stack):
    return new_stack(brokers=3)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" and report.failed:
        item.failed_in_call = True
    return report
