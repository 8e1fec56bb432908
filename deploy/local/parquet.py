"""Looks at what sluice-parquet stored, by DuckDB: independent of our own writer. DuckDB has an interpreter of its own
(deploy/deps/duckdb); this file is both the caller and what runs there."""
import json
import subprocess
import sys

QUERIES = {
    "counts": "SELECT count(*), count(DISTINCT series), count(DISTINCT filename) FROM objects",
    "double": "SELECT count(*) FROM (SELECT series, ts_ms FROM objects GROUP BY ALL HAVING count(*) > 1)",
    "answer": "SELECT metric, count(*), count(DISTINCT source), min(value), max(value) FROM objects "
              "WHERE kind = 'counter' GROUP BY metric ORDER BY 2 DESC, 1 LIMIT 3",
}


def ask(places, folder):
    """{name of a query: its rows}."""
    done = subprocess.run([str(places.deps / "duckdb/bin/python"), __file__, str(folder)], capture_output=True, text=True,
                          timeout=300, check=False)
    if done.returncode != 0:
        from deploy.local.places import StackError
        raise StackError("DuckDB can't read the objects: " + (done.stderr.strip().splitlines() or ["no word"])[-1])
    return json.loads(done.stdout)


def main(folder):
    import duckdb
    files = duckdb.connect()
    files.execute(f"CREATE VIEW objects AS SELECT * FROM read_parquet('{folder}/**/*.parquet', filename = true, "
                  "hive_partitioning = false)")
    json.dump({name: files.execute(sql).fetchall() for name, sql in QUERIES.items()}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
