"""deploy/athena as analysts use it: the tables' columns are the files', and views and example queries, run by DuckDB over
files of real batches, give the answers that are reckoned here. Where Trino has another word than DuckDB, it is taught."""
import datetime
import math
import re
import struct
from collections import defaultdict

import duckdb
import pytest

from deploy.local.places import ROOT
from tests.flow import batches
from tests.flow.parquet_rollups import TABLES, RollupLoad
from tests.flow.parquet_rows import LABEL_COLUMNS, STALE, Load, classic, native, produce, scalar

ATHENA = ROOT / "deploy/athena"
NOON = 1_780_056_000_000  # 2026-05-29T12:00Z
TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "boolean": "BOOLEAN",
         "timestamp": "TIMESTAMP WITH TIME ZONE", "map<string,string>": "MAP(VARCHAR, VARCHAR)", "array<int>": "INTEGER[]",
         "array<bigint>": "BIGINT[]", "array<double>": "DOUBLE[]"}
TRINO = ["CREATE MACRO element_at(m, k) AS m[k]"]


def statements(name):
    text = "\n".join(line for line in (ATHENA / name).read_text().splitlines() if not line.startswith("--"))
    return [s.strip() for s in text.split(";") if s.strip()]


def queries():
    parts = re.split(r"^-- name: (.*)$", (ATHENA / "queries.sql").read_text(), flags=re.M)[1:]
    return {name: "\n".join(line for line in sql.splitlines() if not line.startswith("--")).strip().rstrip(";")
            for name, sql in zip(parts[::2], parts[1::2])}


def for_duckdb(sql):
    """UNNEST of two arrays side by side is another construct there."""
    return re.sub(r"CROSS JOIN UNNEST\((\w+), (\w+)\) AS (\w+) \((\w+), (\w+)\)",
                  r"CROSS JOIN LATERAL (SELECT unnest(\1) AS \4, unnest(\2) AS \5) AS \3", sql)


def tables():
    """{name: ({column: DuckDB's type}, [partition columns], statement)}"""
    out = {}
    for s in statements("tables.sql"):
        name, body = re.match(r"CREATE EXTERNAL TABLE IF NOT EXISTS (\w+) \((.*?)\)\s*PARTITIONED BY", s, re.S).groups()
        columns = dict(re.findall(r"(\w+) ((?:map|array)<[\w,]+>|\w+)", body))
        partitions = re.findall(r"(\w+) string", re.search(r"PARTITIONED BY \((.*?)\)", s).group(1))
        out[name] = {c: TYPES[t] for c, t in columns.items()}, partitions, s
    return out


@pytest.fixture
def db():
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for macro in TRINO:
            connection.execute(macro)
        yield connection


def attach(db, directory):
    """What Athena sees: the files under each table, or an empty one."""
    for name, (columns, partitions, _) in tables().items():
        if (directory / name).exists():
            db.execute(f"CREATE VIEW {name} AS FROM read_parquet('{directory}/{name}/**/*.parquet', hive_partitioning = true, "
                       "hive_types = {'dt': VARCHAR, 'hour': VARCHAR})")
        else:
            db.execute(f"CREATE TABLE {name} ({', '.join(f'{c} {t}' for c, t in columns.items())}, "
                       f"{', '.join(f'{p} VARCHAR' for p in partitions)})")
    for s in statements("views.sql"):
        db.execute(for_duckdb(s))


