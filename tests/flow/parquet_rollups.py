"""Rows of rollups as sluice-parquet must write them, reckoned from the oracle's rows (rollup_oracle.py), and their records as
rollup_records encodes them."""
import collections
import datetime
import struct

from tests.flow import batches, histograms, rollup_logs, rollup_oracle, rollup_records
from tests.flow.parquet_rows import HOUR_MS, LABEL_COLUMNS, series_id

TABLES = {60_000: "rollup_1m", 300_000: "rollup_5m", 3_600_000: "rollup_1h"}
TOPICS = {60_000: "metrics.rollup.1m", 300_000: "metrics.rollup.5m", 3_600_000: "metrics.rollup.1h"}
SETS = ("total", "delta", "late", "last")
SET_COLUMNS = ("count", "sum", "exp_schema", "exp_zero_threshold", "exp_zero_count", "exp_positive_index",
               "exp_positive_count", "exp_negative_index", "exp_negative_count", "bucket_counts")
NOTHING = {name: None for name in ("total", "delta", "late", "sum", "min", "max", "last", "last_ts_ms", "bucket_bounds",
                                   *(f"{s}_{c}" for s in SETS for c in SET_COLUMNS))} | {"ended": False}


def double(v):
    return None if v is None else struct.pack("<d", v)


def side(buckets):
    """(indexes, counts) as the packed form has them."""
    spans, counts = histograms.layout(buckets)
    indexes, at = [], 0
    for offset, n in spans:
        at += offset
        indexes += range(at, at + n)
        at += n
    return indexes, counts


def histogram(series, set_, v):
    """Its columns; of None: nothing."""
    if v is None:
        return {}
    if series.kind == "classic_histogram":
        own = {"count": v.count, "sum": double(v.sum) if v.has_sum else None, "bucket_counts": list(v.counts)}
    else:
        negative, positive = (side(s) for s in v.sides)
        own = {"count": v.count, "sum": double(v.sum), "exp_schema": v.schema, "exp_zero_threshold": double(v.threshold),
               "exp_zero_count": v.zero, "exp_positive_index": positive[0], "exp_positive_count": positive[1],
               "exp_negative_index": negative[0], "exp_negative_count": negative[1]}
    return {f"{set_}_{name}": value for name, value in own.items()}


def amounts(series, **sets):
    """Of a counter or histogram."""
    if series.kind == "counter":
        return {name: double(v) for name, v in sets.items()}
    bounds = {"bucket_bounds": [double(b) for b in series.bounds]} if series.kind == "classic_histogram" else {}
    return {key: value for name, v in sets.items() for key, value in histogram(series, name, v).items()} | bounds


def values_of(series, c):
    common = {"count": c.count, "last_ts_ms": c.last_ts, "ended": c.ended}
    if series.kind == "gauge":
        return common | {name: double(getattr(c, name)) for name in ("sum", "min", "max", "last")}
    return common | amounts(series, total=c.total, delta=c.delta, late=c.late, last=c.last)


def values_of_amend(series, a):
    if series.kind == "gauge":
        return {"count": a.count} | {name: double(getattr(a, name)) for name in ("sum", "min", "max")}
    return {"count": a[0]} | amounts(series, delta=a[1])


def rows_of(row, source_name, partition, offset):
    """[(table, columns)] of a record."""
    found = [] if row.is_amend else [(row.end_ms, 0, s, values_of(s, c)) for s, c in row.series.items()]
    revision = row.closed_at + 1 if row.closed_at >= 0 else 1
    found += [(end_ms, revision, s, values_of_amend(s, a)) for (end_ms, s), a in row.amends.items()]
    out = []
    for end_ms, number, series, values in found:
        labels = dict(zip(series.labels[::2], series.labels[1::2]))
        out.append((TABLES[row.window_ms], NOTHING | {
            "tenant": row.stream.tenant, "metric": series.metric, "kind": series.kind,
            "temporality": None if series.kind == "gauge" else series.temporality, "unit": series.unit,
            "class": row.stream.class_, "series": series_id(row.stream.tenant, series.metric, labels),
            "source": source_name, "labels": sorted(labels.items()), "ts": end_ms, "ts_ms": end_ms, "revision": number,
            "kafka_partition": partition, "kafka_offset": offset, **{name: labels.get(name) for name in LABEL_COLUMNS}} | values))
    return out


def rows_in_topics(stack, names):
    """{table: [row]} of the records of all rollup topics but those that can't be read. names: source_names()"""
    found = collections.defaultdict(list)
    for topic in TOPICS.values():
        for r in stack.read_committed(topic):
            try:
                (record,) = rollup_records.records([(r.offset(), r.timestamp()[1], r.value())])
            except EOFError:
                continue
            if record.row:
                name = names[record.row.stream.tenant, record.row.stream.source]
                for table, row in rows_of(record.row, name, r.partition(), r.offset()):
                    found[table].append(row)
    return found


def place(row):
    return row["kafka_partition"], row["kafka_offset"], row["ts_ms"], row["metric"], row["series"]


def folder(table, row, prefix=""):
    """By the time of the samples."""
    start = datetime.datetime.fromtimestamp((row["ts_ms"] - 1) // HOUR_MS * HOUR_MS // 1000, datetime.timezone.utc)
    return f"{prefix}{table}/dt={start:%Y-%m-%d}/hour={start:%H}"


def source_names(messages):
    """{(tenant, source): its name}"""
    return {(m.tenant, batches.as_long(batches.source_id(m.source_name, m.tenant))): m.source_name for m in messages if m.source_name}


class RollupLoad:
    """The records of one partition of all three topics, and of their heartbeats, one behind the other; their rows."""

    def __init__(self, seed, n_messages=500, partition=0):
        messages = rollup_logs.generate(seed, n_messages, 5, 1)
        (entries,) = rollup_logs.entries(messages).values()
        found = rollup_oracle.rows(entries)
        fives = [rollup_records.Record(i, r.at_ms, r) for i, r in enumerate(found) if r.window_ms == 300_000]
        fives.append(rollup_records.Record(len(found), fives[-1].at_ms + 6 * HOUR_MS, None, 1))
        self.partition, self.names, self.records, self.rows = partition, source_names(messages), [], []
        for row in found + rollup_oracle.hour_rows(rollup_records.hour_entries(fives)):
            self.add(row)
        self.put(rollup_records.heartbeat(7))

    def put(self, value):
        self.records.append((3 * len(self.records) + 5, value))
        return self.records[-1][0]

    def add(self, row):
        name = self.names[row.stream.tenant, row.stream.source]
        self.rows += rows_of(row, name, self.partition, self.put(rollup_records.encoded(row, name)))
