"""sluice-parquet against Kafka and S3Proxy, undisturbed: every row of the topic lies in one object exactly, its values
as they were, read by pyarrow; starts, changed configurations, and what only an operator may decide."""
import collections
import itertools
import json
import random
import threading

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.fault.counter import metric
from tests.fault.load import wait_caught_up
from tests.flow import batches, parquet_audit, parquet_rollups, rollup_check, rollup_logs, rollup_records
from tests.flow.aws_endpoints import Endpoint
from tests.flow.parquet_audit import Audit, Bucket, start_worker
from tests.flow.stack import StackUnderTest, wait_for

PARTITIONS = 3
HOUR_MS = 3_600_000
T0_MS = 1_790_000_000_000 // HOUR_MS * HOUR_MS


def server_points(rng, n):
    kinds = (lambda i: batches.counter(f"requests_{i}_total", rng.choice((0.0, -0.0, float("inf"), rng.random() * 1e9)), shard_id="s1"),
             lambda i: batches.gauge(f"players_{i}", rng.random(), region="eu", queue="ü€"),
             lambda i: batches.native(f"latency_{i}", [(0, 3), (2, 1)], 1.5, shard_id="s1"),
             lambda i: batches.classic(f"sizes_{i}", [0.5, 1.0], [1, 2, 3], 2.5))
    return [kinds[i % 4](i) for i in range(n)]


class Site:
    """A topic, a group and a bucket of a test's own, on the stack that all share."""

    def __init__(self, stack, number):
        self.stack, self.topic, self.group = stack, f"series-{number}", f"parquet-{number}"
        stack.create_topic(self.topic, PARTITIONS)
        self.bucket = Bucket(stack, f"bucket-{number}")
        self.n_started = 0

    def start(self, ready=True, **keys):
        self.n_started += 1
        return start_worker(self.stack, self.bucket, f"{self.group}-{self.n_started}", ready=ready,
                            topics=[self.topic], group=self.group, **keys)

    def send(self, n, seed=1):
        """n batches of some servers and two tenants, over three hours of sample time; heartbeats among them."""
        rng, producer = random.Random(seed), self.stack.producer()
        for i in range(n):
            server, tenant = f"gs-{rng.randrange(20)}", rng.choice(("demo", "studio-b"))
            t_ms = T0_MS + rng.randrange(3 * HOUR_MS)
            value = (batches.heartbeat(t_ms) if rng.random() < 0.05 else
                     batches.batch(server, server_points(rng, rng.randrange(1, 30)), t_ms, tenant=tenant, offset=i))
            producer.produce(self.topic, value, partition=batches.partition_of(server, PARTITIONS, tenant))
        assert producer.flush(60) == 0

    def send_raw(self, *values, partition=0):
        producer = self.stack.producer()
        for value in values:
            producer.produce(self.topic, value, partition=partition)
        assert producer.flush(60) == 0

    def committed(self):
        return self.stack.committed(self.group, self.topic)

    def wait_stored(self):
        wait_caught_up(self.stack, self.group, [self.topic])

    def audit(self):
        return Audit(self.stack, self.bucket, self.topic)


SITE_NUMBERS = itertools.count()
NOTHING_LISTED = 200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    stack = StackUnderTest(tmp_path_factory.mktemp("parquet"))
    stack.kafka.start()
    yield stack
    stack.stop()


@pytest.fixture
def site(shared, request):
    """Its workers end with the test; when it fails, the ends of their logs are printed."""
    made = Site(shared, next(SITE_NUMBERS))
    yield made
    while shared.workers and any(w.process.alive() for w in shared.workers):
        for worker in shared.workers:
            worker.process.kill()
    if getattr(request.node, "failed_in_call", False):
        print("\n".join(shared.log_tails()))


