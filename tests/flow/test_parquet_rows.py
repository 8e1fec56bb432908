"""Batches become rows in objects: each sample once, every value and its place as reckoned here, read by independent readers;
the same objects however little memory there was."""
import hashlib
import random
import struct
from collections import defaultdict

import pyarrow.parquet as pq
import pytest

from tests.flow import batches
from tests.flow.parquet_files import READERS
from tests.flow.parquet_rows import (HOUR_MS, STALE, Load, RangeFailed, classic, folder, in_order, native, produce, run_tool,
                                     scalar)

SMALL, NOON = 8 << 20, 1_780_056_000_000  # 2026-05-29T12:00Z
ODD_VALUES = [0.0, -0.0, float("inf"), float("-inf"), 5e-324, STALE, struct.pack("<Q", 0x7FF8000000000000),
              struct.pack("<Q", 0xFFF800000000BEEF)]


def random_points(rng, source):
    labels = {"region": rng.choice(["eu", "us"]), "shard_id": source, "odd_label": "ü=/"}
    points = [scalar(batches.counter, f"game_logins_{i}_total", rng.choice(ODD_VALUES) if rng.random() < 0.3 else rng.randrange(99),
                     queue=f"q{i}", **labels) for i in range(rng.randrange(6))]
    points += [scalar(batches.gauge, "game_players_online", rng.random()), scalar(batches.gauge, "Ünïcode", 1.0, az="")]
    if rng.random() < 0.7:
        points.append(native("game_tick_seconds", [(-3, 2), (-2, 0), (7, rng.randrange(1, 9))], rng.random(), **labels))
    if rng.random() < 0.7:
        points.append(classic("game_wait_seconds", [0.5, 1.0, 2.5], [1, 0, rng.randrange(9), 4], 7.5, **labels))
    return points


def random_load(rng, n_records, partition=0):
    """Several tenants, classes and shapes; late and early samples over an hour's end, and a few from another day."""
    load = Load(partition)
    for i in range(n_records):
        source, tenant = f"gs-{rng.randrange(7)}", rng.choice(["demo", "studio-a", "a b/%"])
        points, t_ms = random_points(rng, source), NOON - 60_000 + i * 250
        times = None
        if rng.random() < 0.3:
            times = [t_ms + rng.choice([0, -500_000, 7_000, -90_000_000]) for _ in points]
        load.scrape(source, points, t_ms, times, tenant, rng.choice(["critical", "standard", "verbose"]))
    return load


def bits(row):
    """Rows of the oracle as parquet_files.canonical has those that are read."""
    out = dict(row)
    out["labels"] = [tuple(pair) for pair in out["labels"]]
    return out


def read_all(directory, objects, reader):
    """{key: rows}, doubles as their bits."""
    out = {}
    for o in objects:
        columns = READERS[reader](f"{directory}/{o['key']}")
        columns = {name: values for name, values in columns.items() if name not in ("dt", "hour", "tenant_level")}
        out[o["key"]] = [dict(zip(columns, values)) for values in zip(*columns.values())]
    return out


def check_objects(directory, objects, load, reader="pyarrow", hours=1, prefix="", tenant_level=False):
    expected = defaultdict(list)
    for row in load.rows:
        expected[folder(row, hours, prefix)].append(row) if not tenant_level else expected[
            folder(row, hours, prefix, True).replace("a b/%", "a%20b%2F%25")].append(row)
    name = f"metrics.admitted-AAAAAAAAAAAAAAAAAAAAAA-{load.partition}-0-99.parquet"
    assert sorted(o["key"] for o in objects) == sorted(f"{where}/{name}" for where in expected)
    for key, rows in read_all(directory, objects, reader).items():
        want = [bits(row) for row in in_order(expected[key.removesuffix("/" + name)])]
        assert len(rows) == len(want)
        for got, row in zip(rows, want):
            assert got == row, key
    for o in objects:
        rows = expected[o["key"].removesuffix("/" + name)]
        times = [row["ts_ms"] for row in rows]
        assert (o["rows"], o["min_ts_ms"], o["max_ts_ms"]) == (len(rows), min(times), max(times))