def a_load():
    """Three servers over ten minutes: a counter that is reset, one that stands still, a gauge, histograms, a server that ends."""
    load = Load()
    for step in range(60):
        for server in range(3):
            source, labels = f"gs-{server}", {"region": ["eu", "us", "eu"][server], "shard_id": f"gs-{server}"}
            points = [scalar(batches.counter, "game_logins_total", 7.0 * (step % 25) * (server + 1), map=f"m{server % 2}", **labels),
                      scalar(batches.counter, "game_matchmaking_requests_total", 100.0 + step * 3, queue=f"q{server}", **labels),
                      scalar(batches.gauge, "game_players_online", 40.0 + step % 7, **labels),
                      native("game_tick_seconds", [(-3, step), (2, server)], float(step), **labels),
                      classic("game_wait_seconds", [0.5], [step, 1], 2.0, **labels)]
            if server == 1 and step == 59:
                points = [scalar(batches.counter, "game_logins_total", STALE, map="m1", **labels)]
            load.scrape(source, points, NOON - 120_000 + step * 10_000 + server)
    return load


def increases(load, metric):
    """[(row, increase)] as the view should have them."""
    out, before = [], {}
    for row in sorted(load.rows, key=lambda r: r["ts_ms"]):
        if row["metric"] != metric or row["stale"]:
            continue
        value, key = struct.unpack("<d", row["value"])[0], row["series"]
        if key in before:
            out.append((row, value if value < before[key] else value - before[key]))
        before[key] = value
    return out


def at(ts_ms):
    return datetime.datetime.fromtimestamp(ts_ms / 1000, datetime.timezone.utc)


