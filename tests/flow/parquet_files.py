"""Parquet files of our writer (by parquet-tool), and what independent readers make of them: pyarrow (parquet-cpp), DuckDB,
polars and DataFusion (arrow-rs), each with a reader of its own. Values are compared in one form: doubles as their bits,
timestamps as ms, maps as lists of pairs."""
import datetime
import json
import os
import struct
import subprocess
from array import array
from dataclasses import dataclass, field

import datafusion
import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

from deploy.local.places import ROOT

BIN = os.environ.get("SLUICE_BIN") or ROOT / "build/bin"
TOOL = f"{BIN}/tests/unit/parquet/parquet-tool"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
CODES = {"bool": "b", "int32": "i", "int64": "q", "timestamp": "q", "double": "d"}


@dataclass
class Column:
    """One field and its rows: a value, None, a list (LIST) or a list of pairs (MAP) each. Doubles may be given as their bits
    (bytes of 8), so that a NaN keeps its payload."""
    name: str
    type: str
    rows: list = field(default_factory=list)
    form: str = "one"
    encoding: str = "default"
    optional: bool = False
    optional_values: bool = False
    bloom: bool = False

    def description(self):
        return {key: value for key, value in vars(self).items() if key != "rows"}


class WriterFailed(Exception):
    pass


def _texts(values):
    raw = [b"" if v is None else v.encode() if isinstance(v, str) else v for v in values]
    return array("I", [len(v) for v in raw]).tobytes() + b"".join(raw)


def _values(type_, values):
    if type_ in ("string", "bytes"):
        return _texts(values)
    if type_ == "double":
        return b"".join(v if isinstance(v, bytes) else struct.pack("<d", 0.0 if v is None else v) for v in values)
    return array(CODES[type_], [0 if v is None else v for v in values]).tobytes()


def _flags(values):
    nulls = bytes(v is None for v in values)
    return b"\1" + nulls if any(nulls) else b"\0"


def _column(column, rows):
    if column.form == "one":
        return _flags(rows) + _values(column.type, rows)
    entries = [entry for row in rows if row is not None for entry in row]
    values = [v for _, v in entries] if column.form == "map" else entries
    out = _flags(rows) + array("I", [0 if row is None else len(row) for row in rows]).tobytes() + _flags(values)
    if column.form == "map":
        out += _texts([k for k, _ in entries])
    return out + _values(column.type, values)


def describe(columns, batch_rows=None, **options):
    """The tool's input."""
    n_rows = len(columns[0].rows) if columns else 0
    head = json.dumps({"fields": [c.description() for c in columns], **options}).encode()
    out = [struct.pack("<I", len(head)), head]
    step = batch_rows or max(n_rows, 1)
    for at in range(0, n_rows, step):
        rows = [c.rows[at:at + step] for c in columns]
        out.append(struct.pack("<Q", len(rows[0])))
        out += [_column(c, r) for c, r in zip(columns, rows)]
    return b"".join(out) + struct.pack("<Q", 0)


def write_raw(path, data):
    done = subprocess.run([TOOL, path], input=data, capture_output=True, timeout=300, check=False)
    if done.returncode == 1:
        raise WriterFailed(json.loads(done.stdout)["error"])
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def sluice_parquet(command, *paths):
    return subprocess.run([f"{BIN}/sluice-parquet", command, *paths], capture_output=True, text=True, timeout=300, check=False)


def write(path, columns, **options):
    """Writes the file and has it verified; what the writer said about it. WriterFailed when it failed."""
    wrote = write_raw(path, describe(columns, **options))
    verified = sluice_parquet("verify", path)
    assert verified.returncode == 0, verified.stderr
    return wrote


def canonical(value):
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, datetime.datetime):
        delta = value.astimezone(datetime.timezone.utc) - EPOCH
        return (delta.days * 86400 + delta.seconds) * 1000 + delta.microseconds // 1000
    if isinstance(value, tuple):
        return (value[0], canonical(value[1]))
    if isinstance(value, dict):
        return (value["key"], canonical(value["value"]))
    if isinstance(value, list):
        return [canonical(v) for v in value]
    return value


def expected(columns):
    return {c.name: [canonical(tuple(v) if isinstance(v, tuple) else v) for v in c.rows] for c in columns}


def _from_arrow(table):
    return {name: [canonical(v) for v in table.column(name).to_pylist()] for name in table.column_names}


def read_pyarrow(path):
    return _from_arrow(pq.read_table(path, page_checksum_verification=True))


def read_duckdb(path, where="true"):
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        return _from_arrow(db.sql(f"SELECT * FROM read_parquet('{path}') WHERE {where}").to_arrow_table())


def read_polars(path):
    return _from_arrow(polars.read_parquet(path).to_arrow())


def read_datafusion(path, where="true"):
    context = datafusion.SessionContext(datafusion.SessionConfig({
        "datafusion.execution.parquet.pushdown_filters": "true",
        "datafusion.execution.parquet.reorder_filters": "true",
        "datafusion.execution.target_partitions": "1"}))
    context.register_parquet("t", str(path), file_extension=os.path.splitext(path)[1])
    batches = context.sql(f"SELECT * FROM t WHERE {where}").collect()
    return _from_arrow(pa.Table.from_batches(batches)) if batches else {}


READERS = {"pyarrow": read_pyarrow, "duckdb": read_duckdb, "polars": read_polars, "datafusion": read_datafusion}


def check(path, columns, readers=tuple(READERS)):
    """Every reader gets every value."""
    want = expected(columns)
    for name in readers:
        got = READERS[name](path)
        if not columns[0].rows and not got:
            continue
        assert list(got) == list(want), f"{name}: columns"
        for column, values in want.items():
            if got[column] != values:
                at = next((i for i, (a, b) in enumerate(zip(got[column], values)) if a != b), min(len(got[column]), len(values)))
                raise AssertionError(f"{name}: column {column}, row {at} of {len(got[column])}/{len(values)}: "
                                     f"{got[column][at:at + 1]} instead of {values[at:at + 1]}")
