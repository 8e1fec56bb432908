"""Every file of our Parquet writer, read by independent readers: each value equals what went in, and what readers skip by
statistics, page index and Bloom filters is never what was asked for. PARQUET_FILES: random files (200)."""
import math
import os
import random
import struct

import datafusion
import duckdb
import polars
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.flow import parquet_files
from tests.flow.parquet_files import READERS, Column, WriterFailed, canonical, check, sluice_parquet, write

CODECS = ("zstd", "snappy", "none")
DAY_MS = 86_400_000
SPECIALS = [0.0, -0.0, 1.5, -1e300, 5e-324, math.inf, -math.inf, struct.pack("<Q", 0x7FF8000000000000),
            struct.pack("<Q", 0x7FF0000000000002), struct.pack("<Q", 0xFFF800000000BEEF)]
INTS = {"int32": [0, -1, 2**31 - 1, -2**31, 17], "int64": [0, -1, 2**63 - 1, -2**63, 17],
        "timestamp": [0, -1, 1_800_000_000_123, -2_000_000_000_000, 4_000_000_000_000]}
TEXTS = ["", "a", "naïve", "日本語", "🎮", "\U0010ffff" * 30, "x" * 5000, "a\0b"]
ENCODINGS = {"bool": ("plain",), "int32": ("plain", "dictionary", "delta"), "int64": ("plain", "dictionary", "delta"),
             "timestamp": ("plain", "dictionary", "delta"), "double": ("plain", "dictionary", "split"),
             "string": ("plain", "dictionary"), "bytes": ("plain", "dictionary")}


def one_value(rng, type_):
    if type_ == "bool":
        return rng.random() < 0.5
    if type_ == "double":
        return rng.choice(SPECIALS) if rng.random() < 0.3 else rng.choice([rng.random(), float(rng.randrange(10))])
    if type_ in INTS:
        if rng.random() < 0.2:
            return rng.choice(INTS[type_])
        return rng.choice([rng.randrange(5), rng.randrange(-2**30, 2**30)])
    if type_ == "bytes":
        return rng.choice([b"", b"\xff" * 100, b"\x00\xfe", rng.randbytes(rng.randrange(20))])
    return rng.choice(TEXTS) if rng.random() < 0.2 else f"value-{rng.randrange(40)}"


def a_row(rng, column):
    if column.optional and rng.random() < 0.2:
        return None
    if column.form == "one":
        return one_value(rng, column.type)
    n = rng.choice([0, 0, 1, 2, 3, rng.randrange(12)])
    values = [None if column.optional_values and rng.random() < 0.2 else one_value(rng, column.type) for _ in range(n)]
    return [(f"key{i}", v) for i, v in enumerate(values)] if column.form == "map" else values


def random_columns(rng):
    columns, n_rows = [], rng.choice([0, 1, 2, 7, 8, 9, 63, 64, 65, 200, 1000])
    for i in range(rng.randrange(1, 8)):
        type_ = rng.choice(list(ENCODINGS))
        column = Column(f"c{i}", type_, form=rng.choice(["one", "one", "list", "map"]),
                        encoding=rng.choice(ENCODINGS[type_] + ("default",)), optional=rng.random() < 0.5)
        column.optional_values = column.form != "one" and rng.random() < 0.5
        column.bloom = column.form == "one" and type_ not in ("bool", "double") and rng.random() < 0.3
        shared = [a_row(rng, column) for _ in range(3)]
        fresh = rng.choice([0.0, 0.1, 1.0])
        column.rows = [a_row(rng, column) if rng.random() < fresh else rng.choice(shared) for _ in range(n_rows)]
        columns.append(column)
    return columns


def random_options(rng):
    options = {"codec": rng.choice(CODECS)}
    for key, choices in (("page_rows", [1, 8, 100, 20_000]), ("group_rows", [50, 333, 100_000]), ("batch_rows", [1, 10, 5000]),
                         ("dictionary_max_bytes", [64, 1000, 1 << 20]), ("page_max_bytes", [500, 1 << 20]), ("no_checksums", [True])):
        if rng.random() < 0.6:
            options[key] = rng.choice(choices)
    return options