def test_every_row_once(site, say):
    site.send(600)
    worker = site.start(prefix="year")
    site.wait_stored()
    audit = site.audit()
    say(str(audit))
    assert audit.problems == [] and audit.n_rows > 5000
    assert parquet_audit.verify_by_tool(site.stack, site.bucket)[0] == 0
    keys = sorted(site.bucket.keys())
    code, told = parquet_audit.tool(site.stack, site.bucket, "inspect", keys[0])
    assert code == 0 and all(word in told for word in ("kafka_offset", "intent", '"first":', "topic_id")), told
    code, told = parquet_audit.tool(site.stack, site.bucket, "verify", "year/none", keys[0])
    assert code == 1 and "there is no such object" in told and "good" in told, told
    assert all(k.startswith("year/samples/dt=2026-09-21/hour=") for k in keys), keys[:3]
    assert metric(worker, "sluice_s3_rows_total") == audit.n_rows
    assert metric(worker, "sluice_s3_bytes_total") == audit.n_bytes
    assert metric(worker, 'sluice_s3_objects_total{table="samples",outcome="stored"}') == len(keys)
    assert all(metadata == "" for _, metadata in site.committed().values())
    worker.stop()
    assert worker.process.exit_code() == 0


def test_rollups_and_samples_in_one_process(site, say):
    """Rows of the real rollup worker's three topics and raw samples, by one process: each topic's rows in its table, each once,
    as the oracle's rows of those records have them. An unreadable record is counted and passed over, and heartbeats have no rows."""
    stack = site.stack
    rollup_check.create_topics(stack, 1)
    stack.create_topic("metrics.dlq", 1)
    rollup_check.put(stack, rollup_logs.generate(11, 400, 5, 1), 1, end_s=3 * 3600)
    rollup = stack.worker("rollup", name="rollup-minutes")
    hours = stack.worker("rollup", name="rollup-hours", window="1h", topics=[rollup_check.ROLLUPS[1]])
    wait_for(lambda: rollup_check.is_through(stack), 60, "the last heartbeat")
    wait_for(lambda: rollup_check.check_hours(stack).problems == [], 60, "the hours")
    for worker in (rollup, hours):
        worker.stop()
    producer = stack.producer()
    producer.produce(rollup_check.ROLLUPS[0], rollup_records.heartbeat(1)[:-1], partition=0)
    assert producer.flush(60) == 0
    topics = [rollup_check.ADMITTED, *rollup_check.ROLLUPS]
    worker = start_worker(stack, site.bucket, site.group, topics=topics, group=site.group, prefix="p", hours=24,
                          raw_max_age_ms=86_400_000, rollup_max_age_ms=10_000)
    wait_caught_up(stack, site.group, list(rollup_check.ROLLUPS))
    found = parquet_audit.rollup_rows_in(site.bucket)
    names = parquet_rollups.source_names(rollup_logs.generate(11, 400, 5, 1))
    want = parquet_rollups.rows_in_topics(stack, names)
    say(f"{ {table: len(rows) for table, rows in want.items()} } rows in {len(site.bucket.keys())} objects")
    assert set(found) == set(want) == set(parquet_rollups.TABLES.values())
    for table, rows in want.items():
        assert sorted(found[table], key=parquet_rollups.place) == sorted(rows, key=parquet_rollups.place), table
        assert metric(worker, f'sluice_s3_rows_total{{table="{table}"}}') == len(rows)
    assert metric(worker, 'sluice_records_rejected_total{tenant="",reason="unreadable"}') == 1
    assert not any("/samples/" in key for key in site.bucket.keys())  # raw ones wait for their own age
    assert parquet_audit.verify_by_tool(stack, site.bucket)[0] == 0


def test_objects_of_any_table_stop_a_group_that_lost_its_offsets(site):
    load = parquet_rollups.RollupLoad(11, 100)
    site.send_raw(*(value for _, value in load.records))
    worker = site.start()
    site.wait_stored()
    worker.stop()
    before = site.bucket.keys()
    assert {key.split("/")[0] for key in before} == {"rollup_1m", "rollup_5m", "rollup_1h"}
    wait_empty(site)
    for future in site.stack.admin.delete_consumer_groups([site.group]).values():
        future.result()
    lost = site.start(ready=False)
    stop_is_named(lost, "objects_exist", 1)
    assert site.bucket.keys() == before