@pytest.mark.parametrize("reader", READERS)
def test_every_sample_is_a_row(tmp_path, reader):
    load = random_load(random.Random(5), 300, partition=7)
    objects = produce(tmp_path, load.records, partition=7)
    assert len(objects) >= 3
    check_objects(tmp_path, objects, load, reader)


@pytest.mark.parametrize("layout", [{"hours": 3}, {"hours": 6, "prefix": "raw/v1"}, {"hours": 24}, {"tenant_level": True}], ids=str)
def test_layouts(tmp_path, layout):
    load = random_load(random.Random(6), 150)
    objects = produce(tmp_path, load.records, **layout)
    check_objects(tmp_path, objects, load, hours=layout.get("hours", 1), prefix=layout.get("prefix", "").rstrip("/") + "/"
                  if "prefix" in layout else "", tenant_level=layout.get("tenant_level", False))
    assert all(o["tenant"] == "" for o in objects) or layout.get("tenant_level")


def digests(directory, objects):
    return {o["key"]: hashlib.sha256((directory / o["key"]).read_bytes()).hexdigest() for o in objects}


def test_the_same_objects_whatever_the_memory(tmp_path):
    """Series of many scrapes and shapes beyond the memory: rows of one series lie in several scratch files, with rows that came
    late before them."""
    rng, load = random.Random(8), Load()
    for i in range(900):
        wide = {"filler": f"{i % 450:03}" + "x" * 500}
        points = [scalar(batches.counter, f"game_m{k}_total", i, **wide) for k in range(20)] + random_points(rng, "gs-1")
        load.scrape("gs-1", points, NOON + i * 1000, [NOON + i * 1000 - rng.choice([0, 0, 300_000])] * len(points))
    found = []
    for name, rows_bytes in (("large", 256 << 20), ("small", SMALL)):
        (tmp_path / name).mkdir()
        found.append(digests(tmp_path / name, produce(tmp_path / name, load.records, rows_bytes=rows_bytes, twice=True)))
    assert found[0] == found[1]
    check_objects(tmp_path / "small", run_tool(tmp_path / "small", load.records, rows_bytes=SMALL), load)


def test_every_point_in_another_hour(tmp_path):
    load = Load()
    for i in range(3):
        points = [scalar(batches.counter, f"game_m{k:03}_total", i) for k in range(100)]
        load.scrape("gs-1", points, NOON, [NOON - k * HOUR_MS + i for k in range(100)])
    objects = produce(tmp_path, load.records)
    assert len(objects) == 100
    check_objects(tmp_path, objects, load)


def test_rows_as_large_as_they_may_be(tmp_path):
    """64 labels of 1 KiB, a histogram of 20,000 buckets, and the least memory for rows and writer."""
    labels, load = {f"label_{i:02}": chr(0x1F3AE) * 256 for i in range(64)}, Load()
    buckets = [(i, 1 + i % 3) for i in range(20_000)]
    for i in range(12):
        load.scrape("gs-1", [native("game_tick_seconds", buckets, 1.5, **labels), scalar(batches.counter, "game_m_total", i, **labels)],
                    NOON + i * 10_000)
    objects = produce(tmp_path, load.records, rows_bytes=SMALL, writer_bytes=16 << 20)
    check_objects(tmp_path, objects, load)


def test_portable_files_hold_the_same(tmp_path):
    load = random_load(random.Random(9), 100)
    objects = produce(tmp_path, load.records, portable=True)
    check_objects(tmp_path, objects, load)
    used = {e for o in objects for group in [pq.read_metadata(tmp_path / o["key"]).row_group(0)]
            for i in range(group.num_columns) for e in group.column(i).encodings}
    assert used <= {"PLAIN", "RLE", "RLE_DICTIONARY", "BIT_PACKED"}


def test_heartbeats_have_no_rows_and_nothing_has_no_object(tmp_path):
    assert produce(tmp_path, [(1, batches.heartbeat(NOON))]) == []


def test_bad_records_are_named(tmp_path):
    load = random_load(random.Random(10), 3)
    with pytest.raises(RangeFailed, match="batch"):
        produce(tmp_path, [*load.records, (999, load.records[0][1][:-3])])
