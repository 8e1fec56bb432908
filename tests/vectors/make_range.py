"""Seeds of fuzz-range, tests/vectors/range: batches with rows of all kinds.

    PYTHONPATH=. build/venv/bin/python tests/vectors/make_range.py"""
from deploy.local.places import ROOT
from tests.flow import batches
from tests.flow.parquet_rows import STALE, Load, classic, native, scalar

NOON = 1_780_056_000_000


def main():
    labels = {"region": "eu", "shard_id": "gs-1"}
    points = [scalar(batches.counter, "game_logins_total", 7.0, **labels), scalar(batches.gauge, "game_players_online", STALE),
              native("game_tick_seconds", [(-3, 2), (7, 1)], 1.5, **labels), classic("game_wait_seconds", [0.5, 1.0], [1, 0, 4], 7.5)]
    load = Load()
    load.scrape("gs-1", points, NOON)
    load.scrape("gs-1", points, NOON, [NOON, NOON - 3_600_000, NOON - 1, NOON + 86_400_000])
    load.scrape("gs-1", [points[0]], -(1 << 62))
    load.scrape("", [scalar(batches.counter, "", 0.0)], 0, tenant="a/b")
    out = ROOT / "tests/vectors/range"
    out.mkdir(exist_ok=True)
    for name, (_, data) in zip(("all_kinds", "several_hours", "long_ago", "empty_texts"), load.records):
        (out / f"{name}.bin").write_bytes(data)


main()