def test_random_files_are_read_the_same(tmp_path, say):
    n_files = int(os.environ.get("PARQUET_FILES", "200"))
    seed = int(os.environ.get("PARQUET_SEED", random.randrange(1 << 32)))
    n_rows, others = 0, [name for name in READERS if name != "pyarrow"]
    for i in range(n_files):
        rng = random.Random(seed * 1_000_003 + i)
        columns, options = random_columns(rng), random_options(rng)
        path = str(tmp_path / "random.parquet")
        write(path, columns, **options)
        n_rows += len(columns[0].rows)
        try:
            check(path, columns, ("pyarrow", others[i % len(others)]))
        except Exception as e:
            raise AssertionError(f"PARQUET_SEED={seed}, file {i}, {options}") from e
    say(f"{n_files} files, {n_rows} rows, seed {seed}")


@pytest.mark.parametrize("codec", CODECS)
def test_every_type_form_and_encoding(tmp_path, codec):
    rng = random.Random(7)
    columns = []
    for type_, encodings in ENCODINGS.items():
        for encoding in encodings:
            for form in ("one", "list", "map"):
                for nulls in (False, True):
                    column = Column(f"{type_}_{encoding}_{form}_{nulls}", type_, form=form, encoding=encoding, optional=nulls,
                                    optional_values=nulls and form != "one")
                    column.rows = [a_row(rng, column) for _ in range(700)]
                    columns.append(column)
    path = str(tmp_path / "all.parquet")
    write(path, columns, codec=codec, page_rows=256, group_rows=500)
    check(path, columns)
    metadata = pq.read_metadata(path)
    leaves = [metadata.row_group(0).column(i) for i in range(metadata.num_columns)]
    names = {"plain": "PLAIN", "dictionary": "RLE_DICTIONARY", "delta": "DELTA_BINARY_PACKED", "split": "BYTE_STREAM_SPLIT"}
    for leaf in leaves:
        if not leaf.path_in_schema.endswith(".key"):
            assert names[leaf.path_in_schema.split(".")[0].split("_")[1]] in leaf.encodings
        assert leaf.has_offset_index


def special_doubles():
    return [Column("d", "double", SPECIALS * 3), Column("null", "double", [None, *SPECIALS[:-1]] * 3, optional=True),
            Column("list", "double", [SPECIALS] * 30, form="list", encoding="split")]


def maps():
    wide = [(f"label_{i:02}", f"v{i}") for i in range(64)]
    return [Column("m", "string", [wide, [], wide[:1], wide] * 50, form="map"),
            Column("n", "int64", [None, [], [("k", None)], [("k", 7)]] * 50, form="map", optional=True, optional_values=True)]


def unicode():
    return [Column("s", "string", TEXTS), Column("m", "string", [[(t, t)] for t in TEXTS], form="map"),
            Column("名前", "string", TEXTS, encoding="plain"), Column("b", "bytes", [t.encode() + b"\xff" for t in TEXTS])]


def nothing():
    return [Column(f"{t}_{f}", t, [], form=f) for t in ENCODINGS for f in ("one", "list", "map")]


def all_null():
    out = []
    for type_, encodings in ENCODINGS.items():
        for encoding in encodings:
            out.append(Column(f"{type_}_{encoding}", type_, [None] * 100, encoding=encoding, optional=True,
                              bloom=type_ not in ("bool", "double")))
    for form, rows in (("list", [None, [], [None, None]]), ("map", [None, [], [("k", None)]])):
        out.append(Column(form, "string", rows * 33 + [[]], form=form, optional=True, optional_values=True))
        out.append(Column(form + "_of_none", "double", [[]] * 100, form=form))
    return out