def test_a_restart_changes_the_layout(site, say):
    """Files cut by rows or by bytes; each restart with another layout, the first after kill -9."""
    layouts = ({"prefix": "a", "file_max_rows": 300}, {"prefix": "b", "hours": 6, "file_max_bytes": 4000},
               {"prefix": "b", "tenant_level": True, "label_columns": ["queue"], "file_max_rows": 200},
               {"prefix": "a", "hours": 24, "file_max_bytes": 3000, "portable": True})
    for i, layout in enumerate(layouts):
        site.send(150, seed=i)
        worker = site.start(**layout)
        site.wait_stored()
        worker.stop() if i else worker.process.kill()
    audit = site.audit()
    say(str(audit))
    assert audit.problems == []
    # By age alone it would be one for each partition.
    assert len(audit.n_ranges_of) == 4 and all(n > PARTITIONS for n in audit.n_ranges_of.values()), audit.n_ranges_of
    keys = sorted(site.bucket.keys())
    assert {k.split("/samples/")[0] for k in keys} == {"a", "b"}
    assert any("/tenant=studio-b/dt=" in k for k in keys)
    assert any(k.startswith("b/samples/dt=2026-09-21/hour=12/") for k in keys)


def test_an_open_intent_is_redone_in_its_own_layout(site, say):
    """Killed while S3 is away and intents are committed; the next has another layout and would cut elsewhere."""
    first = site.start(prefix="old", raw_max_age_ms=86_400_000)
    wait_for(lambda: len(site.committed()) == PARTITIONS, what="first offsets")
    first.stop()
    site.send(200)
    site.bucket.proxy.stop()
    second = site.start(prefix="old", file_max_rows=400)
    wait_for(lambda: any(m for _, m in site.committed().values()), what="an intent")
    wait_for(lambda: metric(second, 'sluice_s3_failing{kind="s3"}') > 0, what="the alarm")
    wait_for(lambda: metric(second, 'sluice_s3_failures_total{kind="s3"}') > 0, what="a failure to be counted")
    second.process.kill()
    site.bucket.proxy.start()
    site.start(prefix="new", hours=24, file_max_rows=70)
    site.wait_stored()
    audit = site.audit()
    say(str(audit))
    assert audit.problems == []
    assert {k.split("/")[0] for k in site.bucket.keys()} == {"old", "new"}


def stop_is_named(worker, reason, n=PARTITIONS):
    wait_for(lambda: metric(worker, f'sluice_partitions_stopped{{reason="{reason}"}}') == n, what=f"stopped for {reason}")
    assert worker.get("/ready")[0] == 503


def wait_empty(site):
    wait_for(lambda: not site.stack.admin.describe_consumer_groups([site.group])[site.group].result().members,
             what="an empty group")


def test_without_an_offset_nothing_is_guessed(site):
    """A group that is new begins only with start=earliest; one whose offsets are lost does not begin at all, since there
    are objects of the topic."""
    site.send(200)
    unasked = site.start(ready=False, start="")
    stop_is_named(unasked, "no_offset")
    unasked.stop()
    assert site.bucket.keys() == {} and site.committed() == {}
    worker = site.start()
    site.wait_stored()
    worker.stop()
    before = site.bucket.keys()
    wait_empty(site)
    for future in site.stack.admin.delete_consumer_groups([site.group]).values():
        future.result()
    lost = site.start(ready=False)
    stop_is_named(lost, "objects_exist")
    site.send(50, seed=9)
    assert site.bucket.keys() == before and site.committed() == {}


def test_a_topic_that_was_made_anew_has_objects_of_its_own(site):
    """Its offsets count from 0 again: the topic's id tells its objects from those of the topic before."""
    site.send(60)
    worker = site.start()
    site.wait_stored()
    worker.stop()
    before = site.bucket.keys()
    wait_empty(site)
    for future in site.stack.admin.delete_topics([site.topic]).values():
        future.result()
    wait_for(lambda: site.topic not in site.stack.admin.list_topics(timeout=10).topics, what="the topic's end")
    site.stack.create_topic(site.topic, PARTITIONS)
    site.send(60)
    site.start(ready=False)
    site.wait_stored()
    keys = site.bucket.keys()
    found = collections.Counter(row for key in keys if key not in before
                                for row in parquet_audit.rows_in_object(site.bucket.read(key)))
    assert found == parquet_audit.rows_in_topic(site.stack, site.topic) and found
    assert {key: size for key, size in keys.items() if key in before} == before


