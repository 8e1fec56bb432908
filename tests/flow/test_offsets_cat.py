"""sluice-offsets cat and help: every kind of record that sluice's topics hold, as the workers or a stock Avro library
wrote them; what is aborted, open or gone."""
import io
import json
import re
import time

import confluent_kafka
import fastavro
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form

from deploy.local.places import ROOT
from tests.flow import batches, offsets_tool, otlp, rollup_check, rollup_logs
from tests.flow.offsets_tool import create_topic, lines, produce, run
from tests.flow.stack import wait_for

T0 = 1_700_000_000_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with offsets_tool.cluster(tmp_path_factory, "cat") as stack:
        create_topic(stack, "series", 2)
        points = [batches.counter("hits_total", 12.5, queue="a"), batches.counter("hits_total", float("nan"), queue="b"),
                  batches.gauge("players", 7, region="eu"),
                  batches.native("latency", [(3, 2), (9, 1)], 4.5), batches.classic("lag", (1.0, 5.0), (4, 3, 2), 20.0)]
        produce(stack, "series", [batches.batch("gs-1", points, T0, offset=41, index=2), batches.heartbeat(T0 + 1)],
                key=b"\x01\xff")
        produce(stack, "series", [batches.batch("gs-2", [batches.gauge("fps", 60)], T0 + 5, tenant="studio-b"),
                                  b"no batch", b'{"from": "a tenant"}'], partition=1)
        yield stack


def test_batches_show_their_points(stack):
    batch, beat = lines(run(stack, "cat", "series/0"))
    assert (batch["topic"], batch["partition"], batch["offset"], batch["kind"]) == ("series", 0, 0, "batch")
    assert batch["key"] == "hex:01ff" and abs(batch["timestamp_ms"] / 1000 - time.time()) < 600
    value = batch["value"]
    assert value["tenant"] == "demo" and value["source_name"] == "gs-1" and value["received_ms"] == T0
    assert value["source"] == f"{batches.source_id('gs-1'):016x}"
    assert value["origin"] == {"topic": "metrics.ingest.demo", "topic_id": "BwcHBwcHBwcHBwcHBwcHBw", "partition": 0,
                               "offset": 41, "index": 2}
    points = {(p["metric"], p["labels"].get("queue")): p for p in value["points"]}
    hits = points["hits_total", "a"]
    assert hits["value"] == 12.5 and hits["kind"] == "counter" and hits["time_ms"] == T0
    assert points["hits_total", "b"]["value"] == "NaN" and points["players", None]["labels"] == {"region": "eu"}
    assert points["latency", None]["value"]["positive"] == {"3": 2, "9": 1}
    assert points["latency", None]["value"]["sum"] == 4.5 and points["latency", None]["value"]["schema"] == 3
    lag = points["lag", None]["value"]
    assert lag == {"count": 9, "sum": 20.0, "bounds": [1.0, 5.0], "counts": [4, 3, 2]}
    assert beat["kind"] == "heartbeat" and beat["value"]["received_ms"] == T0 + 1


def test_filters_and_the_end_after_n(stack):
    assert [r["partition"] for r in lines(run(stack, "cat", "series"))] == [0, 0, 1, 1, 1]
    only = lines(run(stack, "cat", "series", "--metric", "hits_*"))
    assert [p["metric"] for r in only for p in r["value"]["points"]] == ["hits_total"] * 2
    assert [r["value"]["tenant"] for r in lines(run(stack, "cat", "series", "--tenant", "studio-b"))] == ["studio-b"]
    assert lines(run(stack, "cat", "series", "--tenant", "studio-b", "--metric", "hits_*")) == []
    assert len(lines(run(stack, "cat", "series", "--limit", "1"))) == 1
    assert [r["offset"] for r in lines(run(stack, "cat", "series/0", "--from", "1"))] == [1]
    assert [r["offset"] for r in lines(run(stack, "cat", "series/1", "--to", "1"))] == [0]
    assert len(lines(run(stack, "cat", "series", "--from", "-1h"))) == 5
    assert lines(run(stack, "cat", "series", "--from", f"@{time.time() + 3600:.0f}")) == []
    assert lines(run(stack, "cat", "series", "--to", "2001-01-01T00:00:00Z")) == []
    assert lines(run(stack, "cat", "series", "--from", "end")) == []


def test_what_is_no_record_of_ours_is_told_not_shown(stack):
    _, bad, text = lines(run(stack, "cat", "series/1"))
    assert bad["kind"] == "payload" and bad["value"] == {"bytes": 8}
    assert text["kind"] == "json" and text["value"] == {"from": "a tenant"}
    create_topic(stack, "metrics.ingest.studio-b", 1)
    produce(stack, "metrics.ingest.studio-b", [b'{"player": "ana"}'], headers={"content-type": "text/json"})
    done = run(stack, "cat", "metrics.ingest.studio-b/0/0")
    assert lines(done)[0]["value"] == {"bytes": 17} and "ana" not in done.stdout
    assert lines(done)[0]["headers"] == {"content-type": "text/json"}
    create_topic(stack, "damaged", 1)
    produce(stack, "damaged", [batches.batch("gs-1", [batches.gauge("x", 1)], T0)[:-9], None])
    cut, gone = lines(run(stack, "cat", "damaged"))
    assert cut["kind"] == "unreadable" and "error" in cut["value"] and gone["kind"] == "tombstone"


