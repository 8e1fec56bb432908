"""Rollups become rows in objects of tables of their own: each series' row and each late amount once, every column as the
oracle's row has it, read by independent readers; raw samples of the same range beside them."""
from collections import defaultdict

import pytest

from tests.flow import batches, histograms, rollup_records
from tests.flow.parquet_rollups import RollupLoad, folder
from tests.flow.parquet_rows import HOUR_MS, Load, RangeFailed, in_order, produce, run_tool, scalar
from tests.flow.rollup_oracle import Row, Stream
from tests.flow.rollup_values import Classic, Gauge, Increase, Series
from tests.flow.test_parquet_rows import SMALL, digests, read_all

NOON = 1_780_056_000_000  # 2026-05-29T12:00Z


def check(directory, objects, rows, reader="pyarrow"):
    """rows: [(table, columns)]"""
    expected = defaultdict(list)
    for table, row in rows:
        expected[folder(table, row)].append(row)
    assert sorted(o["key"].rsplit("/", 1)[0] for o in objects) == sorted(expected)
    for key, found in read_all(directory, objects, reader).items():
        want = in_order(expected[key.rsplit("/", 1)[0]])
        assert len(found) == len(want), key
        for got, row in zip(found, want):
            differ = {c: (got.get(c), row.get(c)) for c in got.keys() | row.keys() if got.get(c) != row.get(c)}
            assert got == row, (key, differ)
    for o in objects:
        times = [row["ts_ms"] for row in expected[o["key"].rsplit("/", 1)[0]]]
        assert o["key"].startswith(o["table"] + "/")
        assert (o["rows"], o["min_ts_ms"], o["max_ts_ms"]) == (len(times), min(times), max(times))


@pytest.fixture(scope="module")
def load():
    made = RollupLoad(11, partition=7)
    found = [row for _, row in made.rows]
    assert {table for table, _ in made.rows} == {"rollup_1m", "rollup_5m", "rollup_1h"}
    for kind in ("counter", "exp", "classic", "gauge"):  # the log has all that there is
        own = [row for row in found if row["kind"].startswith(kind)]
        assert own and any(row["revision"] for row in own), kind
    assert any(row["ended"] for row in found) and any(row["late"] for row in found)
    assert any(row["late_exp_schema"] is not None for row in found)
    return made


@pytest.mark.parametrize("reader", ["pyarrow", "duckdb", "polars", "datafusion"])
def test_every_row_of_a_rollup_is_a_row(tmp_path, load, reader):
    check(tmp_path, produce(tmp_path, load.records, partition=7), load.rows, reader)


def test_the_same_objects_whatever_the_memory(tmp_path):
    """With a few rows too many for it: filler labels, and rows that come again at other offsets."""
    load, filler, found = RollupLoad(12), ("filler", "x" * 900), []
    for i in range(700):
        series = Series(f"m{i % 50}", "counter", labels=("a", f"{i:04}", *filler))
        load.names["demo", 1] = "gs"
        load.add(Row(Stream("demo", 1, "standard"), 60_000, NOON + i * 60_000, i, 0, {
            series._replace(metric=f"m{k}"): Increase(1.0, 1.0, None, 2.0, NOON, 1) for k in range(12)}))
    for name, rows_bytes in (("large", 256 << 20), ("small", SMALL)):
        (tmp_path / name).mkdir()
        found.append(digests(tmp_path / name, produce(tmp_path / name, load.records, rows_bytes=rows_bytes, twice=True)))
    assert found[0] == found[1]
    check(tmp_path / "small", run_tool(tmp_path / "small", load.records, rows_bytes=SMALL), load.rows)