def test_rows_that_retention_took_stop_the_partition(site):
    """Behind the committed offset: out of range. The other partitions go on."""
    site.send(100)
    worker = site.start()
    site.wait_stored()
    worker.stop()
    site.send(100, seed=2)
    end = site.stack.ends(site.topic)[1]
    for future in site.stack.admin.delete_records([TopicPartition(site.topic, 1, end)]).values():
        future.result()
    site.send(100, seed=3)
    before = site.committed()[1]
    again = site.start(ready=False)
    wait_for(lambda: metric(again, "sluice_offset_out_of_range_total") == 1, what="the alarm")
    ends = site.stack.ends(site.topic)
    wait_for(lambda: all(site.committed()[p][0] >= ends[p] for p in (0, 2)), what="the others")
    assert site.committed()[1] == before and again.get("/ready")[0] == 503


def commit(site, offset, metadata):
    """As somebody would who tampers with the group."""
    wait_empty(site)
    consumer = Consumer({"bootstrap.servers": site.stack.bootstrap, "group.id": site.group, "enable.auto.commit": False})
    consumer.commit(offsets=[TopicPartition(site.topic, 0, offset, metadata)], asynchronous=False)
    consumer.close()


def intent_text(site, first, last, rows, topic_id=None):
    (key, _), = list(site.bucket.keys().items())[:1]
    intent = json.loads(site.bucket.metadata(key)["intent"])
    return json.dumps({**intent, "first": first, "last": last, "rows": rows, "topic_id": topic_id or intent["topic_id"]},
                      separators=(",", ":"), sort_keys=True)


def test_what_does_not_fit_stops_the_partition(site):
    """An intent that counts other rows than the log has; one of another topic, or no intent; an object of another
    range where one's own belongs. Nothing is written then."""
    points = [batches.gauge(f"g{i}", 1.0) for i in range(5)]
    site.send_raw(*(batches.batch("gs-1", points, T0_MS, offset=i) for i in range(4)))
    worker = site.start(file_max_rows=20, raw_max_age_ms=86_400_000)
    wait_for(lambda: site.committed().get(0) == (4, ""), what="the first range")
    worker.stop()
    site.send_raw(*(batches.batch("gs-1", points, T0_MS + 1, offset=i) for i in range(4, 8)))
    before = site.bucket.keys()
    for metadata, reason in ((intent_text(site, 4, 7, 19), "rows_missing"), (intent_text(site, 4, 7, 21), "rows_missing"),
                             (intent_text(site, 4, 7, 20, "another"), "intent"), (intent_text(site, 5, 7, 20), "intent"),
                             ("whatever", "intent")):
        commit(site, 4, metadata)
        stopped = site.start(ready=False, file_max_rows=20)
        stop_is_named(stopped, reason, 1)
        assert site.bucket.keys() == before and [site.committed()[0][1].rstrip("\0")] == [metadata]
        stopped.stop()
    (key, _), = before.items()
    other = key.replace("-0-0-3.parquet", "-0-4-7.parquet")
    site.bucket.boto.put_object(Bucket=site.bucket.name, Key=other, Body=b"another", Metadata={"intent": "{}", "rows": "20"})
    commit(site, 4, intent_text(site, 4, 7, 20))
    stopped = site.start(ready=False, file_max_rows=20)
    stop_is_named(stopped, "conflict", 1)
    assert site.bucket.read(other) == b"another"
    stopped.stop()
    site.bucket.boto.delete_object(Bucket=site.bucket.name, Key=other)
    site.start(ready=False, file_max_rows=20)  # what fits is done
    wait_for(lambda: site.committed()[0] == (8, ""), what="the second range")
    assert site.audit().problems == []


def test_records_that_are_no_batch_are_counted_and_passed_over(site):
    site.send_raw(b"nonsense", b"", batches.batch("gs-1", [batches.gauge("g", 1.0)], T0_MS), b"\xc3\x01", batches.heartbeat(T0_MS))
    worker = site.start()
    site.wait_stored()
    assert sum(site.bucket.keys().values()) > 0 and len(site.bucket.keys()) == 1
    assert metric(worker, 'sluice_records_rejected_total{tenant="",reason="unreadable"}') == 3