def test_one_record_and_why_there_is_none(stack):
    assert [r["kind"] for r in lines(run(stack, "cat", "series/0/1"))] == ["heartbeat"]
    for place, code, words in (
            ("series/0/99", 1, r"series\[0\]: there is no offset 99 yet: the log ends at 2"),
            ("series/7", 2, r"series has 2 partitions, 0 to 1: there is no 7"),
            ("nothing", 2, r"topic nothing does not exist"),
            ("series/x", 2, r'"series/x" is not TOPIC'), ("series/0/-1", 2, "is not TOPIC"), ("", 2, "is not TOPIC")):
        done = run(stack, "cat", place)
        assert done.returncode == code and re.search(words, done.stderr), (place, done)
    create_topic(stack, "short", 1)
    produce(stack, "short", [b"a", b"b", b"c"])
    place = confluent_kafka.TopicPartition("short", 0, 2)
    stack.admin.delete_records([place])[place].result()
    done = run(stack, "cat", "short/0/1")
    assert done.returncode == 1 and "offset 1 is past retention: the log begins at 2" in done.stderr
    assert [r["offset"] for r in lines(run(stack, "cat", "short", "--from", "0"))] == [2]


def test_aborted_records_and_markers_never_show_and_open_ones_are_told(stack):
    create_topic(stack, "txn", 1)
    producer = stack.producer(transactional_id="aborter")
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("txn", b"aborted")
    producer.flush()
    producer.abort_transaction()
    wait_for(lambda: stack.ends("txn")[0] == 2, what="the first one's marker")
    with offsets_tool.transaction(stack, "txn", [b"kept"]):
        done = run(stack, "cat", "txn")
        assert lines(done) == []
        assert re.search(r"txn\[0\]: what lies from offset 2 on \(the log ends at 3\) is behind an open transaction",
                         done.stderr)
        done = run(stack, "cat", "txn/0/2")
        assert done.returncode == 1 and "is behind an open transaction (from 2 on)" in done.stderr
    wait_for(lambda: stack.ends("txn")[0] == 4, what="the marker")
    assert [r["offset"] for r in lines(run(stack, "cat", "txn"))] == [2]
    for offset in (0, 1, 3):  # aborted, and the markers
        done = run(stack, "cat", f"txn/0/{offset}")
        assert done.returncode == 1 and "holds no committed record" in done.stderr


def test_bad_usage_is_named():
    for arguments, words in (
            (["cat"], "cat: of what?"), (["cat", "a", "b"], '"b" is one word too many'),
            (["cat", "a", "--from", "monday"], "--from monday: neither earliest"),
            (["cat", "a", "--limit", "0"], "--limit 0: must be a number from 1 on"),
            (["cat", "a", "--limit"], "--limit needs a value"), (["cat", "a", "--force"], "--force does not go with cat"),
            (["cat", "a", "--nonsense"], "--nonsense is no option of cat"),
            (["cat", "a/0/1", "--from", "2"], "--from and --to don't go with it"),
            (["cats"], '"cats" is no command'), (["help", "moon"], 'no help on "moon"')):
        done = run(None, *arguments, kafka__bootstrap__servers="127.0.0.1:1", connect_timeout_ms=100)
        assert done.returncode == 2 and words in done.stderr, (arguments, done)


def test_help_of_each_command():
    for topic, words in (("cat", "Only what is committed shows"), ("places", "2026-11-27T10:00:00Z"),
                         ("topics", "apply"), ("reset", "rollup")):
        done = run(None, "help", topic)
        assert done.returncode == 0 and words in done.stdout
    assert "exit codes" in run(None, "help").stdout and "connect_timeout_ms" in run(None, "cat", "--help").stdout


def test_brokers_that_are_away_are_told_soon():
    began = time.monotonic()
    done = run(None, "cat", "series", kafka__bootstrap__servers="127.0.0.1:1", connect_timeout_ms=1000)
    assert done.returncode == 1 and "no broker of 127.0.0.1:1 answers within 1000 ms" in done.stderr
    assert time.monotonic() - began < 30  # on a machine that may be busy
    assert "connect_timeout_ms" in (keys := run(None, "cat", "--help").stdout) and "8000" in keys