def extremes():
    return [Column(t, t, values * 10, encoding=e) for t, values in (("int32", INTS["int32"]),) for e in ("delta",)] + [
        Column("int64", "int64", INTS["int64"] * 10, encoding="delta"),
        Column("int64_dictionary", "int64", INTS["int64"] * 10, encoding="dictionary")]


def one_row():
    return [Column(f"{t}_{e}", t, [False if t == "bool" else one_value(random.Random(1), t)], encoding=e)
            for t, encodings in ENCODINGS.items() for e in encodings]


@pytest.mark.parametrize("make", [special_doubles, maps, unicode, nothing, all_null, extremes, one_row],
                         ids=lambda make: make.__name__)
@pytest.mark.parametrize("options", [{"codec": "zstd"}, {"codec": "snappy", "page_rows": 7, "group_rows": 20},
                                     {"codec": "none", "page_rows": 1, "batch_rows": 1}],
                         ids=lambda options: options["codec"])
def test_special_files(tmp_path, make, options):
    columns = make()
    path = str(tmp_path / "special.parquet")
    write(path, columns, **options)
    check(path, columns)


def test_timestamps_are_utc_in_every_reader(tmp_path):
    path = str(tmp_path / "t.parquet")
    write(path, [Column("ts", "timestamp", [0, 1_800_000_000_123])])
    assert pq.read_schema(path).field("ts").type == pa.timestamp("ms", tz="UTC")
    assert polars.read_parquet_schema(path)["ts"] == polars.Datetime("ms", "UTC")
    assert duckdb.sql(f"SELECT DISTINCT typeof(ts) FROM '{path}'").fetchall() == [("TIMESTAMP WITH TIME ZONE",)]
    assert datafusion.SessionContext().read_parquet(path).schema().field("ts").type == pa.timestamp("ms", tz="UTC")
    assert duckdb.sql(f"SELECT epoch_ms(ts) FROM '{path}'").fetchall() == [(0,), (1_800_000_000_123,)]


def test_metadata(tmp_path):
    columns = [Column("m", "string", [[("a", "b")]] * 10, form="map"), Column("a", "int64", list(range(10))),
               Column("b", "string", ["x"] * 10, bloom=True)]
    path = str(tmp_path / "t.parquet")
    write(path, columns, sorting=[1, 2], pairs={"sluice.first": "17", "sluice.rows": "10"})
    metadata = pq.read_metadata(path)
    assert metadata.created_by.startswith("sluice version ")
    assert metadata.metadata == {b"sluice.first": b"17", b"sluice.rows": b"10"}
    group = metadata.row_group(0)
    assert [(s.column_index, s.descending, s.nulls_first) for s in group.sorting_columns] == [(2, False, False), (3, False, False)]
    assert all(group.column(i).has_column_index and group.column(i).has_offset_index for i in range(4))
    rows = duckdb.sql(f"SELECT key, value FROM parquet_kv_metadata('{path}')").fetchall()
    assert dict(rows) == {b"sluice.first": b"17", b"sluice.rows": b"10"}


def statistics_of(path, column=0):
    metadata = pq.read_metadata(path)
    return [metadata.row_group(i).column(column).statistics for i in range(metadata.num_row_groups)]


@pytest.mark.parametrize("rows, least, greatest", [
    ([math.nan, 1.0, -3.0], -3.0, 1.0), ([0.0], -0.0, 0.0), ([-0.0], -0.0, 0.0), ([math.inf], math.inf, math.inf),
    ([-math.inf, math.nan, 1.0], -math.inf, 1.0), ([0.0, 5.0], -0.0, 5.0), ([-5.0, -0.0], -5.0, 0.0)])
def test_statistics_of_doubles(tmp_path, rows, least, greatest):
    path = str(tmp_path / "t.parquet")
    write(path, [Column("d", "double", rows)])
    statistics = statistics_of(path)[0]
    assert (canonical(statistics.min), canonical(statistics.max)) == (canonical(least), canonical(greatest))


