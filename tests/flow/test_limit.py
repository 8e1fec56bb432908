"""sluice-limit on a real cluster: source budgets, idle expiry, state, heartbeats, what operators see; an oracle judges
all that it let through. Log time is the batches' own, so it is moved without waiting."""
import collections
import json
import time

import confluent_kafka
import pytest

from tests.fault import formats
from tests.fault.counter import metric as total
from tests.fault.load import Load, wait_caught_up
from tests.flow import batches, limit_oracle
from tests.flow.batches import counter
from tests.flow.stack import StackUnderTest, wait_for
from tests.flow.test_pipeline import metric

PARTITIONS = 4
ACTIVE_MS = 8000  # steps of a second
T0 = 1_790_000_000_000


@pytest.fixture(scope="module")
def shared_stack(tmp_path_factory):
    """One cluster for all tests here but the last; each has topics, a group and a worker of its own."""
    made = StackUnderTest(tmp_path_factory.mktemp("limit"))
    made.kafka.start()
    yield made
    made.stop()


class Limiter:
    """sluice-limit alone, and batches put into its input as validate would."""

    def __init__(self, stack, folder, name, **keys):
        self.stack = stack
        self.policy = folder / "policy.json"
        self.group = "group." + name
        self.topics = {kind: f"{kind}.{name}" for kind in ("valid", "admitted", "state", "dlq", "leases", "control")}
        self.n_sent = 0
        self.set_budget(300)
        for kind, topic in self.topics.items():
            stack.create_topic(topic, 1 if kind in ("leases", "control") else PARTITIONS,
                               cleanup_policy="compact" if kind in ("state", "leases", "control") else "delete")
        self.worker = stack.worker("limit", name="limit." + name, group=self.group, policy=str(self.policy), **{
            "topics": [self.topics["valid"]], "admitted_topic": self.topics["admitted"],
            "state_topic": self.topics["state"], "dlq_topic": self.topics["dlq"], "active_ms": ACTIVE_MS,
            "leases_topic": self.topics["leases"], "control_topic": self.topics["control"],
            "dlq_samples_per_minute": 1_000_000, "commit_interval_ms": 50, **keys})
        self.producer = stack.producer()

    def set_budget(self, n_series):
        self.budget = n_series
        tenants = {name: {"limits": {"series_per_source": n_series}} for name in ("demo", "studio-b")}
        self.policy.write_text(json.dumps({"tenants": tenants}))

    def put(self, source, points, t_ms, tenant="demo", **options):
        """Its bytes. Each has an origin of its own unless offset says otherwise."""
        self.n_sent += 1
        value = batches.batch(source, points, t_ms, tenant=tenant, **{"offset": self.n_sent, **options})
        self.put_again(source, value, tenant)
        return value

    def put_again(self, source, value, tenant="demo"):
        self.producer.produce(self.topics["valid"], value, key=source.encode(),
                              partition=batches.partition_of(source, PARTITIONS, tenant))
        self.producer.poll(0)

    def settle(self):
        assert self.producer.flush(30) == 0
        wait_caught_up(self.stack, self.group, [self.topics["valid"]], 30)

    def admitted(self, source=None):
        """Of each batch of the source that went on, its series' metric names."""
        found = [limit_oracle.Batch(r) for r in self.stack.read_committed(self.topics["admitted"])]
        return [[s.metric for s in b.series] for b in found if not b.is_heartbeat and source in (None, b.source)]

    def check(self):
        verdict = limit_oracle.check(self.stack, ACTIVE_MS, lambda tenant: self.budget, self.topics["valid"],
                                     self.topics["admitted"], self.topics["dlq"])
        assert verdict.problems == [], str(verdict)
        return verdict


@pytest.fixture
def new_limiter(shared_stack, tmp_path, request):
    made = []

    def make(**keys):
        made.append(Limiter(shared_stack, tmp_path, request.node.name[5:40], **keys))
        return made[-1]

    yield make
    for one in made:
        one.worker.process.kill()
        one.producer = None
        if getattr(request.node, "failed_in_call", False):
            print(one.worker.process.log_text()[-4000:])


@pytest.fixture
def limiter(new_limiter):
    return new_limiter()


def numbered(first, n, name="m_{:05}_total"):
    return [counter(name.format(i), float(i), shard_id="s1") for i in range(first, first + n)]


def closes(worker):
    """in = out + rejected + shed, and how many came in."""
    n_in = total(worker, "sluice_samples_in_total")
    parts = [total(worker, f"sluice_samples_{name}_total") for name in ("out", "rejected", "shed")]
    assert n_in == sum(parts), (n_in, parts)
    return n_in