def test_a_key_for_each_tenant_and_tags(site):
    """Headers that S3Proxy doesn't know, seen by a stub in its place."""
    seen = {}

    def answer(request):
        if request.method == "PUT":
            seen[request.path] = request.headers
        return NOTHING_LISTED if request.method == "GET" else (200, b"", {"ETag": '"x"'})

    stub = Endpoint(answer)
    site.send_raw(*(batches.batch("gs-1", [batches.gauge("g", 1.0)], T0_MS, tenant=t) for t in ("demo", "studio-b")))
    site.start(endpoint=stub.url, tenant_level=True, kms_key="arn:aws:kms:eu-central-1:1:key/all", tags="team=game&x=%C3%BC",
               kms_keys=["studio-b=arn:aws:kms:eu-central-1:1:key/b"])
    site.wait_stored()
    stub.stop()
    keys = {("b" if "tenant%3Dstudio-b" in path else "all"): headers for path, headers in seen.items()}
    assert len(seen) == 2 and set(keys) == {"b", "all"}
    for name, headers in keys.items():
        assert headers["x-amz-server-side-encryption"] == "aws:kms"
        assert headers["x-amz-server-side-encryption-aws-kms-key-id"].endswith(f"key/{name}")
        assert headers["x-amz-tagging"] == "team=game&x=%C3%BC" and headers["If-None-Match"] == "*"
        assert headers["x-amz-checksum-crc32c"] and headers["x-amz-meta-rows"] == "1"


def test_a_scratch_folder_that_goes_for_a_while(site):
    """Rows wait for it, in the partition; the process lives on."""
    worker = site.start()
    site.send(20)
    site.wait_stored()
    folder = site.stack.places.dir / "scratch"
    folder.rename(folder.with_name("gone"))
    site.send(60, seed=2)
    wait_for(lambda: metric(worker, 'sluice_s3_failing{kind="scratch"}') > 0, what="the alarm")
    folder.with_name("gone").rename(folder)
    site.wait_stored()
    assert site.audit().problems == [] and worker.process.alive()


def test_an_end_while_s3_does_not_answer(site):
    """SIGTERM: the request that hangs is left to itself."""
    asked, never = threading.Event(), threading.Event()

    def answer(request):
        if request.method == "GET":
            return NOTHING_LISTED
        asked.set()
        return lambda connection: never.wait()

    stub = Endpoint(answer)
    site.send_raw(batches.batch("gs-1", [batches.gauge("g", 1.0)], T0_MS))
    worker = site.start(endpoint=stub.url, request_timeout_ms=120_000, shutdown_ms=4000)
    assert asked.wait(30)
    worker.stop()
    assert worker.process.exit_code() == 0
    assert site.committed()[0][1].startswith('{"first":0,"last":0,')
    never.set()
    stub.stop()


PLAIN = {"endpoint": "http://127.0.0.1:1", "max_backoff_ms": 1000, "min_backoff_ms": 50, "aws.region": "x"}


@pytest.mark.parametrize("keys, error", [
    ({"start": "latest"}, "start is"), ({"hours": 5}, "hours"), ({"prefix": "/x"}, "prefix"), ({"prefix": "é"}, "prefix"),
    ({"kms_keys": ["demo"]}, "tenant=key"), ({"kms_keys": ["demo=k"]}, "tenant_level"),
    ({"label_columns": [f"label_{i:02}_{'x' * 50}" for i in range(30)]}, "metadata"), ({"aws.region": "EU!"}, "region"),
    ({"min_backoff_ms": 5000}, "max_backoff_ms"), ({"scratch_dir": "/no/such"}, "scratch_dir"), ({"endpoint": "ftp://x"}, "endpoint"),
])
def test_configurations_that_cannot_be(shared, keys, error):
    worker = shared.new_worker("parquet", "wrong", bucket="bucket", **{**PLAIN, **keys})
    worker.start()
    wait_for(lambda: not worker.process.alive(), what="its end")
    assert worker.process.exit_code() == 2
    assert error in worker.process.log_text()