def test_states_leases_controls_rows_and_letters_of_the_workers(new_stack):
    """A small stack of real workers, and what each of its topics holds."""
    stack = new_stack()
    stack.create_all_topics()
    workers = [stack.worker(kind, ready=False) for kind in ("validate", "limit")]
    for worker in workers:
        worker.wait_ready()
    server = otlp.resource()
    otlp.counter(server, "hits_total", 5, otlp.now_ms())
    otlp.counter(server, "bad_total", 5, otlp.now_ms(), player_id="p-1")
    produce(stack, "metrics.ingest.demo", [otlp.message(server)], partition=3)
    wait_for(lambda: any(r["kind"] == "batch" for r in lines(run(stack, "cat", "metrics.admitted"))), what="a batch")

    def kinds(topic):
        return {r["kind"]: r for r in lines(run(stack, "cat", topic))}

    letter = kinds("metrics.dlq")["dead_letter"]
    assert letter["value"]["metric"] == "bad_total" and letter["value"]["origin"]["partition"] == 3
    assert letter["value"]["label"] == "player_id" and "p-1" not in json.dumps(letter)
    assert len(letter["value"]["points"]) == 1 and letter["key"] == "demo"
    assert letter == lines(run(stack, "cat", "metrics.dlq", "--tenant", "demo", "--metric", "bad*"))[0]
    assert lines(run(stack, "cat", "metrics.dlq", "--metric", "hits*")) == []
    state = kinds("sluice.limit")
    batch = kinds("metrics.admitted")["batch"]["value"]
    group = state["limit_source"]["value"]["groups"][0]
    assert group["metric"] == "hits_total" and group["series"] == batch["points"][0]["series"]
    highs = [high for r in lines(run(stack, "cat", "sluice.limit")) if r["kind"] == "limit_partition"
             for high in r["value"]["highs"]]
    assert {high["topic"] for high in highs} == {"metrics.ingest.demo"}


def avro_record(name, record):
    """By a stock Avro library, from the schema's file."""
    schema = fastavro.parse_schema(json.loads((ROOT / f"schemas/{name}.avsc").read_text()))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    head = bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
    return b"\xc3\x01" + head + out.getvalue()


def test_leases_ticks_and_gaps_as_a_stock_library_writes_them(stack):
    create_topic(stack, "sluice.leases", 1)
    lease = {"kind": 1, "tenant": "demo", "metric": "hits_total", "partition": 3, "granted": 10, "returned": 2, "use": 4,
             "demand": 5, "need": 6}
    grants = {"kind": 0, "tenant": "demo", "metric": "", "number": 7, "value": 1000, "base": 0, "room": 2, "over": 0,
              "granted": [5, 0, 1 << 40]}
    gap = {"sink": "sluice-amp", "tenant": "demo", "source": -5, "from_ms": T0, "to_ms": T0 + 9, "reason": "too_old_to_send",
           "samples": 12, "topic": "metrics.admitted", "topic_id": b"\x07" * 16, "partition": 1, "first_offset": 3,
           "last_offset": 8}
    values = [avro_record("limit_lease", lease), avro_record("limit_grants", grants),
              avro_record("limit_tick", {"sent_ms": T0}), avro_record("gap", gap)]
    produce(stack, "sluice.leases", [*values, values[1][:-3], values[0] + b"x"])
    rows = lines(run(stack, "cat", "sluice.leases"))
    times = {"from_ms": T0, "to_ms": T0 + 9}  # fastavro's timestamps are the numbers
    assert [r["kind"] for r in rows] == ["lease", "grants", "tick", "gap", "unreadable", "unreadable"]
    assert rows[0]["value"] == lease and rows[1]["value"] == grants and rows[2]["value"] == {"sent_ms": T0}
    assert rows[3]["value"] == {**gap, **times, "topic_id": "BwcHBwcHBwcHBwcHBwcHBw"}
    assert "can't be read at byte" in rows[4]["value"]["error"]


def test_rows_of_rollups(stack):
    rollup_check.create_topics(stack, 2)
    create_topic(stack, "metrics.dlq", 2)
    rollup_check.put(stack, rollup_logs.generate(seed=3, n_messages=400, n_servers=4, n_partitions=2), 2, end_s=600)
    worker = stack.worker("rollup", ready=False)
    wait_for(lambda: rollup_check.is_through(stack), 60, "the minutes")
    worker.process.kill()
    rows = lines(run(stack, "cat", "metrics.rollup.1m"))
    n_records = len(stack.read_committed("metrics.rollup.1m"))
    assert len(rows) == n_records and {"rollup"} <= {r["kind"] for r in rows} <= {"rollup", "amend"}
    points = [p for r in rows for p in r["value"].get("points", [])]
    assert {p["kind"] for p in points} >= {"counter", "gauge"}
    assert all({"total", "delta", "last", "samples"} <= set(p) for p in points if p["kind"] == "counter")
    assert all({"sum", "min", "max", "last"} <= set(p) for p in points if p["kind"] == "gauge")
    assert all(r["value"]["window_ms"] == 60000 and r["value"]["end_ms"] % 60000 == 0 for r in rows)
    assert "heartbeat" in {r["kind"] for r in lines(run(stack, "cat", "metrics.rollup.5m"))}
