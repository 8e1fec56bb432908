"""Seeds of fuzz-range, tests/vectors/range: batches with rows of all kinds, and the largest rollups of make_rollup.py.

    PYTHONPATH=. build/venv/bin/python tests/vectors/make_range.py"""
from deploy.local.places import ROOT
from tests.flow import batches
from tests.flow.parquet_rows import STALE, Load, classic, native, scalar

NOON = 1_780_056_000_000
N_ROLLUPS = 4


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
    rollups = sorted((path.read_bytes() for path in (ROOT / "tests/vectors/rollup").glob("*.bin")), key=len)
    for i, data in enumerate(rollups[-N_ROLLUPS:]):
        (out / f"rollup_{i + 1}.bin").write_bytes(data)


main()
