"""bench-parquet-write beside DuckDB's COPY of the same rows: sorted, zstd, one thread each; rows per CPU-second, bytes per row.

    parquet_duckdb.py [--json] [--rows N]"""
import argparse
import json
import os
import resource
import subprocess
import tempfile

import duckdb

from deploy.local.places import ROOT

BENCH = ROOT / "build/release/tests/bench/bench-parquet-write"


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def copy(db, path):
    """CPU seconds of the COPY alone: the rows lie in memory before it."""
    began = cpu_s()
    db.execute(f"COPY rows TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 1048576)")
    return cpu_s() - began


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=1_800_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = f"{scratch}/ours.parquet", f"{scratch}/duckdb.parquet"
        out = subprocess.run([BENCH, "--json", "--rows", str(args.rows), "--out", ours], capture_output=True, text=True, check=True)
        line = json.loads(out.stdout.splitlines()[0])
        with duckdb.connect() as db:
            db.execute("SET threads = 1")
            db.execute(f"CREATE TABLE rows AS FROM read_parquet('{ours}')")
            n_rows = db.execute("SELECT count(*) FROM rows").fetchall()[0][0]
            seconds = copy(db, theirs)
        result = {"bench": "parquet_duckdb", "ours_rows_per_s": line["rows_per_s"], "ours_bytes_per_row": line["bytes_per_row"],
                  "duckdb_rows_per_s": round(n_rows / seconds), "duckdb_bytes_per_row": round(os.path.getsize(theirs) / n_rows, 3),
                  "duckdb_process_peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    print(json.dumps(result) if args.json else
          f"parquet_duckdb: ours {line['rows_per_s']} rows/s/core, {line['bytes_per_row']} bytes/row; DuckDB {result['duckdb_rows_per_s']} "
          f"rows/s/core, {result['duckdb_bytes_per_row']} bytes/row")


main()
