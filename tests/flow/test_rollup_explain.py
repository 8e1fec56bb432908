"""sluice-rollup --explain: what it says of a row holds, and the replay gives the very row; on real Kafka."""
import concurrent.futures
import json
import math
import subprocess

import pytest

from tests.flow import batches, rollup_check, rollup_logs, rollup_records
from tests.flow.rollup_logs import Message
from tests.flow.rollup_oracle import Stream
from tests.flow.rollup_values import Sample, Series
from tests.flow.stack import StackUnderTest, wait_for

PARTITIONS = 2
C, D = Series("hits_total", "counter"), Series("kills_total", "counter", "delta")
SMALL = {"max_row_bytes": 4096}


def known_story(log):
    """A source whose rows are known in advance, behind the log."""
    t0_ms = (max(m.received_ms for m in log) // 60_000 + 10) * 60_000
    start = t0_ms - 10 ** 8

    def say(at_s, *points):
        return Message(batches.partition_of("known", PARTITIONS), t0_ms + at_s * 1000, "demo", "known", "standard",
                       [(series, Sample(t0_ms + ts * 1000, begun, value)) for series, ts, value, begun in points])

    return [say(10, (C, 10, 5.0, start), (D, 10, 1.0, 0)), say(20, (C, 20, 7.0, start)), say(21, (C, 20, 8.0, start)),
            say(30, (C, 30, 2.0, start)), say(40, (C, 40, 9.0, t0_ms + 35_000)), say(50, (C, 50, None, start)),
            say(80, (C, 80, 11.0, t0_ms + 35_000)), say(81, (C, 15, 6.0, start), (D, 15, 4.0, 0))]


def explain(stack, topic, partition, offset, *arguments):
    return explain_text(stack, f"{topic}/{partition}/{offset}", *arguments)


def explain_text(stack, place, *arguments):
    command = [stack.places.binary("sluice-rollup"), "--explain", place,
               "--set", f"kafka.bootstrap.servers={stack.bootstrap}", "--set", "max_row_bytes=4096", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def explained(stack, topic, partition, offset, *arguments):
    done = explain(stack, topic, partition, offset, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A stack with rows of all three windows, most of them in several records."""
    stack = StackUnderTest(tmp_path_factory.mktemp("explain"))
    stack.kafka.start()
    rollup_check.create_topics(stack, PARTITIONS)
    stack.create_topic("metrics.dlq", PARTITIONS)
    log = rollup_logs.generate(seed=6, n_messages=1500, n_servers=6, n_partitions=PARTITIONS)
    rollup_check.put(stack, log + known_story(log), PARTITIONS, end_s=30000)
    stack.worker("rollup", name="minutes", ready=False, **SMALL)
    stack.worker("rollup", name="hours", ready=False, window="1h", topics=["metrics.rollup.5m"], **SMALL)
    wait_for(lambda: rollup_check.is_through(stack) and rollup_check.hours_are_through(stack), 90, "rows")
    yield stack
    stack.stop()


def number(value):
    """A counter's number, or the observations of a histogram."""
    return value["count"] if isinstance(value, dict) else 0 if value is None else float(value)


def check_series(series, in_log, stream):
    """Its samples are in the log; what was before, what they added and what was late come to the row."""
    row, kept = series["row"], [s for s in series["samples"] if s["effect"] not in ("replaced", "ended", "invalid")]
    assert row["samples"] == len(kept)
    for s in series["samples"]:
        points = in_log[s["offset"]]
        assert points.stream == stream
        assert any(p.ts == s["time_ms"] for _, p in points.points)
    if series["kind"] == "gauge":
        assert not kept or row["last"] == max(kept, key=lambda s: s["time_ms"])["value"]
        return
    late = number(row["late"]) if "late" in row else 0
    delta = sum(number(s["added"]) for s in kept) + late
    assert math.isclose(number(row["delta"]), delta, rel_tol=1e-9, abs_tol=1e-9), series
    before = number(series["before"]["total"]) if series["before"] else 0
    assert math.isclose(number(row["total"]), before + delta, rel_tol=1e-9, abs_tol=1e-9), series


def asked_of(stack):
    """[(topic, partition, offset)]: each so manieth record, and amends."""
    found = []
    for topic, step in (("metrics.rollup.1m", 6), ("metrics.rollup.5m", 9), ("metrics.rollup.1h", 6)):
        for p, own in rollup_check.by_partition(stack, topic).items():
            kinds = {offset: rollup_records.kind(value) for offset, _, value in own}
            rows = [offset for offset, kind in kinds.items() if kind == "row"][::step]
            found += [(topic, p, o) for o in rows + [offset for offset, kind in kinds.items() if kind == "amend"][:2]]
    return found


def test_every_kind_of_row_is_explained(generated, say):
    in_log = {p: {e.offset: e for e in own} for p, own in rollup_check.entries_of(generated).items()}
    asked, effects, causes = asked_of(generated), set(), set()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda a: explained(generated, *a), asked))
    for (topic, p, _), told in zip(asked, found, strict=True):
        assert told["reproduced"] and told["rows"], told["row"]
        causes |= {row["closed_by"] for row in told["rows"]}
        if topic == "metrics.rollup.1h":
            continue
        stream = Stream(told["tenant"], batches.as_long(int(told["source_id"], 16)), told["class"])
        for row in told["rows"]:
            for series in row["series"]:
                check_series(series, in_log[p], stream)
                effects |= {s["effect"] for s in series["samples"]}
            effects |= {s["effect"] for s in row["late"]}
    say(f"{len(asked)} rows: closed by {sorted(causes)}; samples {sorted(effects)}")
    assert {topic for topic, *_ in asked} == set(rollup_check.ROLLUPS) and len(asked) > 30
    assert causes >= {"watermark", "silence", "age"}
    assert effects >= {"baseline", "born", "grew", "reset_fall", "added", "ended", "replaced", "late", "late_in_next_total"}


def test_five_minutes_are_their_minutes_and_an_hour_its_fives(generated):
    """Total and delta of the row from the rows that it was made of."""
    n = 0
    for topic, p, offset in asked_of(generated):
        if topic == "metrics.rollup.1m" or n == 6:
            continue
        told, n = explained(generated, topic, p, offset, "--metric", "c0_total"), n + 1
        parts = [row for row in told["rows"] if row["kind"] == "row"] if topic == "metrics.rollup.5m" else \
                told["rows"][0]["inputs"]
        whole = told["series"] if topic == "metrics.rollup.5m" else told["rows"][0]["series"]
        assert parts
        rows = [s["row"] for part in parts for s in part["series"]]
        for series in whole:
            assert series["row"]["total"] == rows[-1]["total"]
            assert math.isclose(series["row"]["delta"], sum(r["delta"] for r in rows), abs_tol=1e-9)


def rows_of_known(stack):
    p = batches.partition_of("known", PARTITIONS)
    source = batches.source_id("known", "demo")
    found = [r for r in stack.read_committed("metrics.rollup.1m") if r.partition() == p]
    return [("metrics.rollup.1m", p, r.offset()) for r in found if int.from_bytes(r.key(), "little") == source]


def test_a_known_story_is_told(generated):
    """An unknown past, growth, the same time twice, a fall, a new start, a stale marker; then what came late."""
    first, second, *_ = rows_of_known(generated)  # the 5 m window's end brings an empty one
    told = explained(generated, *first)
    counter = next(s for s in told["rows"][0]["series"] if s["metric"] == "hits_total")
    assert counter["before"] is None and told["rows"][0]["closed_by"] == "watermark"
    assert [(s["effect"], s["value"], s["added"]) for s in counter["samples"]] == [
        ("replaced", 7, 0), ("baseline", 5, 0), ("grew", 8, 3), ("reset_fall", 2, 2), ("reset_start", 9, 9), ("ended", None, 0)]
    assert counter["row"]["total"] == 14 and counter["row"]["ended"]
    assert [(s["metric"], s["value"]) for s in told["too_late"]] == [("hits_total", 6), ("kills_total", 4)]
    told = explained(generated, *second)
    series = {s["metric"]: s for s in told["rows"][0]["series"]}
    assert told["rows"][0]["closed_by"] == "silence" and series["hits_total"]["before"]["total"] == 14
    assert [(s["effect"], s["value"], s["came_after_ms"]) for s in told["rows"][0]["late"]] == [
        ("late_in_next_total", 6, 66_000), ("late", 4, 66_000)]
    assert series["kills_total"]["samples"] == [] and series["kills_total"]["row"]["late"] == 4
    text = explain(generated, *first).stdout
    for words in ("the very same row", "source known", "hits_total, counter", "before: nothing is known", "reset: it fell",
                  "row: total 14, delta 14, last 9", "came when the window had closed"):
        assert words in text, text
    only = explain(generated, *first, "--metric", "kills*").stdout
    assert "kills_total" in only and "hits_total" not in only


@pytest.mark.parametrize("place, code, words", [
    ("metrics.rollup.1m/0", 2, "TOPIC/PARTITION/OFFSET"),
    ("metrics.rollup.1m/x/1", 2, "TOPIC/PARTITION/OFFSET"),
    ("metrics.rollup.1m/0/99999", 2, "has offsets 0 to"),
    ("metrics.rollup.1m/9/0", 2, "2 partitions"),
    ("metrics.rollup.9m/0/0", 2, "metrics.rollup.9m"),
    ("metrics.admitted/0/1", 2, "no row of a rollup")])
def test_what_cannot_be_explained_is_told(generated, place, code, words):
    done = explain(generated, *place.rsplit("/", 2)) if place.count("/") == 2 else explain_text(generated, place)
    assert done.returncode == code and words in done.stderr


def test_rules_that_were_others_show(generated):
    """A replay by other rules gives another row, and says so."""
    _, closed_by_silence, *_ = rows_of_known(generated)
    done = explain(generated, *closed_by_silence, "--set", "source_idle_ms=600000")
    assert done.returncode == 1 and "source_idle_ms" in done.stderr and "ANOTHER row" in done.stdout