def test_the_301st_series_is_refused_until_others_have_gone(limiter):
    limiter.put("gs-1", numbered(0, 301), T0)
    limiter.put("gs-2", numbered(0, 100), T0)
    limiter.settle()
    (names,) = limiter.admitted("gs-1")
    assert len(names) == 300 and "m_00300_total" not in names
    assert [len(n) for n in limiter.admitted("gs-2")] == [100]
    (letter,) = formats.read_letters(limiter.stack, limiter.topics["dlq"])
    assert (letter["tenant"], letter["metric"], letter["reason"]) == ("demo", "m_00300_total", "over_source_budget")
    assert "source gs-1, budget 300 series" in letter["text"]
    assert letter["origin"]["offset"] == 1 and letter["origin"]["topic"] == "metrics.ingest.demo"
    assert [p["time_ms"] for p in letter["points"]] == [T0]

    # The same shape again and again for longer than active_ms: those that are sent stay.
    for i in range(1, 15):
        limiter.put("gs-1", numbered(0, 301), T0 + i * 1000)
        if i == 9:
            limiter.put("gs-2", numbered(1000, 300), T0 + 9000)  # no sooner: the 100 were seen a second ago
        limiter.put("gs-2", numbered(0, 100), T0 + i * 1000)
    # 100 stay away; they leave once their step lies more than eight back.
    for i in range(15, 24):
        limiter.put("gs-1", numbered(0, 200) + numbered(1000, 1), T0 + i * 1000)
    limiter.put("gs-1", numbered(0, 200) + numbered(1000, 101), T0 + 23_000)
    limiter.settle()
    sizes = [len(n) for n in limiter.admitted("gs-1")]
    assert [len(n) for n in limiter.admitted("gs-2")] == [100] * 9 + [200] + [100] * 6
    assert sizes == [300] * 15 + [200] * 8 + [201, 300]
    verdict = limiter.check()
    assert verdict.n_refused == 15 + 8 + 1 + 100
    assert closes(limiter.worker) == verdict.n_admitted + verdict.n_refused
    assert metric(limiter.worker, "sluice_samples_rejected_total", reason="over_source_budget") == 124


def test_what_is_counted_and_cut_is_right_for_every_kind(limiter):
    """Classic histograms weigh as all their series; a filtered batch keeps its times and each column's pieces."""
    limiter.set_budget(20)
    wait_for(lambda: metric(limiter.worker, "sluice_series_budget", tenant="demo", budget="source") == 20, 30)
    points = [batches.classic("a_seconds", [0.1, 1.0], [3, 0, 200], 4.5, shard_id="s1"),
              batches.native("b_seconds", [(0, 2), (3, 5)], 1.5, shard_id="s1"), counter("c_total", 1.0, shard_id="s1"),
              *[counter("d_total", float(i), shard_id=f"s{i}") for i in range(5)],
              batches.classic("e_seconds", [0.5] + [float(i) for i in range(1, 8)], [i * 300 for i in range(9)], 2.0),
              batches.native("f_seconds", [(-2, 7)], 0.25), batches.gauge("g", -1.0),
              *[batches.native("h_seconds", [(i, 1)], 9.0, queue=f"q{i}") for i in range(9)]]
    for i in range(3):
        limiter.put("gs-1", points, T0 + i * 700, times=[T0 + i * 700 - k * 10 for k in range(len(points))])
        limiter.put("gs-1", points[:10], T0 + i * 700 + 1, class_="critical", index=1)
    # A series that was a counter needs room for what it is more as a histogram.
    def heavy(name, n_bounds):
        return batches.classic(name, [float(i) for i in range(n_bounds)], [1] * (n_bounds + 1), 1.0)

    x = [counter("a_total", float(i), shard_id=f"s{i}") for i in range(10)]
    for i, points in enumerate([x + [heavy("x", 9)], [counter("x", 1.0)], x + [heavy("x", 9)], [counter("y", 1.0)],
                                [heavy("y", 2)], [heavy("y", 9), counter("x", 1.0)], [counter("y", 1.0)],
                                [*[counter(f"z{k}", 1.0) for k in range(9)]]]):
        limiter.put("gs-2", points, T0 + 3000 + i)
    limiter.settle()
    assert [len(n) for n in limiter.admitted("gs-2")] == [10, 1, 10, 1, 1, 1, 1, 4]
    verdict = limiter.check()
    assert verdict.n_refused > 2 and verdict.n_admitted > 0