def expected_answers(load):
    minutes, queues, last, buckets, labels = defaultdict(float), {}, {}, {}, defaultdict(set)
    for row, increase in increases(load, "game_logins_total"):
        if row["ts_ms"] >= NOON:
            minutes[at(row["ts_ms"] // 60_000 * 60_000), row["region"]] += increase
    for row, increase in increases(load, "game_matchmaking_requests_total"):
        queues.setdefault(row["queue"], [0.0, row["ts_ms"] - 10_000])
        queues[row["queue"]][0] += increase
        queues[row["queue"]].append(row["ts_ms"])
    for row in load.rows:
        if row["ts_ms"] < NOON or row["stale"]:
            continue
        if row["source"] == "gs-1" and row["value"]:
            last[row["metric"], row["series"]] = (struct.unpack("<d", row["value"])[0], at(row["ts_ms"]))
        if row["metric"] == "game_tick_seconds":
            buckets[row["series"]] = zip(row["exp_positive_index"], row["exp_positive_count"])
    for row in load.rows:
        if row["metric"] == "game_logins_total" and row["ts_ms"] >= NOON:
            labels[dict(row["labels"])["map"]].add((row["series"], row["ts_ms"]))
    sums = defaultdict(int)
    for one in buckets.values():
        for i, n in one:
            sums[i] += n
    return {
        "logins per minute and region": [(*key, n) for key, n in sorted(minutes.items())],
        "the queues that grew most": sorted(((q, s[0] / (s[-1] - s[1]) * 1000) for q, s in queues.items()), key=lambda r: -r[1]),
        "one server's last word before it ended": [(*key, *value) for key, value in sorted(last.items())],
        "a native histogram's buckets over all servers": [(2 ** (i / 8), n) for i, n in sorted(sums.items())],
        "samples per label that has no column of its own": [(m, len(s), len({x for x, _ in s})) for m, s in sorted(labels.items())],
        "no row twice": [(len(load.rows), len(load.rows))]}


def close(got, want):
    return len(got) == len(want) and all(
        len(a) == len(b) and all(y == pytest.approx(x) if isinstance(x, float) else x == y for x, y in zip(a, b))
        for a, b in zip(got, want))


def test_views_and_queries_give_the_right_answers(tmp_path, db):
    load = a_load()
    produce(tmp_path, load.records)
    attach(db, tmp_path)
    want = expected_answers(load)
    for name, sql in queries().items():
        got = [tuple(row) for row in db.execute(for_duckdb(sql)).fetchall()]
        if "rollup" not in sql:
            answer = want.pop(name)
            assert answer and (close(sorted(got), sorted(answer)) if name.startswith("the queues") else close(got, answer)), (
                f"{name}: {got} instead of {answer}")
    assert not want


def test_the_tables_columns_are_the_files(tmp_path, db):
    """In their order, too."""
    objects = produce(tmp_path, a_load().records[:3] + [(offset + 100, value) for offset, value in RollupLoad(11, 200).records])
    assert {o["table"] for o in objects} == set(tables())
    for o in objects:
        described = db.execute(f"DESCRIBE SELECT * FROM read_parquet('{tmp_path}/{o['key']}', hive_partitioning = false)").fetchall()
        columns, partitions, statement = tables()[o["table"]]
        assert [(name, type_) for name, type_, *_ in described] == list(columns.items())
        assert partitions == re.findall(r"/(\w+)=", o["key"])
        template = re.search(r"'storage.location.template' = 'S3_LOCATION/(.*?)'", statement).group(1)
        dt, hour = re.search(r"dt=(.*?)/hour=(..)/", o["key"]).groups()
        assert o["key"].startswith(template.replace("${dt}", dt).replace("${hour}", hour))


def test_label_columns_are_the_workers_default():
    default = re.search(r'layout_default_label_columns\[\] =\s*"(.*?)"', (ROOT / "workers/parquet/layout.c").read_text()).group(1)
    assert default.split(",") == LABEL_COLUMNS
    for columns, _, _ in tables().values():
        assert list(columns)[-len(LABEL_COLUMNS):] == LABEL_COLUMNS


def rollup_row(ts_ms, revision=0, **values):
    row = {"tenant": "demo", "metric": "m", "kind": "counter", "series": "s1", "source": "gs", "ts_ms": ts_ms, "revision": revision,
           "dt": "2026-05-29", "hour": "12", **values}
    return row


def insert(db, table, rows):
    for row in rows:
        db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def test_revisions_are_merged(tmp_path, db):
    """Minute 1: 10, and 3 came late, of which minute 2's row had folded in 3 (late). A gauge: a late sample below. Later: late
    amounts of a window of which nothing else is known."""
    produce(tmp_path, a_load().records[:1])
    attach(db, tmp_path)
    m = NOON + 60_000
    gauge = {"metric": "g", "series": "s2", "kind": "gauge"}
    insert(db, "rollup_1m", [
        rollup_row(m, total=10.0, delta=10.0), rollup_row(m, 76, delta=3.0, count=1),
        rollup_row(m + 60_000, total=18.0, delta=8.0, late=3.0),
        rollup_row(m, **gauge, sum=10.0, count=2, min=4.0, max=6.0, last=6.0, last_ts_ms=m - 1, ended=False),
        rollup_row(m, 99, **gauge, sum=1.0, count=1, min=1.0, max=1.0, ended=False),
        rollup_row(m + 900_000, 99, delta=2.0, count=1, ts=at(m + 900_000))])
    view = "SELECT metric, ts_ms, total, delta, rate, revisions FROM rollup_1m_latest WHERE metric = 'm' ORDER BY ts_ms"
    assert db.execute(view).fetchall() == [
        ("m", m, 10.0, 13.0, 13 / 60, 1), ("m", m + 60_000, 18.0, 5.0, 5 / 60, 0), ("m", m + 900_000, None, 2.0, 2 / 60, 1)]
    view = "SELECT sum, count, mean, min, max, last, ended, revisions FROM rollup_1m_latest WHERE metric = 'g'"
    assert db.execute(view).fetchall() == [(11.0, 3, 11 / 3, 1.0, 6.0, 6.0, False, 1)]
    end = NOON + 300_000
    insert(db, "rollup_5m", [rollup_row(end, total=18.0, delta=18.0, late=3.0),
                             rollup_row(end, **gauge, sum=10.0, count=2, min=4.0, max=6.0, last=6.0, ended=False),
                             rollup_row(end + 300_000, total=19.0, delta=1.0)])
    view = "SELECT delta, rate FROM rollup_5m_latest WHERE metric = 'm' ORDER BY ts_ms"
    assert db.execute(view).fetchall() == [(18.0, 18 / 300), (1.0, 1 / 300), (2.0, 2 / 300)]
    assert db.execute("SELECT ts FROM rollup_5m_latest WHERE ts_ms = ?", [m + 1_140_000]).fetchall() == [(at(m + 1_140_000),)]
    view = "SELECT sum, count, min, max, last FROM rollup_5m_latest WHERE metric = 'g'"
    assert db.execute(view).fetchall() == [(11.0, 3, 1.0, 6.0, 6.0)]
    end = NOON + 3_600_000
    insert(db, "rollup_1h", [rollup_row(end, total=20.0, delta=20.0, late=3.0)])
    assert db.execute("SELECT delta, rate FROM rollup_1h_latest WHERE metric = 'm'").fetchall() == [(22.0, 22 / 3600)]


def number(data):
    return 0.0 if data is None else struct.unpack("<d", data)[0]


def merged(load, window_ms):
    """{(tenant, series, kind, temporality, class, source, ts_ms): (rows above revision 0, delta, sum, count, min, max, delta_count,
    whether there is a row)} as the view should have them: rows of the window, less what was late for others, and what was late
    for it."""
    out = defaultdict(lambda: [0, 0.0, 0.0, 0, math.inf, -math.inf, 0, False])
    for table, r in load.rows:
        if table != TABLES[window_ms] and not (table == "rollup_1m" and r["revision"]):
            continue
        end_ms = (r["ts_ms"] - 1) // window_ms * window_ms + window_ms
        one = out[r["tenant"], r["series"], r["kind"], r["temporality"], r["class"], r["source"], end_ms]
        one[0] += r["revision"] > 0
        one[1] += number(r["delta"]) - number(r["late"])
        one[2] += number(r["sum"])
        one[3] += r["count"]
        one[4] = one[4] if r["min"] is None else min(one[4], number(r["min"]))
        one[5] = one[5] if r["max"] is None else max(one[5], number(r["max"]))
        one[6] += (r["delta_count"] or 0) - (r["late_count"] or 0)
        one[7] = one[7] or not r["revision"]
    return out


@pytest.mark.parametrize("window, window_ms", [("1m", 60_000), ("5m", 300_000), ("1h", 3_600_000)])
def test_views_over_rows_that_the_worker_wrote(tmp_path, db, window, window_ms):
    """Each window of the log once, with all that ever came for it."""
    load = RollupLoad(11, 500)
    produce(tmp_path, load.records)
    attach(db, tmp_path)
    want, seen = merged(load, window_ms), set()
    rows = db.execute(f"SELECT tenant, series, kind, temporality, class, source, ts_ms, revisions, delta, sum, count, min, max, "
                      f"delta_count, ts, rate, dt, hour, total IS NULL AND sum IS NULL FROM rollup_{window}_latest").fetchall()
    assert any(row[7] for row in rows) and any(row[7] and row[13] for row in rows)
    for row in rows:
        key, (revisions, delta, total, count, low, high, n, ts, rate, dt, hour, _) = row[:7], row[7:]
        w = want[key]
        assert key not in seen and revisions == w[0] and count == w[3], (key, row, w)
        seen.add(key)
        assert (low, high) == tuple(None if math.isinf(v) and c is None else v for v, c in zip(w[4:6], (low, high)))
        assert row[2] != "counter" or delta == pytest.approx(w[1], abs=1e-6) and rate == pytest.approx(w[1] * 1000 / window_ms, abs=1e-6)
        assert row[2] != "gauge" or total == pytest.approx(w[2], abs=1e-6)
        assert not row[2].endswith("histogram") or n == w[6]
        assert ts == at(key[6]) and at(key[6] - 1).strftime("%Y-%m-%d %H") == f"{dt} {hour}"
    assert seen == set(want)
