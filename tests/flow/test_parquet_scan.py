"""An hour's file of 5.4 million samples: what a query for one metric of 300 reads of it, counted at the file; how many bytes a
sample takes; that all readers see the same."""
import io
import json
import subprocess
import sys

import datafusion
import duckdb
import polars
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.flow.parquet_rows import HOUR_MS, run_tool

METRIC = "game_matchmaking_players_total_150"
N_SERVERS, N_METRICS, N_SCRAPES = 50, 300, 360
BASE_MS = 1_780_056_000_000


class CountingFile(io.RawIOBase):
    """A file that counts the bytes that are read of it."""

    def __init__(self, path):
        super().__init__()
        self.file, self.n_bytes = open(path, "rb", buffering=0), 0  # noqa: SIM115

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, *args):
        return self.file.seek(*args)

    def tell(self):
        return self.file.tell()

    def readinto(self, buffer):
        n = self.file.readinto(buffer)
        self.n_bytes += n
        return n

    def close(self):
        self.file.close()
        super().close()


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    """50 servers of 300 series, scraped every 10 s for an hour: (path, rows, bytes)."""
    directory = tmp_path_factory.mktemp("scan")
    load = {"servers": N_SERVERS, "metrics": N_METRICS, "scrapes": N_SCRAPES, "base_ms": BASE_MS}
    objects = sorted(run_tool(directory, load=load), key=lambda o: o["rows"])
    assert sum(o["rows"] for o in objects) == N_SERVERS * N_METRICS * N_SCRAPES
    o = objects[-1]
    assert o["max_ts_ms"] - o["min_ts_ms"] < HOUR_MS
    return directory / o["key"], o["rows"], o["bytes"]


def one_metric(table):
    assert table.num_rows == N_SERVERS * N_SCRAPES and table.column("value").null_count == 0
    return sum(table.column("value").to_pylist())


def test_a_metric_is_found_without_reading_the_rest(hour, say):
    path, n_rows, n_bytes = hour
    columns = ["series", "ts", "value"]
    everything = one_metric(pq.read_table(path, columns=[*columns, "metric"]).filter(ds.field("metric") == METRIC))
    counted = CountingFile(path)
    found = pq.read_table(counted, columns=columns, filters=ds.field("metric") == METRIC)
    assert one_metric(found) == everything
    say(f"pyarrow read {counted.n_bytes} of {n_bytes} bytes, {100 * counted.n_bytes / n_bytes:.2f} %, for one metric of "
        f"{N_METRICS}; {n_bytes / n_rows:.2f} bytes a sample")
    assert counted.n_bytes <= 0.05 * n_bytes
    assert n_bytes / n_rows <= 2.5


# What the process has read since the file was named, as the kernel counts it.
DUCKDB_READS = """
import duckdb, json, re, sys
def n_read():
    return int(re.search("rchar: ([0-9]+)", open("/proc/self/io").read())[1])
with duckdb.connect() as db:
    db.execute("SELECT 1").fetchall()
    before = n_read()
    rows = db.execute("SELECT count(*), count(DISTINCT series), sum(value) FROM read_parquet(?) WHERE metric = ?", sys.argv[1:]).fetchone()
    print(json.dumps([n_read() - before, *rows]))
"""


def test_duckdb_reads_as_little(hour, say):
    path, _, n_bytes = hour
    done = subprocess.run([sys.executable, "-c", DUCKDB_READS, str(path), METRIC], capture_output=True, text=True, check=True)
    n_read, n_rows, n_series, total = json.loads(done.stdout)
    assert (n_rows, n_series) == (N_SERVERS * N_SCRAPES, N_SERVERS)
    assert total == pytest.approx(one_metric(pq.read_table(path, columns=["value"], filters=ds.field("metric") == METRIC)))
    say(f"DuckDB read {n_read} of {n_bytes} bytes, {100 * n_read / n_bytes:.2f} %")
    assert 0 < n_read <= 0.05 * n_bytes


def test_row_groups_end_with_their_metrics(hour):
    """So that a metric lies in one of them."""
    metadata = pq.read_metadata(hour[0])
    bounds = [metadata.row_group(i).column(1).statistics for i in range(metadata.num_row_groups)]
    assert len(bounds) >= 20 and all(a.max < b.min for a, b in zip(bounds, bounds[1:]))


AGGREGATES = ("SELECT count(*), sum(ts_ms - 1780056000000), sum(kafka_offset), min(value), max(value), count(DISTINCT series), "
              "count(CASE WHEN region = 'eu-central-1' THEN 1 END) FROM {}")


def of_pyarrow(path):
    t = pq.read_table(path, columns=["ts_ms", "kafka_offset", "value", "series", "region"])
    return (t.num_rows, pc.sum(pc.subtract(t["ts_ms"], BASE_MS)).as_py(), pc.sum(t["kafka_offset"]).as_py(), pc.min(t["value"]).as_py(),
            pc.max(t["value"]).as_py(), pc.count_distinct(t["series"]).as_py(),
            pc.sum(pc.equal(t["region"], "eu-central-1")).as_py())


def of_duckdb(path):
    with duckdb.connect() as db:
        return db.execute(AGGREGATES.format(f"read_parquet('{path}')")).fetchone()


def of_polars(path):
    c = polars.col
    return polars.scan_parquet(path).select(
        polars.len(), (c("ts_ms") - BASE_MS).sum().alias("a"), c("kafka_offset").sum().alias("b"), c("value").min().alias("c"),
        c("value").max().alias("d"), c("series").n_unique().alias("e"), (c("region") == "eu-central-1").sum().alias("f")).collect().row(0)


def of_datafusion(path):
    context = datafusion.SessionContext()
    context.register_parquet("t", str(path))
    return tuple(context.sql(AGGREGATES.format("t")).collect()[0].to_pylist()[0].values())


def test_millions_of_rows_are_the_same_to_all_readers(hour):
    path, n_rows, _ = hour
    want = of_pyarrow(path)
    assert want[0] == n_rows > 5_000_000 and want[5] == N_SERVERS * N_METRICS and want[6] == n_rows
    for reader in (of_duckdb, of_polars, of_datafusion):
        assert reader(path) == want, reader.__name__