def test_a_restart_keeps_everything(new_limiter):
    limiter = new_limiter(session_timeout_ms=6000)
    limiter.put("gs-1", numbered(0, 250), T0)
    limiter.put("gs-2", numbered(0, 299), T0)
    first = limiter.put("gs-1", numbered(200, 120), T0 + 2000)
    limiter.settle()
    closes(limiter.worker)
    limiter.worker.stop()
    limiter.worker.start()
    limiter.worker.wait_ready()
    assert total(limiter.worker, "sluice_limit_restored_records_total") >= 3
    assert 0 < total(limiter.worker, "sluice_limit_restore_seconds") < 30
    assert "sluice_limit_restore_seconds" in limiter.worker.metrics()
    limiter.put_again("gs-1", first)  # a duplicate of before the restart
    limiter.put("gs-1", numbered(0, 310), T0 + 4000)  # full, with the same 300
    limiter.put("gs-2", numbered(290, 20), T0 + 6000)
    limiter.settle()
    assert closes(limiter.worker) == 120 + 310 + 20
    assert metric(limiter.worker, "sluice_samples_rejected_total", reason="duplicate_batch") == 120
    limiter.worker.process.kill()
    limiter.worker.start()
    # 0 to 199 and 290 to 299 were last seen at T0; nobody has kept them but the state.
    limiter.put("gs-2", numbered(1000, 20), T0 + 8000)
    limiter.put("gs-2", numbered(1000, 300), T0 + 9000)
    limiter.put("gs-1", numbered(0, 20) + numbered(600, 20), T0 + 11_000)
    limiter.settle()
    verdict = limiter.check()
    assert verdict.n_duplicates == 1


def test_gone_sources_are_tombstones_and_may_come_back(limiter):
    for i in range(20):
        limiter.put(f"gs-{i}", numbered(0, 5), T0)
    limiter.settle()
    for partition in range(PARTITIONS):  # log time goes on, one source of each partition stays
        names = [f"gs-{i}" for i in range(20) if batches.partition_of(f"gs-{i}", PARTITIONS) == partition]
        for step in (5000, 10_000, 10_500):
            limiter.put(names[0], numbered(0, 5), T0 + step)
    limiter.settle()

    def state():
        """{source's key: value} as compaction would leave it."""
        rows = limiter.stack.read_committed(limiter.topics["state"])
        return {r.key(): r.value() for r in rows if b"/" in r.key()}

    assert len(state()) == 20
    assert sum(value is not None for value in state().values()) == PARTITIONS
    limiter.worker.stop()
    limiter.worker.start()
    for i in range(20):
        limiter.put(f"gs-{i}", numbered(3, 300), T0 + 11_000)
    limiter.settle()
    assert all(value is not None for value in state().values())
    sizes = sorted(len(n) for n in limiter.admitted())[-20:]
    assert sizes == [297] * PARTITIONS + [300] * (20 - PARTITIONS)
    limiter.check()


def test_what_validate_did_not_write_goes_to_the_dead_letters(limiter):
    good = limiter.put("gs-1", numbered(0, 3), T0)
    partition = batches.partition_of("gs-1", PARTITIONS)
    bad = [(b"\xff" * 40, partition), (good[:-9], partition), (good, (partition + 1) % PARTITIONS),
           (batches.heartbeat(T0), partition), (b"", partition), (None, partition)]
    for value, where in bad:
        limiter.producer.produce(limiter.topics["valid"], value, partition=where)
    limiter.put("gs-1", numbered(0, 4), T0 + 1000)
    limiter.settle()
    assert [len(n) for n in limiter.admitted()] == [3, 4]
    letters = formats.read_letters(limiter.stack, limiter.topics["dlq"])
    assert [x["reason"] for x in letters] == ["malformed"] * len(bad)
    assert all(x["origin"]["topic"] == limiter.topics["valid"] and x["text"] for x in letters), letters
    assert sorted((x["origin"]["partition"], x["origin"]["offset"]) for x in letters) == sorted(
        [((partition + 1) % PARTITIONS, 0), *[(partition, offset) for offset in range(1, 6)]])
    assert closes(limiter.worker) == 7
    assert total(limiter.worker, "sluice_records_rejected_total") == len(bad)


