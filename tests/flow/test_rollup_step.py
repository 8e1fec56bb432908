"""The rollup worker's step, without Kafka, against the oracle: every column of every row of 1 m and 5 m, on generated logs
and on odd ones; and the hours' from what those give."""
import math
import os

import pytest

from tests.flow import rollup_logs, rollup_oracle, rollup_records, rollup_rows, rollup_truth
from tests.flow.histograms import Histogram
from tests.flow.rollup_logs import Message
from tests.flow.rollup_step import MARKERS_EVERY, cuts, step, with_offsets
from tests.flow.rollup_values import Classic, Sample, Series

N_LOGS = int(os.environ.get("ROLLUP_LOGS", "40"))
T0 = 1_789_999_200_000
C, G, D = Series("hits_total", "counter"), Series("players", "gauge"), Series("kills_total", "counter", "delta")
E, DE = Series("latency", "exponential_histogram"), Series("packets", "exponential_histogram", "delta")
K = Series("tick", "classic_histogram", bounds=(1.0, 5.0))
DK = K._replace(metric="frames", temporality="delta")
STALE = None


def wanted(values):
    return rollup_oracle.rows([rollup_records.entry(offset, value) for offset, _, value in values])


def compared(values, want, *how, **window):
    """(what differs, how many rows there are)"""
    ones, fives = step(values, *how, **window)
    got = rollup_records.records(ones) + rollup_records.records(fives)
    found = rollup_rows.differences(want, [r.row for r in got])
    return found + [f"not canonical: {r.row}" for r in got if not r.is_canonical], len(got)


def problems(messages):
    values = with_offsets(messages)
    return compared(values, wanted(values))


@pytest.mark.parametrize("seeds", [range(at, at + 10) for at in range(0, N_LOGS, 10)], ids=str)
def test_generated_logs_give_the_oracles_rows(seeds):
    n_rows = 0
    for seed in seeds:
        own = {}
        for m in rollup_logs.generate(seed, 600, 6, 2):
            own.setdefault(m.partition, []).append(m)
        for messages in own.values():
            found, n = problems(messages)
            assert found == [], f"seed {seed}, partition {messages[0].partition}"
            n_rows += n
    assert n_rows > 500


