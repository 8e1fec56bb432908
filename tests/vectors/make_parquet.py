"""Makes the seeds tests/vectors/parquet/*.bin (what fuzz-parquet takes fields and rows from) and parquet_file/*.parquet (small
files of our writer, by parquet-tool; each is also read cut at every byte). From the root:
PYTHONPATH=. build/venv/bin/python tests/vectors/make_parquet.py"""
import math
import pathlib
import random

from tests.flow.parquet_files import Column, write

HERE = pathlib.Path(__file__).parent


def columns():
    return [Column("s", "string", ["a", "b", None, "b"] * 3, optional=True, bloom=True),
            Column("m", "int32", [[("k", 1)], []] * 6, form="map", encoding="delta"),
            Column("l", "timestamp", [None, [1], [], [None]] * 3, form="list", optional=True, optional_values=True),
            Column("d", "double", [1.0, math.nan, -0.0] * 4, encoding="split"), Column("b", "bool", [True, False] * 6),
            Column("p", "bytes", [b"x", b""] * 6, encoding="plain"), Column("i", "int64", list(range(12)), encoding="dictionary")]


def files(folder):
    paged = {"page_rows": 5, "group_rows": 9, "sorting": [6], "pairs": {"key": "value"}}
    for codec in ("zstd", "snappy", "none"):
        write(folder / f"{codec}.parquet", columns(), codec=codec, **paged)
    write(folder / "unchecked.parquet", columns(), codec="none", no_checksums=True, **paged)
    write(folder / "empty.parquet", [Column("a", "int64", [])])


def inputs(folder):
    rng = random.Random(8)
    (folder / "short.bin").write_bytes(rng.randbytes(40))
    (folder / "mixed.bin").write_bytes(rng.randbytes(150))
    # head (fields, batches), rows, options; then each field's type and form, whether it repeats, its values
    (folder / "runs.bin").write_bytes(bytes([1 | 8, 150, 2, 5, 8, 1]) + bytes(i % 7 for i in range(40)) + bytes([4, 49, 1]) +
                                      bytes(range(100)))
    (folder / "nothing_but_nulls.bin").write_bytes(bytes([8, 60, 0, 5, 8, 0]) + bytes(60))


if __name__ == "__main__":
    for name, make in (("parquet", inputs), ("parquet_file", files)):
        (HERE / name).mkdir(exist_ok=True)
        make(HERE / name)