def test_redriven_batches_pass_the_high_water_mark(limiter):
    for i in range(3):
        limiter.put("gs-1", numbered(0, 3), T0 + i * 1000, offset=i)
    limiter.put("gs-1", numbered(0, 3), T0, offset=0)
    limiter.put("gs-1", numbered(1, 2), T0 + 4000, offset=0, redriven=77)
    limiter.put("gs-1", numbered(0, 3), T0 + 5000, offset=1, index=1)
    limiter.put("gs-1", numbered(0, 3), T0 + 6000, offset=2, index=1)  # the first above the mark
    limiter.settle()
    assert [len(n) for n in limiter.admitted()] == [3, 3, 3, 2, 3]
    assert limiter.check().n_duplicates == 2


def test_a_reload_raises_and_lowers_the_budget(limiter):
    def in_force(n):
        wait_for(lambda: metric(limiter.worker, "sluice_series_budget", tenant="demo", budget="source") == n, 30)

    limiter.put("gs-1", numbered(0, 310), T0)
    limiter.settle()
    limiter.set_budget(305)
    in_force(305)
    limiter.put("gs-1", numbered(0, 310), T0 + 1000)
    limiter.settle()
    limiter.policy.write_text("{")  # refused: the old one stays
    wait_for(lambda: total(limiter.worker, "sluice_policy_reload_errors_total") == 1, 30)
    limiter.set_budget(100)
    in_force(100)
    limiter.put("gs-1", numbered(0, 310), T0 + 2000)  # evicts nobody
    limiter.put("gs-1", numbered(0, 310), T0 + 20_000)  # all have left
    limiter.settle()
    assert [len(n) for n in limiter.admitted("gs-1")] == [300, 305, 305, 100]
    closes(limiter.worker)


def test_silent_partitions_get_heartbeats(new_limiter):
    began_ms = int(time.time() * 1000)
    limiter = new_limiter(heartbeat_ms=1000)
    sources = {batches.partition_of(f"gs-{i}", PARTITIONS): f"gs-{i}" for i in range(50)}
    for source in sources.values():
        limiter.put(source, numbered(0, 1), T0)
    limiter.settle()

    def heartbeats():
        found = collections.defaultdict(list)
        for r in limiter.stack.read_committed(limiter.topics["admitted"]):
            b = limit_oracle.Batch(r)
            if b.is_heartbeat:
                found[b.partition].append(b.row["received_ms"])
        return found

    wait_for(lambda: len(heartbeats()) == PARTITIONS and min(map(len, heartbeats().values())) >= 3, 30, "heartbeats")
    for times in heartbeats().values():
        assert times[0] >= began_ms and all(b - a >= 1000 for a, b in zip(times, times[1:])), times
    assert total(limiter.worker, "sluice_heartbeats_total") >= 3 * PARTITIONS
    limiter.put("gs-1", numbered(0, 1), T0 + 1000)
    limiter.settle()
    limiter.check()


def test_completeness_lists_a_silent_source(new_limiter):
    limiter = new_limiter(active_ms=7_200_000)
    by_partition = collections.defaultdict(list)
    for i in range(50):
        by_partition[batches.partition_of(f"gs-{i}", PARTITIONS)].append(f"gs-{i}")
    seen, silent = by_partition[0][:2]
    alone = by_partition[1][0]  # all its partition is silent: no batch moves its log time
    now_ms = int(time.time() * 1000)
    for source in (seen, silent, alone):
        limiter.put(source, numbered(0, 30), now_ms - 400_000)
    limiter.put(seen, numbered(0, 30), now_ms)
    limiter.settle()

    def page():
        return json.loads(limiter.worker.get("/completeness")[1])

    wait_for(lambda: len(page()["silent_sources"]) == 2, 30, "two silent sources")
    assert {(x["tenant"], x["source"], x["active_series"], x["last_seen_ms"]) for x in page()["silent_sources"]} == {
        ("demo", silent, 30, now_ms - 400_000), ("demo", alone, 30, now_ms - 400_000)}
    (tenant,) = page()["tenants"]
    assert (tenant["tenant"], tenant["active_series"], tenant["seen"], tenant["silent_sources"]) == ("demo", 90, 30, 2)
    assert abs(tenant["completeness"] - 1 / 3) < 1e-5
    assert abs(metric(limiter.worker, "sluice_completeness_ratio", tenant="demo") - 1 / 3) < 1e-5
    assert metric(limiter.worker, "sluice_silent_sources", tenant="demo") == 2