def test_nothing_but_nan_has_neither_bounds_nor_a_column_index(tmp_path):
    path = str(tmp_path / "t.parquet")
    write(path, [Column("d", "double", [math.nan] * 20 + [1.0] * 20), Column("i", "int32", list(range(40)))], page_rows=20)
    group = pq.read_metadata(path).row_group(0)
    assert not group.column(0).has_column_index and group.column(0).has_offset_index
    assert group.column(1).has_column_index
    assert not pq.read_metadata(path).row_group(0).column(0).statistics.has_min_max  # as if it were constant, for some
    for rows, has in (([math.nan] * 20, False), ([math.nan, 1.0], False), ([math.nan, 1.0, 2.0], True), ([1.0, 1.0], True)):
        write(path, [Column("d", "double", rows)])
        assert pq.read_metadata(path).row_group(0).column(0).statistics.has_min_max == has
        check(path, [Column("d", "double", rows)])


@pytest.mark.parametrize("type_, value, least, greatest", [
    ("string", "a" * 100, "a" * 64, "a" * 63 + "b"),
    ("string", "é" * 50, "é" * 32, "é" * 31 + "ê"),
    ("string", "\x7f" * 65, "\x7f" * 64, "\x7f" * 65),
    ("string", "a" + "\U0010ffff" * 30, "a" + "\U0010ffff" * 15, "b"),
    ("string", "\ud7ff" * 30, "\ud7ff" * 21, "\ud7ff" * 20 + "\ue000"),
    ("bytes", b"a" + b"\xff" * 99, b"a" + b"\xff" * 63, b"b"),
    ("bytes", b"\xff" * 100, b"\xff" * 64, b"\xff" * 100)],
    ids=["ascii", "two bytes", "no next of one byte", "none above", "over the surrogates", "bytes", "no next byte"])
def test_long_texts_are_cut_to_bounds_that_hold(tmp_path, type_, value, least, greatest):
    path = str(tmp_path / "t.parquet")
    write(path, [Column("s", type_, [value])])
    statistics = statistics_of(path)[0]
    assert (statistics.min, statistics.max) == (least, greatest)
    assert statistics.min <= value <= statistics.max
    exact = duckdb.sql(f"SELECT min_is_exact, max_is_exact FROM parquet_metadata('{path}')").fetchall()
    assert exact == [(False, greatest == value)]


def searchable(rng, n):
    series = [f"series-{rng.randrange(300):05}" for _ in range(n)]
    return [Column("series", "string", sorted(series), bloom=True),
            Column("shard", "string", [f"shard-{rng.randrange(50)}" for _ in range(n)], encoding="plain", bloom=True),
            Column("ts", "timestamp", [1_800_000_000_000 + i * 250 for i in range(n)], encoding="delta"),
            Column("n", "int64", [None if rng.random() < 0.1 else rng.randrange(1000) for _ in range(n)], optional=True, bloom=True),
            Column("value", "double", [rng.choice(SPECIALS) if rng.random() < 0.05 else i / 7 for i in range(n)])]


def probes(rng, columns):
    """(SQL, pyarrow filter, the same in Python) that hit few pages, many, none."""
    field, out = ds.field, []
    for _ in range(6):
        text, number = f"series-{rng.randrange(320):05}", rng.randrange(1100)
        shard = f"shard-{rng.randrange(60)}"
        from_ms = 1_800_000_000_000 + rng.randrange(len(columns[0].rows)) * 250
        out += [(f"series = '{text}'", field("series") == text, lambda r, v=text: r["series"] == v),
                (f"shard = '{shard}'", field("shard") == shard, lambda r, v=shard: r["shard"] == v),
                (f"n = {number}", field("n") == number, lambda r, v=number: r["n"] == v),
                (f"series >= '{text}' AND series < '{text}5'", (field("series") >= text) & (field("series") < text + "5"),
                 lambda r, v=text: v <= r["series"] < v + "5")]
        limit = from_ms / 1000
        out.append((f"ts >= to_timestamp({limit}) AND n < 100",
                    (field("ts") >= pa.scalar(from_ms, pa.timestamp("ms", tz="UTC"))) & (field("n") < 100),
                    lambda r, v=from_ms: r["ts"] >= v and r["n"] is not None and r["n"] < 100))
    for low, high in ((0.0, 0.0), (-1.0, 3.0), (1e6, math.inf), (-math.inf, -1e200)):
        out.append((f"value >= '{low}'::double AND value <= '{high}'::double", (field("value") >= low) & (field("value") <= high),
                    lambda r, a=low, b=high: a <= struct.unpack("<d", r["value"])[0] <= b))
    out.append(("n IS NULL", field("n").is_null(), lambda r: r["n"] is None))
    return out


