"""`plan replay` of validate, limit and rollup: what a replay would come to is told in numbers, with what to use instead; nothing
can be applied. And what is of use instead: a rollup into topics of its own, to compare."""
import json

import pytest
from confluent_kafka import TopicPartition

from tests.flow import batches, messages, otlp, rollup_check, rollup_logs
from tests.flow.offsets_tool import commit, create_topic, produce
from tests.flow.replay_tool import Operator
from tests.flow.stack import StackUnderTest, wait_for

PARTITIONS, MINUTE_MS = 2, 60_000
ROWS_1M, ROWS_5M, _ = rollup_check.ROLLUPS


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = StackUnderTest(tmp_path_factory.mktemp("useless"))
    stack.kafka.start()
    rollup_check.create_topics(stack, PARTITIONS)
    for topic in ("metrics.ingest", "metrics.ingest.demo", "metrics.valid", "metrics.dlq"):
        create_topic(stack, topic, PARTITIONS)
    yield stack
    stack.stop()


@pytest.fixture
def tool(stack, tmp_path):
    """tool(stage, topic): with the configuration of that worker, keys and all."""
    def make(stage, topic):
        config = tmp_path / f"{stage}.json"
        config.write_text(json.dumps({"kafka.bootstrap.servers": stack.bootstrap, "policy": "policy.json", "cache_mb": 64,
                                      "lateness_ms": 15000}))
        return Operator(stack.places, config, stage, topic)
    return make


def planned(operator, *words, **keys):
    return operator.run("plan", "replay", "--stage", operator.stage, "--topic", operator.topic, "--from", "earliest", "--json",
                        *words, **keys).json


def refused_to_write(operator, tmp_path):
    told = operator.plan(tmp_path / "plan.json")
    assert told.code == 2 and "there is nothing to apply" in told.err and not (tmp_path / "plan.json").exists(), told


def test_validate(stack, tool, tmp_path):
    """Points of every format are counted, by tenant and by source; what the group has had is told from what it has not."""
    now = otlp.now_ms()
    server = otlp.resource("gs-1")
    for n in range(3):
        otlp.counter(server, f"hits_{n}_total", 5.0, now)
    produce(stack, "metrics.ingest.demo", [otlp.message(server)] * 2 + [b"\xff"], key=b"gs-1")
    points = [{"metric": "a_total", "kind": "COUNTER", "value": 1.0, "time_ms": now}]
    produce(stack, "metrics.ingest.demo", [messages.tenant_record(points)], partition=1, key=b"gs-2")
    written = messages.write_1([({"__name__": "b_total", "shard_id": "s"}, [(1.0, now), (2.0, now + 1)])])
    produce(stack, "metrics.ingest", [messages.snappy(written)], key=b"gs-3",
            headers=[("sluice-tenant", b"studio-b"), *messages.REMOTE_WRITE_1])
    commit(stack, "sluice-validate", "metrics.ingest.demo", {0: 2, 1: 0})
    operator = tool("validate", "metrics.ingest.demo")
    report = planned(operator, "--rate", "2")
    assert (report["records"], report["samples"], report["unreadable"], report["sources"]) == (4, 7, 1, 2)
    assert report["tenants"] == {"demo": 7} and report["seconds"] == 3.5 and report["bytes"] > 100 and "plan" not in report
    assert report["effect"] == {"records_that_it_has_had": 2, "records_that_it_reads_by_itself": 2,
                                "samples_that_would_change": 0}
    assert "dlq redrive" in " ".join(report["risks"])
    report = planned(tool("validate", "metrics.ingest"))
    assert (report["samples"], report["tenants"], report["unreadable"]) == (2, {"studio-b": 2}, 0)
    refused_to_write(operator, tmp_path)
    text = operator.run("plan", "replay", "--stage", "validate", "--topic", "metrics.ingest.demo", "--from", "earliest",
                        "--rate", "7").out
    assert "about 1 s at 7 samples/s" in text and "\033" not in text