def test_a_release_with_50000_label_values_is_seen_and_stopped(new_limiter, say):
    limiter = new_limiter(memory_limit_mb=128)
    for i in range(10):
        limiter.put("b-1", numbered(0, 100), T0 + i * 100, tenant="studio-b")
        limiter.put("gs-1", numbered(0, 100), T0 + i * 100)
    limiter.settle()
    before = total(limiter.worker, "sluice_memory_bytes")
    began = time.monotonic()

    def offenders():
        found = json.loads(limiter.worker.get("/offenders")[1])["offenders"]
        return [o for o in found if o["refused_series"] > 0 and o["labels"][0]["at_least"]]

    for i in range(50):
        release = [counter("logins_total", 1.0, build_id=f"b{i * 1000 + k}", shard_id="s1") for k in range(1000)]
        limiter.put("gs-1", release, T0 + 1000 + i * 10)
        limiter.put("b-1", numbered(0, 100), T0 + 1000 + i * 10, tenant="studio-b")
    limiter.producer.flush(30)
    wait_for(offenders, 30, "the offender")
    say(f"/offenders names the release's label after {time.monotonic() - began:.1f} s")
    worst = offenders()[0]
    assert (worst["tenant"], worst["metric"], worst["labels"][0]["label"]) == ("demo", "logins_total", "build_id")
    assert worst["labels"][0]["values"] >= 1000
    limiter.settle()
    verdict = limiter.check()
    assert verdict.n_refused == 50_000 - 200
    assert metric(limiter.worker, "sluice_refused_series_total", tenant="demo", reason="over_source_budget") == 49_800
    assert metric(limiter.worker, "sluice_samples_rejected_total", tenant="studio-b") == 0
    assert metric(limiter.worker, "sluice_samples_out_total", tenant="studio-b") == 60 * 100
    closes(limiter.worker)
    wait_for(lambda: metric(limiter.worker, "sluice_active_series", tenant="demo") == 300, 30)
    assert metric(limiter.worker, "sluice_active_series", tenant="studio-b") == 100
    grown = (total(limiter.worker, "sluice_memory_bytes") - before) / (1 << 20)
    say(f"resident memory before {before / (1 << 20):.0f} MiB, grown by {grown:.0f} MiB")
    assert before / (1 << 20) + grown < 128


def set_back(stack, group, topic, part):
    """The stopped group's offsets to `part` of what they were; which they were."""
    old = {p: offset for p, (offset, _) in stack.committed(group, topic).items()}
    new = [confluent_kafka.TopicPartition(topic, p, int(offset * part)) for p, offset in old.items()]
    wanted = confluent_kafka.ConsumerGroupTopicPartitions(group, new)
    for future in stack.admin.alter_consumer_group_offsets([wanted]).values():
        assert all(tp.error is None for tp in future.result().topic_partitions)
    return old


def test_setting_validate_back_changes_nothing_downstream(stack, tmp_path, say):
    """validate's group goes back over all of its input so far (minutes of it or hours: limit knows none of them), while
    the load goes on."""
    stack.create_all_topics()
    validate, limit = stack.worker("validate"), stack.worker("limit", heartbeat_ms=1000)
    load = Load(stack, tmp_path, rate=6000, interval_s=1, series=60, seed=3, forbidden=0.05)
    topic = "metrics.ingest.demo"
    wait_for(lambda: total(limit, "sluice_samples_out_total") > 20_000, 60, "some load")
    validate.stop()
    old = set_back(stack, "sluice-validate", topic, 0.1)
    reread = sum(offset - int(offset * 0.1) for offset in old.values())
    validate.start()
    validate.wait_ready()
    wait_for(lambda: metric(limit, "sluice_samples_rejected_total", reason="duplicate_batch") > 10_000, 60,
             "duplicates")
    sent = load.stop()
    wait_caught_up(stack, "sluice-validate", [topic])
    wait_caught_up(stack, "sluice-limit", ["metrics.valid"])
    verdict = limit_oracle.check(stack, 7_200_000, lambda tenant: 300)
    say(f"{reread} ingest records read twice, {sent['samples']} samples sent: {verdict}")
    assert verdict.problems == [] and verdict.n_duplicates > 0
    admitted = [limit_oracle.Batch(r) for r in stack.read_committed("metrics.admitted")]
    origins = collections.Counter(b.origin for b in admitted if not b.is_heartbeat)
    assert set(origins.values()) == {1}
    valid = {limit_oracle.Batch(r).origin for r in stack.read_committed("metrics.valid")}
    assert valid == set(origins)
    code, report = load.verify("--topic", "metrics.admitted", "--brokers", stack.bootstrap,
                               "--dlq-topic", "metrics.dlq")
    assert code == 0, report
    closes(limit)