def as_rows(columns):
    values = list(columns.values())
    return [dict(zip(columns, row)) for row in zip(*values)]


@pytest.mark.parametrize("options", [{"page_rows": 100, "group_rows": 1500}, {"page_rows": 1000}, {"page_rows": 20, "group_rows": 333}],
                         ids=str)
def test_what_is_skipped_was_not_asked_for(tmp_path, options):
    rng = random.Random(11)
    columns = searchable(rng, 6000)
    path = str(tmp_path / "t.parquet")
    write(path, columns, **options)
    rows = as_rows(parquet_files.expected(columns))
    hits = 0
    for sql, filter_, in_python in probes(rng, columns):
        want = [row for row in rows if in_python(row)]
        hits += bool(want)
        table = ds.dataset(path).to_table(filter=filter_)
        assert as_rows(parquet_files._from_arrow(table)) == want, f"pyarrow: {sql}"
        if "value" not in sql:  # DuckDB and DataFusion order NaN above all numbers
            assert as_rows(parquet_files.read_duckdb(path, sql)) == want, f"duckdb: {sql}"
            assert as_rows(parquet_files.read_datafusion(path, sql)) == want, f"datafusion: {sql}"
    assert hits > 10


def test_bloom_filters_exclude_what_is_absent_and_nothing_else(tmp_path):
    columns = searchable(random.Random(3), 4000)
    path = str(tmp_path / "t.parquet")
    write(path, columns, group_rows=1000)
    for column in [c for c in columns if c.bloom]:
        quote = "'{}'" if column.type == "string" else "{}"
        present, absent = sorted({v for v in column.rows if v is not None})[:60], [f"absent-{i}" for i in range(60)]
        if column.type == "int64":
            absent = list(range(5000, 5060))
        wrong = 0
        for value in present + absent:
            probe = duckdb.sql(f"SELECT row_group_id, bloom_filter_excludes FROM "
                               f"parquet_bloom_probe('{path}', '{column.name}', {quote.format(value)})").fetchall()
            assert len(probe) == 4
            for group, excludes in probe:
                if excludes:
                    assert value not in column.rows[group * 1000:(group + 1) * 1000]
                elif value in absent:
                    wrong += 1
        assert wrong < 20, f"{column.name}: {wrong} of 240 false positives"


def test_a_large_file_stays_below_the_ceiling(tmp_path, say):
    n = 300_000
    series = [f"series-{i // 90:08}" for i in range(n)]
    columns = [Column("series", "string", series, bloom=True), Column("unique", "string", [f"{i * 7919:032x}" for i in range(n)]),
               Column("ts", "timestamp", [1_800_000_000_000 + (i % 90) * 10_000 for i in range(n)]),
               Column("value", "double", [i * 1.25 for i in range(n)])]
    path = str(tmp_path / "t.parquet")
    wrote = write(path, columns, max_bytes=16 << 20, codec="snappy", batch_rows=100_000)
    assert wrote["rows"] == n and wrote["peak_bytes"] <= 16 << 20
    assert abs(wrote["estimate"] - wrote["bytes"]) < wrote["bytes"] / 3
    assert 1 < pq.read_metadata(path).num_row_groups < 20
    check(path, columns, ("pyarrow", "polars"))
    say(f"{n} rows in {pq.read_metadata(path).num_row_groups} row groups, peak {wrote['peak_bytes'] >> 10} KiB")