def test_a_range_of_all_tables(tmp_path):
    """Topics may be mixed: what a record is stands in its bytes."""
    load, raw = RollupLoad(13, 100), Load()
    for i in range(20):
        raw.scrape("gs-1", [scalar(batches.gauge, "game_players_online", float(i))], NOON + i)
    records = [(offset + 10_000, value) for offset, value in raw.records]
    objects = produce(tmp_path, load.records + records)
    samples = [o for o in objects if o["table"] == "samples"]
    check(tmp_path, [o for o in objects if o["table"] != "samples"], load.rows)
    ((_, rows),) = read_all(tmp_path, samples, "pyarrow").items()
    assert [row["kafka_offset"] for row in rows] == [offset for offset, _ in records]


def test_windows_lie_where_their_samples_do_and_late_amounts_have_revisions(tmp_path):
    """A window that ends at the hour is of the hour before. An amend record has no row of its own. What is late of a part
    that others follow has a revision, too."""
    load = RollupLoad(11, 60)
    load.records, load.rows = [], []
    load.names["demo", 1] = "gs"
    stream, kills, players = Stream("demo", 1, "standard"), Series("kills_total", "counter", "delta"), Series("players", "gauge")
    wait = Series("wait", "classic_histogram", "delta", bounds=(1.0, 5.0))
    tick = Series("tick", "exponential_histogram")
    h = histograms.Histogram(3, 0.0, 1, 4, 2.5, ({-2: 1}, {5: 2}))
    late = {(NOON, kills): (2, 4.0), (NOON, players): Gauge(3.0, 2, 1.0, 2.0), (NOON - HOUR_MS, wait): (1, Classic(1, (0, 1, 0), 2.0))}
    load.add(Row(stream, 60_000, NOON, 5, 0, {
        kills: Increase(3.0, 2.0, 1.0, 1.0, NOON - 1, 2), players: Gauge(ended=True),
        tick: Increase(h, h, None, h, NOON - 2, 1), wait: Increase(Classic(0, (0, 0, 0), 0.0, False), Classic(0, (0, 0, 0)), None)}))
    load.add(Row(stream, 60_000, NOON, 9, 0, {kills: Increase(7.0, 4.0, 4.0)}, late, True))
    load.add(Row(stream, 60_000, NOON, -1, 0, {}, {(NOON, kills): (1, 1.0)}))
    objects = produce(tmp_path, load.records)
    assert {o["key"].rsplit("/", 1)[0] for o in objects} == {f"rollup_1m/dt=2026-05-29/hour={hour}" for hour in (10, 11)}
    check(tmp_path, objects, load.rows)
    found = [row for rows in read_all(tmp_path, objects, "pyarrow").values() for row in rows]
    assert sorted((row["metric"], row["revision"]) for row in found) == [
        ("kills_total", 0), ("kills_total", 1), ("kills_total", 10), ("players", 0), ("players", 10), ("tick", 0), ("wait", 0),
        ("wait", 10)]


def bad_records():
    stream, series = Stream("demo", 1, "standard"), Series("latency", "exponential_histogram")
    h = histograms.Histogram(3, 0.0, 1, 4, 2.5, ({-2: 1}, {5: 2}))
    good = rollup_records.encoded(Row(stream, 60_000, NOON, 5, 0, {series: Increase(h, h, None, h, NOON, 1)}), "gs")
    at = good.rindex(histograms.pack(h))
    odd = rollup_records.encoded(Row(stream, 61_000, NOON, 5, 0, {series: Increase(h, h, None, h, NOON, 1)}), "gs")
    return [("cut off", good[:-3]), ("longer", good + b"\0"), ("no histogram", good[:at] + b"\xff" + good[at + 1:]), ("61000", odd)]


@pytest.mark.parametrize("name, value", bad_records(), ids=lambda v: v if isinstance(v, str) else "")
def test_bad_records_are_named(tmp_path, name, value):
    with pytest.raises(RangeFailed):
        produce(tmp_path, [(999, value)])
    load = RollupLoad(11, 60)  # the portable form, besides
    check(tmp_path, produce(tmp_path, load.records, portable=True), load.rows)