@pytest.mark.parametrize("seeds", [range(at, at + 4) for at in range(10_000, 10_000 + N_LOGS // 2, 4)], ids=str)
def test_crashes_and_resets_of_the_group_do_not_show(seeds):
    """Histograms of changing schema among the state that rows carry."""
    for seed in seeds:
        values = with_offsets(rollup_logs.generate(seed))
        want = wanted(values)
        for crashes in (seed, seed + 1000, seed + 2000):
            assert compared(values, want, crashes)[0] == [], f"log {seed}, crashes {crashes}"


def test_rows_in_parts_are_the_same_rows():
    """Records so small that many a row needs several, late amounts too; through crashes as well."""
    n_parts = 0
    for seed in range(4):
        values = with_offsets(rollup_logs.generate(seed))
        want = wanted(values)
        for crashes in (0, seed + 1):
            ones, fives = step(values, crashes, "none", 1400)
            found = rollup_records.records(ones) + rollup_records.records(fives)
            assert rollup_rows.differences(want, [r.row for r in found]) == [], f"log {seed}, crashes {crashes}"
            n_parts += len(ones + fives) - len(found)
    assert n_parts > 300


def test_late_amounts_too_large_for_a_record_come_in_parts():
    """Of every kind; a window's by series."""
    kinds = [(G, 1.0), (D, 2.0), (DE, exponential(3, 1.0, i1=1, i7=2)), (DK, classic(0.5, 1, 2, 0))]
    late = [(s._replace(labels=("name", f"{i:0>40}")), v) for s, v in kinds for i in range(40)]
    log = [say(0, (G, ts, 0.0)) for ts in (0, 60, 120, 200)]
    log += [say(2 + i, *[(s, ts, v) for s, v in late]) for i, ts in enumerate((1, 2, 70, 130))] + [say(9, (G, 300, 0.0))]
    values = with_offsets(log + ENDING)
    ones, fives = step(values, 0, "none", 4096)
    assert max(len(value) for _, _, value in ones) <= 4096
    found = rollup_records.records(ones) + rollup_records.records(fives)
    assert rollup_rows.differences(wanted(values), [r.row for r in found]) == []
    assert sum(len(r.row.amends) for r in found) == 3 * len(late)


def partitions_of(seed, n_messages, n_servers, n_partitions):
    """[records] of partitions, with time behind them for all to close."""
    messages = rollup_logs.generate(seed, n_messages, n_servers, n_partitions)
    last_ms = max(m.received_ms for m in messages)
    own = [[m for m in messages if m.partition == p] for p in range(n_partitions)]
    return [with_offsets(mine + [Message(0, last_ms + at_s * 1000) for at_s in range(60, 11460, 600)]) for mine in own]


def test_wherever_the_run_is_cut_off_it_goes_on_the_same():
    """Each commit that there can be, the rest of the log from each: the rows and their order, and what is committed next."""
    n_cuts = 0
    for seed in (5, *range(N_LOGS // 20)):
        for values in partitions_of(seed, 2400, 24, 12):
            n, n_wrong, said = cuts(values)
            assert n_wrong == 0, f"log {seed}: {said}"
            n_cuts += n
    for seed in range(N_LOGS // 10):
        n, n_wrong, said = cuts(fives_of(with_offsets(rollup_logs.generate(seed))), window="hours")
        assert n_wrong == 0, f"log {seed}: {said}"
        n_cuts += n
    assert n_cuts > 3000


def test_streams_that_close_in_any_order_show():
    """Those of a source whose time is up at once: a heap's order is that of a process's past."""
    values = partitions_of(5, 2400, 24, 12)[7]
    n, n_wrong, said = cuts(values, "any_order")
    assert 0 < n_wrong < n and "other is row 2" in said


@pytest.mark.parametrize("fault", ["no_closed_at", "no_horizon"])
def test_crashes_show_when_a_rule_of_recovery_is_left_out(fault):
    def shows(seed):
        values = with_offsets(rollup_logs.generate(seed))
        return compared(values, wanted(values), seed, fault)[0]

    assert any(shows(seed) for seed in range(200, 230))


# ---- hours


def fives_of(values):
    """metrics.rollup.5m as these records of metrics.admitted make it."""
    _, fives = step(values)
    entries = [rollup_records.entry(offset, value) for offset, _, value in values]
    times = rollup_oracle.LogTime(entries, rollup_oracle.MINUTES).times
    beats = [(at_ms, e.offset, rollup_records.heartbeat(e.offset)) for e, at_ms in zip(entries, times) if e.stream is None]
    records = rollup_records.records(fives)
    rows = [(at_ms, r.row.closed_at, value) for (_, at_ms, value), r in zip(fives, records, strict=True)]
    found = sorted(beats + rows, key=lambda f: f[:2])
    return [(i + i // MARKERS_EVERY, at_ms, value) for i, (at_ms, _, value) in enumerate(found)]


def wanted_hours(values):
    return rollup_oracle.hour_rows(rollup_records.hour_entries(rollup_records.records(values)))


def test_generated_logs_give_the_oracles_hours():
    """Undisturbed, and through crashes."""
    n_rows = 0
    for seed in range(N_LOGS // 2):
        log = rollup_logs.generate(seed)
        values = fives_of(with_offsets(log + ending(log)))
        want = wanted_hours(values)
        for crashes in (0, seed + 1, seed + 1001):
            found, n = compared(values, want, crashes, window="hours")
            assert found == [], f"log {seed}, crashes {crashes}"
        n_rows += n
    assert n_rows > 200


def ending(log):
    """Hours of heartbeats, so that all closes."""
    last_ms = max(m.received_ms for m in log)
    return [Message(0, last_ms + 300_000 * i) for i in range(1, 40)]


# ---- odd logs


def say(s, *points, source="gs"):
    """points: (series, ts in s, value[, start in s])"""
    return Message(0, T0 + round(s * 1000), "demo", source, "standard", [
        (series, Sample(T0 + round(ts * 1000), T0 + round(start[0] * 1000) if start else 0, value))
        for series, ts, value, *start in points])


def beat(s):
    return Message(0, T0 + s * 1000)


def exponential(schema, total=0.0, threshold=0.0, zero=0, nan=0, **positive):
    side = {int(index[1:]): n for index, n in positive.items()}
    return Histogram(schema, threshold, zero, zero + nan + sum(side.values()), total, ({}, side))


def classic(total, *counts, has_sum=True):
    return Classic(sum(counts), counts, total, has_sum)


ODD = {
    "zeros of both signs": [say(0, (G, 0, 0.0)), say(1, (G, 1, -0.0)), say(2, (G, 65, -0.0)), say(3, (G, 66, 0.0)), say(4, (D, 5, -0.0)),
                            say(5, (C, 5, -0.0)), say(6, (C, 66, 0.0))],
    "negative counters": [say(0, (C, 0, -5.0), (D, 0, -1.0)), say(1, (C, 1, -7.0), (D, 1, 3.0)), say(2, (C, 2, 4.0)), say(3, (C, 70, -4.0))],
    "largest and least doubles": [say(0, (C, 0, 1e308, -5), (D, 0, 1e308)), say(1, (C, 1, -1e308), (D, 1, 1e308)), say(2, (C, 2, 1.7e308)),
                                  say(3, (C, 70, 5e-324), (G, 70, 5e-324)), say(4, (C, 71, 1e-323))],
    "start behind the sample": [say(0, (C, 10, 5.0, 4000)), say(1, (C, 20, 6.0, 4000)), say(2, (C, 70, 6.0, 4000))],
    "times at the epoch and far ahead": [say(0, (G, -T0 / 1000, 1.0)), say(1, (G, 1e14, 1.0), (C, 0, 1.0)), say(2, (G, 0, 1.0))],
    "late and nothing": [say(0, (D, 0, 1.0), (G, 0, 1.0)), say(1, (G, 80, 1.0)), say(2, (D, 1, STALE), (G, 1, STALE), (DE, 2, STALE), (DK, 2, STALE)),
                         say(3, (D, 1, math.inf), (G, 1, math.inf)), say(4, (D, 2, math.nan), (G, 2, math.nan)), say(5, (G, 140, 1.0))],
    "late of series without a row": [say(0, (G, 0, 1.0)), say(1, (G, 80, 1.0)), say(2, (D, 1, 2.0), (DE, 2, exponential(3, i1=1)), (DK, 2, classic(0.5, 1, 0, 0))),
                                     say(4, (G, 140, 1.0))],
    "a stale marker first": [say(0, *[(s, 0, STALE, -5) for s in (C, G, D, E, DE, K, DK)]), say(1, (C, 70, 3.0, -5), (E, 70, exponential(3, i1=1), -5),
                             (K, 70, classic(0.5, 1, 0, 0))), say(3, (G, 140, 1.0))],
    "ended, then a late amount": [say(0, (D, 0, 1.0), (DE, 0, exponential(0, i1=1))), say(1, (D, 10, STALE), (DE, 10, STALE)), say(2, (G, 75, 0.0)),
                                  say(3, (D, 3, 5.0), (DE, 3, exponential(0, i1=4))), say(4, (G, 400, 1.0))],
    "delta, ended, and on": [say(0, (D, 0, 1.0), (DE, 0, exponential(0, i1=1)), (DK, 0, classic(0.5, 1, 0, 0))),
                             say(1, (D, 70, STALE), (DE, 70, STALE), (DK, 70, STALE)), say(2, (D, 130, 2.0)), say(4, (G, 400, 1.0))],
    "zero thresholds within buckets": [say(0, (E, 0, exponential(3, 0.0, 0.3, 3, i5=8), -5)), say(1, (E, 1, exponential(3, 0.0, 0.9, 4, i6=9), -5)),
                                       say(2, (E, 70, exponential(3, 0.0, 1.05, 4, i16=9), -5))],
    "buckets within the zero bucket": [say(i, (E, 30 * i, exponential(0, 0.0, 4.0, 1, i1=2, i2=3 + i, i3=4), -5)) for i in range(4)],
    "observations of NaN": [say(0, (E, 0, exponential(0, math.nan, nan=3, i1=2), -5)), say(1, (E, 1, exponential(0, math.nan, nan=4, i1=2), -5)),
                            say(2, (E, 2, exponential(0, math.nan, nan=2, i1=9), -5)), say(3, (E, 70, exponential(0, 1.0, i1=20), -5))],
    "infinite sums": [say(0, (E, 0, exponential(0, math.inf, i1=2), -5), (K, 0, classic(math.inf, 1, 1, 1), -5)),
                      say(1, (E, 1, exponential(0, math.inf, i1=3), -5), (K, 1, classic(math.nan, 1, 2, 1), -5)),
                      say(2, (E, 70, exponential(0, 1.0, i1=8), -5), (K, 70, classic(1.0, 1, 3, 1), -5))],
    "a sum comes and goes": [say(i, (K, 40 * i, classic(i / 8 * (i != 1), 1, 1 + i, 1, has_sum=i != 1), -5)) for i in range(6)],
    "a count that is not its buckets'": [say(i, (K, i, Classic(9 - i // 2, (1, 1 + i, 1), 1.0), -5)) for i in range(4)],
    "other bounds": [say(0, (K, 0, classic(0.5, 1, 0, 0))), say(1, (K._replace(bounds=(2.0,)), 10, classic(0.5, 2, 3), -5)), say(2, (G, 75, 0.0))],
    "kinds of one name": [say(0, (C, 0, 1.0)), say(1, (C._replace(kind="gauge"), 10, 4.0)), say(2, (C._replace(temporality="delta"), 20, 4.0)),
                          say(3, (C._replace(unit="s"), 20, 4.0)), say(4, (C, 70, 2.0))],
    "a schema rises when the state is unknown": [say(0, (E, 0, exponential(0, i1=1))), say(1, (E, 70, exponential(3, i5=1))), beat(3000), beat(8000),
                                                 say(8100, (E, 8100, exponential(5, i9=1))), say(8101, (E, 8170, exponential(5, i10=2)))],
    "nothing but time": [beat(0), beat(10)],
    "at the horizon's edge": [say(8000, (G, 0, 1.0)), say(8010, (G, 809.999, 1.0)), say(8020, (G, 820, 1.0)), say(8030, (G, 8030, 1.0))],
    "a message twice": [say(0, (D, 0, 1.0), (G, 0, 5.0))] * 2 + [say(1, (G, 80, 0.0))] + [say(2, (D, 0, 1.0), (G, 0, 5.0))] * 2 + [say(3, (G, 140, 0.0))],
}
ENDING = [beat(s) for s in range(3000, 12000, 1000)]


@pytest.mark.parametrize("name", ODD)
def test_odd_logs_give_the_oracles_rows(name):
    found, n = problems(ODD[name] + ENDING)
    assert found == []
    assert n > 0 or name == "nothing but time"


def test_rows_too_large_for_a_record_come_in_parts():
    """A message close to the largest: its row has more columns than it."""
    series = [Series("hits_total", "counter", labels=("name", f"{i:0>380}")) for i in range(19_000)]
    log = [say(i, *[(s, 30 * i, float(i), -5) for s in series]) for i in range(4)] + ENDING
    values = with_offsets(log)
    assert max(len(value) for _, _, value in values) > 7 << 20
    ones, fives = step(values)
    assert max(len(value) for _, _, value in ones + fives) <= 8 << 20
    found = [r.row for r in rollup_records.records(ones) + rollup_records.records(fives)]
    assert rollup_rows.differences(wanted(values), found) == []


def wide(n, n_bytes, at_s, ts_s, value, series=C):
    """Of a source with more series than a message takes, those numbers (a range), in one."""
    return say(at_s, *[(series._replace(labels=("name", f"{i:0>{n_bytes}}")), ts_s, value, -5) for i in n])


WIDE = {"more series than a record may have": (10_500, 6), "more bytes of labels": (5_000, 900)}


@pytest.mark.parametrize("name", WIDE)
def test_a_sources_messages_may_bring_more_together_than_a_record_may_have(name):
    """A budget in shadow mode lets them in: rows are split, and one source's series stop no partition."""
    n, n_bytes = WIDE[name]
    parts = [range(n), range(n, 2 * n)]
    log = [wide(part, n_bytes, s, s, float(s)) for s in (0, 60) for part in parts]
    log += [say(76, (G, 76, 1.0))] + [wide(part, n_bytes, 77, 1, 1.0, D) for part in parts]      # late, all of it
    log += ENDING
    values = with_offsets(log)
    want = wanted(values)
    for crashes in (0, 3):
        ones, fives = step(values, crashes)
        found = rollup_records.records(ones) + rollup_records.records(fives)
        assert rollup_rows.differences(want, [r.row for r in found]) == [] and len(found) < len(ones + fives)
    beats = [(ms, rollup_records.heartbeat(i)) for i, (_, ms, _) in enumerate(values) if ms > T0 + 3_000_000]
    hours = [(i, ms, value) for i, (ms, value) in enumerate([(ms, value) for _, ms, value in fives] + beats)]
    found = rollup_records.records(step(hours, window="hours")[0])
    assert rollup_rows.differences(wanted_hours(hours), [r.row for r in found]) == [] and len(found) == 1


@pytest.mark.parametrize("kind", rollup_truth.WORLDS, ids=lambda kind: kind.__name__)
def test_worlds_of_known_truth_give_the_oracles_rows(kind):
    """So what PromQL says of the oracle's rows (test_rollup_promql.py) holds of the worker's."""
    found, n = problems([m._replace(partition=0) for m in kind(5).in_order()])
    assert found == [] and n > 0


def test_a_wrong_row_shows():
    """The comparison itself: one bit, one row, the order."""
    values = with_offsets(ODD["negative counters"] + ENDING)
    got = rollup_records.records(step(values)[0])
    want = [r for r in wanted(values) if r.window_ms == 60_000]
    rows = [r.row for r in got]
    assert rollup_rows.differences(want, rows) == [] and len(rows) == 3
    assert rollup_rows.differences(want, rows[:1]) and rollup_rows.differences(want[:1], rows) and rollup_rows.differences(want, rows[::-1])
    (key, columns), = ((k, c) for k, c in rows[0].series.items() if k == C)
    vars_of = {**vars(columns), "total": math.nextafter(columns.total, math.inf)}
    rows[0].series[key] = type(columns)(**vars_of)
    assert rollup_rows.differences(want, rows)