def test_a_sink_that_fails_leaves_no_file(tmp_path):
    columns = searchable(random.Random(5), 500)
    path = str(tmp_path / "t.parquet")
    size = write(path, columns, page_rows=50, group_rows=200)["bytes"]
    for at in [*range(0, size, 997), size - 9, size - 8, size - 4, size - 1]:
        with pytest.raises(WriterFailed, match="the disk is full"):
            write(path, columns, page_rows=50, group_rows=200, fail_at_byte=at)
        assert os.path.getsize(path) == at
        with pytest.raises((pa.ArrowInvalid, OSError)):
            pq.ParquetFile(path)


@pytest.mark.parametrize("columns, options, error", [
    ([Column("s", "string", [b"ok", b"\xc3\x28"])], {}, "column s.*not UTF-8"),
    ([Column("s", "string", [b"ok", b"\xc3\x28"], encoding="plain")], {}, "column s.*not UTF-8"),
    ([Column("s", "int64", [1, None])], {}, "column s.*row 1 is null, and none may be"),
    ([Column("l", "int64", [[1, None]], form="list")], {}, "column l.*entry 1 is null, and none may be"),
    ([Column("l", "int64", [[1], None], form="list")], {}, "column l.*row 1 is null and none may be"),
    ([Column("s", "bytes", [b"x" * (3 << 20)])], {"max_bytes": 16 << 20}, "column s.*ceiling"),
    ([Column("s", "int64", [1]), Column("s", "int64", [1])], {}, "two columns are called s"),
    ([Column("", "int64", [1])], {}, "not empty"),
    ([Column("s", "string", ["a"], encoding="delta")], {}, "column s: this encoding is not for string"),
    ([Column("s", "double", [1.0], bloom=True)], {}, "column s: a Bloom filter is for"),
    ([Column("s", "int64", [1])], {"max_bytes": 1000}, "max_bytes is 1000 and must be"),
    ([Column("s", "int64", [[1]], form="list")], {"sorting": [0]}, "sorting column 0"),
    ([], {}, "1 to 1000 columns")])
def test_errors_name_place_and_cause(tmp_path, columns, options, error):
    with pytest.raises(WriterFailed, match=error):
        write(str(tmp_path / "t.parquet"), columns, **options)


@pytest.mark.parametrize("options", [{"compression": "zstd"}, {"compression": "snappy", "use_dictionary": False},
                                     {"compression": "none", "use_dictionary": False, "column_encoding": {
                                         "series": "PLAIN", "ts": "DELTA_BINARY_PACKED", "n": "DELTA_BINARY_PACKED",
                                         "value": "BYTE_STREAM_SPLIT"}}], ids=str)
def test_verify_reads_what_another_writer_wrote(tmp_path, options):
    """So that writer and verifier do not share one misreading of the format."""
    rng = random.Random(2)
    table = pa.table({"series": [f"s-{rng.randrange(50)}" for _ in range(5000)],
                      "ts": pa.array([1_800_000_000_000 + i * 10 for i in range(5000)], pa.timestamp("ms", tz="UTC")),
                      "n": [None if i % 7 == 0 else rng.randrange(-2**40, 2**40) for i in range(5000)],
                      "value": [rng.choice([1.0, -0.0, math.inf, rng.random()]) for _ in range(5000)]})
    table = table.append_column("labels", pa.array([[("k", "v")] * (i % 3) for i in range(5000)], pa.map_(pa.string(), pa.string())))
    if "column_encoding" in options:
        options["column_encoding"].update({"labels.key_value.key": "PLAIN", "labels.key_value.value": "PLAIN"})
    path = str(tmp_path / "t.parquet")
    pq.write_table(table, path, row_group_size=2000, data_page_size=4000, write_page_index=True, write_page_checksum=True,
                   data_page_version="1.0", sorting_columns=[pq.SortingColumn(1)], store_schema=False, **options)
    verified = sluice_parquet("verify", path)
    assert verified.returncode == 0, verified.stderr
    assert "good: 5000 rows in 3 row groups, 5000 of them in order; " in verified.stdout