def test_limit(stack, tool, tmp_path):
    for server in ("gs-1", "gs-2", "gs-3"):
        produce(stack, "metrics.valid", [batches.batch(server, [batches.counter("hits_total", n), batches.gauge("players", n)],
                                                       otlp.now_ms()) for n in range(4)])
    commit(stack, "sluice-limit", "metrics.valid", {0: 12})
    operator = tool("limit", "metrics.valid")
    report = planned(operator)
    assert (report["records"], report["samples"], report["sources"]) == (12, 24, 3)
    assert report["effect"] == {"records_that_it_has_had": 12, "records_that_it_reads_by_itself": 0,
                                "samples_that_would_change": 0}
    assert "sluice-control limit set" in " ".join(report["risks"]) and "--stage limit" in " ".join(report["risks"])
    refused_to_write(operator, tmp_path)
    wrong = tool("limit", "metrics.admitted").plan(tmp_path / "none.json")
    assert wrong.code == 2 and "none of those" in wrong.err and "metrics.valid" in wrong.err, wrong


def rows_of(stack, topic):
    return {p: [(timestamp, value) for _, timestamp, value in records]
            for p, records in rollup_check.by_partition(stack, topic).items()}


def test_rollup_and_side_topics(stack, tool, tmp_path, say):
    """What the horizon lets in is told; so are rows that retention has taken and rollup would need. Into topics of its own the
    same log gives the same rows, byte for byte."""
    log = rollup_logs.generate(seed=3, n_messages=400, n_servers=6, n_partitions=PARTITIONS)
    rollup_check.put(stack, log, PARTITIONS, end_s=1800)
    live = stack.worker("rollup", name="live")

    def all_read():
        done, ends = stack.committed("sluice-rollup", rollup_check.ADMITTED), stack.ends(rollup_check.ADMITTED)
        through = {p: done.get(p, (0, ""))[1].split() for p in ends}
        return all(words and int(words[3]) >= end - 1 for (p, words), end in zip(through.items(), ends.values()))
    wait_for(all_read, 60, "the live rollup at the end")
    live.stop()
    operator = tool("rollup", rollup_check.ADMITTED)
    report = planned(operator)
    effect = report["effect"]
    say(f"{effect}")
    n_old, log_ms = 0, [0] * PARTITIONS
    for message in log:
        log_ms[message.partition] = max(log_ms[message.partition], message.received_ms)
        n_old += sum(sample.ts < log_ms[message.partition] - MINUTE_MS for _, sample in message.points)
    assert planned(operator, horizon_ms=MINUTE_MS)["effect"]["samples_beyond_the_horizon"] == n_old > 0
    assert effect["samples_beyond_the_horizon"] == 0
    assert report["samples"] == sum(len(m.points) for m in log) and effect["records_that_it_reads_by_itself"] == 0
    assert effect["samples_that_would_change"] == effect["partitions_whose_older_rows_are_gone"] == 0
    risks = " ".join(report["risks"])
    assert "sluice-offsets reset sluice-rollup --to" in risks and "topics of its own" in risks
    refused_to_write(operator, tmp_path)

    for topic in ("side.1m", "side.5m"):
        stack.create_topic(topic, PARTITIONS, message_timestamp_type="CreateTime", retention_ms=-1)
    stack.worker("rollup", name="side", group="rollup-experiment", rollup_1m_topic="side.1m", rollup_5m_topic="side.5m")
    want = {topic: rows_of(stack, topic) for topic in (ROWS_1M, ROWS_5M)}
    wait_for(lambda: all(len(rows_of(stack, side).get(p, ())) == len(rows)
                         for side, topic in (("side.1m", ROWS_1M), ("side.5m", ROWS_5M)) for p, rows in want[topic].items()),
             60, "as many rows")
    assert rows_of(stack, "side.1m") == want[ROWS_1M] and rows_of(stack, "side.5m") == want[ROWS_5M]
    assert sum(map(len, want[ROWS_1M].values())) > 30

    cut = {p: end - 1 for p, end in stack.ends(ROWS_1M).items() if end > 0}
    places = [TopicPartition(ROWS_1M, p, offset) for p, offset in cut.items()]
    for future in stack.admin.delete_records(places).values():
        future.result()
    effect = planned(operator)["effect"]
    assert effect["partitions_whose_older_rows_are_gone"] == len(cut) > 0 and "samples_that_would_change" not in effect
