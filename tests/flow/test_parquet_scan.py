"""What a query for one metric of 300 reads of an hour's file, counted at the file; how many bytes a sample takes."""
import io

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.flow.parquet_rows import HOUR_MS, run_tool

METRIC = "game_matchmaking_players_total_150"
N_SERVERS, N_METRICS, N_SCRAPES = 50, 300, 360


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
    load = {"servers": N_SERVERS, "metrics": N_METRICS, "scrapes": N_SCRAPES, "base_ms": 1_780_056_000_000}
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


def test_row_groups_end_with_their_metrics(hour):
    """So that a metric lies in one of them."""
    metadata = pq.read_metadata(hour[0])
    bounds = [metadata.row_group(i).column(1).statistics for i in range(metadata.num_row_groups)]
    assert len(bounds) >= 20 and all(a.max < b.min for a, b in zip(bounds, bounds[1:]))