def test_verify_and_inspect_say_what_is_wrong_and_what_is_there(tmp_path):
    path, broken = str(tmp_path / "t.parquet"), str(tmp_path / "broken.parquet")
    columns = [Column("tenant", "string", ["demo\n"] * 30, bloom=True), Column("ts", "timestamp", list(range(30)), encoding="delta")]
    write(path, columns, sorting=[0, 1], pairs={"first": "17"}, page_rows=10)
    shown = sluice_parquet("inspect", path).stdout
    for line in ("30 rows in 1 row groups; by sluice version ", "first = 17\n", "ts: INT64 TIMESTAMP(MILLIS, UTC)\n",
                 "row group 0: 30 rows, sorted by tenant, ts\n", "RLE_DICTIONARY*3, from demo\\x0a to demo\\x0a, column index, Bloom",
                 "zstd, DELTA_BINARY_PACKED*3, from 0 to 29, column index\n"):
        assert line in shown, shown
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    data[pq.read_metadata(path).row_group(0).column(1).data_page_offset + 30] ^= 1
    (tmp_path / "broken.parquet").write_bytes(data)
    both = sluice_parquet("verify", broken, path, str(tmp_path / "absent"))
    assert both.returncode == 1 and f"{path}: good" in both.stdout
    assert f"{broken}: row group 0: column ts: page at byte " in both.stderr and "absent: cannot be opened" in both.stderr
    (tmp_path / "broken.parquet").write_bytes(data[:-1])
    assert "no Parquet file: PAR1 is not at both ends" in sluice_parquet("inspect", broken).stderr
    assert sluice_parquet("explain", path).returncode == 2


@pytest.mark.parametrize("pairs, code", [({"intent": "{}", "rows": "3"}, 0), ({"intent": "{}", "rows": "4"}, 1), ({"rows": "4"}, 0)])
def test_what_an_object_says_of_its_rows_is_held_against_them(tmp_path, pairs, code):
    """Only of ours: another's "rows" may mean anything."""
    path = str(tmp_path / "t.parquet")
    parquet_files.write_raw(path, parquet_files.describe([Column("a", "int64", [1, 2, 3])], pairs=pairs))
    told = sluice_parquet("verify", path)
    assert told.returncode == code and (code == 0 or "3 rows, and its metadata say 4" in told.stderr), told


def test_hostile_files_crash_nothing_and_command_no_terminal(tmp_path):
    """Row groups in front of the schema that they are held against; names and texts that a terminal would obey."""
    group, schema = bytes([0x49, 0x1C, 0x00]), bytes([0x09, 0x04, 0x2C, 0x48, 0x01]) + b"r" + bytes(
        [0x15, 0x02, 0x00, 0x15, 0x04, 0x25, 0x00, 0x18, 0x01]) + b"a" + bytes([0x00])
    footer = group + schema + b"\x00"
    path = str(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    for command in ("inspect", "verify"):
        told = sluice_parquet(command, path)
        assert (told.returncode, told.stdout) == (1, "") and "row groups in front of the schema" in told.stderr, told
    evil = "a\x1b[2J\x9b2J"
    write(path, [Column(evil, "string", [evil + "ü" * 30] * 3)], pairs={evil: evil})
    told = sluice_parquet("inspect", path)
    assert told.returncode == 0 and "a\\x1b[2J\\xc2\\x9b2Jü" in told.stdout
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    data[pq.read_metadata(path).row_group(0).column(0).data_page_offset + 30] ^= 1
    (tmp_path / "t.parquet").write_bytes(data)
    wrong = sluice_parquet("verify", path)
    assert wrong.returncode == 1 and "column a?[2J?2J" in wrong.stderr
    assert not any(c in told.stdout + wrong.stderr for c in "\x1b\x9b")
