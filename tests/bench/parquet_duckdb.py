"""Our benches of Parquet beside DuckDB's COPY of the same rows: zstd, one thread each; rows per CPU-second, bytes per row.
bench-parquet-write is the writer alone, bench-parquet-rows batches that are sorted first; DuckDB gets sorted rows.

    parquet_duckdb.py [--json] [--rows N]"""
import argparse
import json
import os
import resource
import subprocess
import tempfile

import duckdb

from deploy.local.places import ROOT

BENCHES = ROOT / "build/release/tests/bench"


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def copy(db, path):
    """CPU seconds of the COPY alone: the rows lie in memory before it."""
    began = cpu_s()
    db.execute(f"COPY rows TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 1048576)")
    return cpu_s() - began


def compare(name, n_rows):
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = f"{scratch}/ours.parquet", f"{scratch}/duckdb.parquet"
        out = subprocess.run([BENCHES / f"bench-{name}", "--json", "--rows", str(n_rows), "--out", ours], capture_output=True,
                             text=True, check=True)
        line = json.loads(out.stdout.splitlines()[0])
        with duckdb.connect() as db:
            db.execute("SET threads = 1")
            db.execute(f"CREATE TABLE rows AS FROM read_parquet('{ours}')")
            n_rows = db.execute("SELECT count(*) FROM rows").fetchall()[0][0]
            seconds = copy(db, theirs)
        return {"bench": "parquet_duckdb", "of": name, "ours_rows_per_s": line["rows_per_s"],
                "ours_bytes_per_row": line["bytes_per_row"], "duckdb_rows_per_s": round(n_rows / seconds),
                "duckdb_bytes_per_row": round(os.path.getsize(theirs) / n_rows, 3),
                "duckdb_process_peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=1_800_000)
    args = parser.parse_args()
    for name in ("parquet-write", "parquet-rows"):
        r = compare(name, args.rows)
        print(json.dumps(r) if args.json else
              f"parquet_duckdb, {name}: ours {r['ours_rows_per_s']} rows/s/core, {r['ours_bytes_per_row']} bytes/row; DuckDB "
              f"{r['duckdb_rows_per_s']} rows/s/core, {r['duckdb_bytes_per_row']} bytes/row")


main()
