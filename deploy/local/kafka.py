"""Apache Kafka in KRaft mode on loopback: one broker, or three that each can be killed."""
import base64
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

from deploy.local.places import HOST, StackError, free_ports, port_is_free
from deploy.local.process import Process, stop_all

CLUSTER_ID = "c2x1aWNlLWxvY2FsLTAwMQ"
METADATA_CHECKPOINT = "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"
START_TIMEOUT_S = 60

# The first: 8 MiB and 64 KiB, as the topics have it. Short times make faults show soon.
BROKER_PROPERTIES = """\
message.max.bytes=8454144
replica.fetch.max.bytes=8454144
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=4
background.threads=2
num.replica.fetchers=1
num.recovery.threads.per.data.dir=2
log.cleaner.dedupe.buffer.size=8388608
log.index.size.max.bytes=1048576
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.min.session.timeout.ms=6000
group.initial.rebalance.delay.ms=200
controller.quorum.election.backoff.max.ms=200
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
"""


def java():
    for path in ("/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "/usr/lib/jvm/java-17-openjdk-arm64/bin/java"):
        if os.access(path, os.X_OK):
            return path
    path = shutil.which("java")
    if path is None:
        raise StackError("java is missing; deploy/deps/install installs it")
    return path


class Kafka:
    def __init__(self, places, brokers=1, die_with_parent=True, properties=""):
        if brokers not in (1, 3):
            raise StackError(f"--brokers {brokers}: there can be 1 or 3")
        self.places = places
        self.n_brokers = brokers
        self.die_with_parent = die_with_parent
        self.properties = properties
        self.plugins = []  # jars or folders of classes, besides Kafka's own
        self.jvm_options = []  # besides those that it always has
        self.home = places.deps / "kafka"
        self.brokers = [self._process(i) for i in range(brokers)]

    def _process(self, i):
        name = "kafka" if self.n_brokers == 1 else f"kafka-{i + 1}"
        return Process(name, self.places.run, self.places.logs / f"{name}.log", grace_s=0)

    def port(self, i):
        return self.places.port("kafka") + i

    def controller_port(self, i):
        return self.places.port("kafka_controller") + i

    @property
    def bootstrap(self):
        return ",".join(f"{HOST}:{self.port(i)}" for i in range(self.n_brokers))

    def check_ports(self):
        for part, port_of in (("kafka", self.port), ("kafka_controller", self.controller_port)):
            for i in range(self.n_brokers):
                if not port_is_free(port_of(i)):
                    raise StackError(f"port {port_of(i)} (Kafka) is in use; {self.places.hint(part)}")

    def start(self):
        """Fresh and empty; returns when all brokers serve."""
        self.check_ports()
        prepare(self.home)
        for i in range(self.n_brokers):
            self._format(i)
            self.brokers[i].log_path.unlink(missing_ok=True)
        for i in range(self.n_brokers):
            self._launch(i)
        for i in range(self.n_brokers):
            self._await(i, 0)

    def kill(self, i):
        """kill -9 of broker i (from 0)."""
        self.brokers[i].kill()

    def restart(self, i):
        """Starts broker i again, on the data that it left; returns when it serves."""
        seen = self.brokers[i].log_path.stat().st_size
        self._launch(i)
        self._await(i, seen)

    def stop(self):
        """No orderly shutdown: the next start begins with nothing."""
        stop_all(self.brokers)

    def _data(self, i):
        return self.places.data / f"kafka-{i + 1}"

    def _format(self, i):
        shutil.rmtree(self._data(i), ignore_errors=True)
        format_data(self.home, self._data(i), i + 1)
        voters = ",".join(f"{j + 1}@{HOST}:{self.controller_port(j)}" for j in range(self.n_brokers))
        replication, in_sync = (1, 1) if self.n_brokers == 1 else (3, 2)
        (self.places.config / f"kafka-{i + 1}.properties").write_text(
            node_properties(i + 1, self.port(i), self.controller_port(i), voters, self._data(i)) +
            f"offsets.topic.replication.factor={replication}\n"
            f"transaction.state.log.replication.factor={replication}\n"
            f"transaction.state.log.min.isr={in_sync}\n"
            f"default.replication.factor={replication}\n"
            f"min.insync.replicas={in_sync}\n" + self.properties)

    def _launch(self, i):
        heap_mb = 512 if self.n_brokers == 1 else 384
        self.brokers[i].start(
            java_argv(self.home, ["-Xms64m", f"-Xmx{heap_mb}m", *self.jvm_options], self.plugins) +
            ["kafka.Kafka", str(self.places.config / f"kafka-{i + 1}.properties")],
            self.die_with_parent)

    def _await(self, i, log_offset):
        broker = self.brokers[i]
        broker.wait_until(lambda: "Kafka Server started" in broker.log_text(log_offset) and
                          accepts(self.port(i)), START_TIMEOUT_S, "does not serve")


def accepts(port):
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def node_properties(node, port, controller_port, voters, data):
    return (f"process.roles=broker,controller\nnode.id={node}\ncontroller.quorum.voters={voters}\n"
            f"listeners=PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}\n"
            "controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\n"
            f"log.dirs={data}\n" + BROKER_PROPERTIES)


def java_argv(home, options, plugins=()):
    archive = home / "classes.jsa"
    shared = [f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off"] if archive.exists() else []
    jars = sorted(str(p) for p in (home / "lib").glob("*.jar"))
    if not jars:
        raise StackError("Kafka's jars are missing; deploy/deps/kafka fetches them")
    log = Path(__file__).with_name("log4j2.properties")
    return [java(), "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", *shared, *options,
            f"-Dlog4j2.configurationFile={log}", "-cp", ":".join([*jars, *map(str, plugins)])]


def format_data(home, data, node):
    """What the storage tool writes, without the second that its JVM takes: the feature levels are
    every node's, the rest is three ids."""
    data.joinpath(METADATA_CHECKPOINT).parent.mkdir(parents=True)
    shutil.copy(home / "formatted" / METADATA_CHECKPOINT, data / METADATA_CHECKPOINT)
    directory_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    (data / "meta.properties").write_text(
        f"version=1\ncluster.id={CLUSTER_ID}\nnode.id={node}\ndirectory.id={directory_id}\n")


def prepare(home):
    """Once per Kafka version: the formatted metadata, and an archive of loaded classes that halves
    the brokers' start time."""
    home.mkdir(parents=True, exist_ok=True)
    with open(home / ".prepare.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "formatted" / METADATA_CHECKPOINT).exists():
            _format_template(home)
        if not (home / "classes.jsa").exists():
            _archive_classes(home)


def _format_template(home):
    target = home / "formatted"
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        properties = Path(scratch) / "node.properties"
        properties.write_text(node_properties(1, 1, 2, f"1@{HOST}:2", target))
        done = subprocess.run(java_argv(home, []) + ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID,
                                                     "-c", str(properties)],
                              capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(target, ignore_errors=True)
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise StackError(f"Kafka's storage tool failed: {' '.join(last)}")


def _archive_classes(home):
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch)
        port = free_ports(2)
        format_data(home, run / "data", 1)
        (run / "node.properties").write_text(
            node_properties(1, port, port + 1, f"1@{HOST}:{port + 1}", run / "data"))
        broker = Process("kafka-archive", run, home / "archive.log", grace_s=30)
        broker.log_path.unlink(missing_ok=True)
        broker.start(java_argv(home, [f"-XX:ArchiveClassesAtExit={home / 'classes.part'}"]) +
                     ["kafka.Kafka", str(run / "node.properties")], die_with_parent=True)
        try:
            broker.wait_until(lambda: "Kafka Server started" in broker.log_text(), START_TIMEOUT_S,
                              "does not serve")
        finally:
            broker.stop()
    if (home / "classes.part").exists():
        (home / "classes.part").rename(home / "classes.jsa")
