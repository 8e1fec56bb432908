#!/usr/bin/env python3
"""Makes tests/vectors/rollup/*.bin: rows of rollups, written by the tests' oracle from small generated logs; to be run
again when rollup.avsc changes (build/venv/bin/python tests/vectors/make_rollup.py)."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.flow import rollup_logs, rollup_oracle, rollup_records  # noqa: E402

WANTED = 12


def rows():
    for seed in range(20):
        messages = rollup_logs.generate(seed, 300, 3, 1)
        names = {rollup_logs.stream_of(m): m.source_name for m in messages if m.source_name}
        for entries in rollup_logs.entries(messages).values():
            for row in rollup_oracle.rows(entries):
                yield row, rollup_records.encoded(row, names[row.stream])


def what_it_has(row):
    """Rows of the same make are not needed twice."""
    return row.is_amend, row.window_ms, bool(row.amends), tuple(sorted({s.kind for s in row.series}))


def main():
    out, seen = ROOT / "tests/vectors/rollup", set()
    for old in out.glob("*.bin"):
        old.unlink()
    for row, data in sorted(rows(), key=lambda pair: len(pair[1])):
        if len(seen) < WANTED and what_it_has(row) not in seen and len(data) < 6000:
            seen.add(what_it_has(row))
            (out / f"row_{len(seen):02}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
