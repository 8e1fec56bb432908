"""Records of metrics.admitted and metrics.rollup.* (schemas/batch.avsc, rollup.avsc), read and written: the rollup
oracle's entries and rows."""
import functools
import io
import json
import math
import struct
from collections import namedtuple

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from deploy.local.places import ROOT
from tests.flow import batches, histograms
from tests.flow.rollup_oracle import Entry, Row, Stream, points_of
from tests.flow.rollup_values import Classic, Gauge, Increase, Sample, Series

STALE = histograms.bits(histograms.STALE)
EMPTY_CLASSIC_FLAGS = 2


def shape_series(data):
    """[Series] of an encoded shape."""
    shape = _decode("shape", data)
    symbols = shape["symbols"]
    return [Series(symbols[s["metric"]], s["kind"], s["temporality"], symbols[s["unit"]],
                   tuple(symbols[i] for i in s["labels"]), tuple(s["bounds"])) for s in shape["series"]]


class Column:
    """Reads a column's values one by one."""

    def __init__(self, data):
        self.reader = histograms.Reader(data)

    def double(self):
        """None: a stale marker."""
        value = struct.unpack("<d", self.reader.take(8))[0]
        return None if histograms.bits(value) == STALE else value

    def exponential(self):
        """None: a stale marker, or of length 0."""
        data = self.reader.take(self.reader.varint())
        h = histograms.unpack_filled(data)
        return h if data and not histograms.is_stale(h) else None

    def classic(self, n_bounds):
        flags, total = struct.unpack("<Bd", self.reader.take(9))
        count, *counts = [self.reader.varint() for _ in range(n_bounds + 2)]
        if flags & EMPTY_CLASSIC_FLAGS:
            return None
        return Classic(count, tuple(counts), total if flags & 1 else 0.0, bool(flags & 1))

    def end(self):
        assert self.reader.at == len(self.reader.data), "the column is longer than its shape"


class Columns:
    """The columns of a record, whatever they hold per series."""

    def __init__(self, counters, gauges, exponential, classic):
        self.of = {"counter": Column(counters), "gauge": Column(gauges), "exponential_histogram": Column(exponential),
                   "classic_histogram": Column(classic)}

    def next(self, series):
        column = self.of[series.kind]
        if series.kind == "exponential_histogram":
            return column.exponential()
        return column.classic(len(series.bounds)) if series.kind == "classic_histogram" else column.double()

    def end(self):
        for column in self.of.values():
            column.end()


def _times(times, n):
    return [times["base"] + d for d in times["deltas"]] if times["deltas"] else [times["base"]] * n


def entry(offset, value):
    """A record of metrics.admitted."""
    b = _decode("batch", value)
    if not b["shape"]:
        return Entry(offset, b["received_ms"])
    series = shape_series(b["shape"])
    columns = Columns(b["values"], b"", b["exponential_histograms"], b["classic_histograms"])
    columns.of["gauge"] = columns.of["counter"]
    points = [(s, Sample(ts, start, columns.next(s)))
              for s, ts, start in zip(series, _times(b["times"], len(series)), _times(b["starts"], len(series)))]
    columns.end()
    return Entry(offset, b["received_ms"], Stream(b["tenant"], b["source"], b["class"]), points)


def _plain(schema):
    """Without logical types: times stay numbers."""
    if isinstance(schema, dict):
        return {k: _plain(v) for k, v in schema.items() if k != "logicalType"}
    return [_plain(v) for v in schema] if isinstance(schema, list) else schema


@functools.cache
def _schema(name):
    """(the record's first bytes, the schema)"""
    text = json.loads((ROOT / f"schemas/{name}.avsc").read_text())
    schema = fastavro.parse_schema(_plain(text))
    return b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")), schema


def _decode(name, value):
    head, schema = _schema(name)
    assert value[:10] == head, (name, value[:10])
    return fastavro.schemaless_reader(io.BytesIO(value[10:]), schema)


def kind(value):
    """Of a record of a rollup topic: row, amend or heartbeat."""
    return _decode("rollup", value)["kind"]


# A record of a rollup topic. heartbeat_at: the heartbeat's offset in the input. is_canonical: its bytes are the only ones
# that say this (of a record in parts: not looked at).
Record = namedtuple("Record", "offset at_ms row heartbeat_at is_canonical", defaults=(None, None, True))


def records(messages):
    """[(offset, Kafka timestamp, value)] of one partition, in order → [Record], parts put together."""
    out, parts = [], {}
    for offset, at_ms, value in messages:
        r = _decode("rollup", value)
        if r["kind"] == "heartbeat":
            out.append(Record(offset, at_ms, None, r["closed_at"], heartbeat(r["closed_at"]) == value))
            continue
        row = _row(at_ms, r)
        before = parts.pop(row.stream, None)
        assert r["part"] == (before[0] + 1 if before else 0), f"part {r['part']} at {offset}"
        if before:
            assert not before[1].series.keys() & row.series.keys() and before[1].end_ms == row.end_ms
            row.series.update(before[1].series)
            row.amends.update(before[1].amends)
        if r["closed_at"] == -1:
            parts[row.stream] = (r["part"], row)
        else:
            out.append(Record(offset, at_ms, row, is_canonical=r["part"] > 0 or encoded(row, _source_name(r)) == value))
    assert not parts, "the last part is missing"
    return out


def _source_name(r):
    shapes = [data for data in (r["shape"], *(a["shape"] for a in r["amends"])) if data]
    return _decode("shape", shapes[0])["source"] if shapes else ""


def _row(at_ms, r):
    series = shape_series(r["shape"]) if r["shape"] else []
    columns = Columns(r["counters"], r["gauges"], r["exponential_histograms"], r["classic_histograms"])
    late = {x["series"]: x["amount"] for x in r["late"]}
    found = {}
    for i, (s, n, last_ms) in enumerate(zip(series, r["samples"], _times(r["last_ms"], len(series)), strict=True)):
        last_ts, ended = last_ms or None, i in r["ended"]
        if s.kind == "gauge":
            total, low, high, last = (columns.next(s) for _ in range(4))
            found[s] = Gauge(total, n, *((low, high, last) if n else (None, None, None)), last_ts, ended)
        else:
            total, delta, last = (columns.next(s) for _ in range(3))
            if last is not None and s.kind == "counter" and math.isnan(last):
                last = None
            found[s] = Increase(total, delta, _amount(s, late[i]) if i in late else None, last, last_ts, n, ended)
    columns.end()
    amends = {}
    for a in r["amends"]:
        amends.update(_amends(a))
    stream = Stream(r["tenant"], r["source"], r["class"])
    return Row(stream, r["window_ms"], r["end_ms"], r["closed_at"], at_ms, found, amends, r["kind"] == "amend")


def _amount(series, data):
    columns = Columns(*[data if series.kind == kind else b"" for kind in batches.KINDS])
    amount = columns.next(series)
    columns.end()
    return amount


def _amends(a):
    columns, found = Columns(a["counters"], a["gauges"], a["exponential_histograms"], a["classic_histograms"]), {}
    for s, n in zip(shape_series(a["shape"]), a["samples"], strict=True):
        if s.kind == "gauge":
            total, low, high = (columns.next(s) for _ in range(3))
            found[a["end_ms"], s] = Gauge(total, n, low, high)
        else:
            found[a["end_ms"], s] = (n, columns.next(s))
    columns.end()
    return found


def hour_entries(found):
    """[Record] of one partition of metrics.rollup.5m as the hours' input."""
    return [Entry(r.offset, r.at_ms, *((r.row.stream, points_of(r.row)) if r.row else ())) for r in found]


# ---- written


def canonical_order(series):
    s = series
    return (s.metric.encode(), batches.KINDS.index(s.kind), s.temporality == "delta", s.unit.encode(), s.bounds,
            [t.encode() for t in s.labels])


def encode_shape(source_name, series):
    """The shape's bytes; series in canonical order."""
    symbols = {}

    def symbol(text):
        return symbols.setdefault(text, len(symbols))

    rows = [{"metric": symbol(s.metric), "unit": symbol(s.unit), "labels": [symbol(t) for t in s.labels], "kind": s.kind,
             "temporality": s.temporality, "bounds": list(s.bounds)} for s in series]
    return batches.encode("shape", {"symbols": list(symbols), "source": source_name, "series": rows})


def _encode_times(times):
    deltas = [t - times[0] for t in times]
    return {"base": times[0] if times else 0, "deltas": deltas if any(deltas) else []}


def _exponential(h):
    data = b"" if h is None else histograms.pack(h)
    return histograms.varint(len(data)) + data


def _classic(series, v):
    flags = EMPTY_CLASSIC_FLAGS if v is None else int(v.has_sum)
    v = v or Classic(0, (0,) * (len(series.bounds) + 1), 0.0, False)
    return struct.pack("<Bd", flags, v.sum) + b"".join(map(histograms.varint, (v.count, *v.counts)))


def _packed(series, value):
    """None: there is none."""
    if series.kind == "exponential_histogram":
        return _exponential(value)
    if series.kind == "classic_histogram":
        return _classic(series, value)
    return struct.pack("<d", math.nan if value is None else value)


def _packed_point(series, value):
    """None: a stale marker."""
    if value is not None or series.kind == "classic_histogram":
        return _packed(series, value)
    if series.kind == "exponential_histogram":
        return _exponential(histograms.Histogram(sum=histograms.STALE))
    return struct.pack("<d", histograms.STALE)


def record(message, n=0):
    """A message of rollup_logs as a record of metrics.admitted. n: its offset in the ingest topic."""
    m = message
    if m.source_name is None:
        return batches.heartbeat(m.received_ms)
    points = sorted(m.points, key=lambda p: canonical_order(p[0]))
    columns = {"values": b"", "exponential_histograms": b"", "classic_histograms": b""}
    for s, p in points:
        columns[s.kind + "s" if s.kind.endswith("histogram") else "values"] += _packed_point(s, p.value)
    return batches.encode("batch", {
        "tenant": m.tenant, "class": m.class_, "source": batches.as_long(batches.source_id(m.source_name, m.tenant)),
        "received_ms": m.received_ms, "redriven": 0,
        "origin": {"topic": "metrics.ingest." + m.tenant, "topic_id": b"\x07" * 16, "partition": 0, "offset": n,
                   "index": 0},
        "shape": encode_shape(m.source_name, [s for s, _ in points]), "times": _encode_times([p.ts for _, p in points]),
        "starts": _encode_times([p.start for _, p in points]), **columns})


def _columns(found, values_of):
    out = dict.fromkeys(("counters", "gauges", "exponential_histograms", "classic_histograms"), b"")
    for series, c in found:
        out[series.kind + "s"] += b"".join(_packed(series, v) for v in values_of(series, c))
    return out


def _row_values(series, c):
    return (c.sum, c.min, c.max, c.last) if series.kind == "gauge" else (c.total, c.delta, c.last)


def _amend_values(series, a):
    return (a.sum, a.min, a.max) if series.kind == "gauge" else a[1:]


def encoded(row, source_name):
    """The row as one record, as schemas/rollup.avsc says: the same row always gives the same bytes."""
    found = sorted(row.series.items(), key=lambda item: canonical_order(item[0]))
    late = [{"series": i, "amount": _packed(s, c.late)} for i, (s, c) in enumerate(found)
            if getattr(c, "late", None) is not None]
    amends = []
    for end_ms in sorted({end for end, _ in row.amends}):
        own = [(s, a) for (end, s), a in row.amends.items() if end == end_ms]
        own.sort(key=lambda item: canonical_order(item[0]))
        amends.append({"end_ms": end_ms, "shape": encode_shape(source_name, [s for s, _ in own]),
                       "samples": [a.count if s.kind == "gauge" else a[0] for s, a in own],
                       **_columns(own, _amend_values)})
    head, schema = _schema("rollup")
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, {
        "kind": "amend" if row.is_amend else "row", "tenant": row.stream.tenant, "class": row.stream.class_,
        "source": row.stream.source, "window_ms": row.window_ms, "end_ms": row.end_ms, "closed_at": row.closed_at,
        "part": 0, "shape": encode_shape(source_name, [s for s, _ in found]) if found else b"",
        "samples": [c.count for _, c in found], "last_ms": _encode_times([c.last_ts or 0 for _, c in found]),
        "ended": [i for i, (_, c) in enumerate(found) if c.ended],
        **_columns(found, _row_values), "late": late, "amends": amends})
    return head + out.getvalue()


def heartbeat(offset):
    """A heartbeat of metrics.admitted at that offset, as it is passed on into metrics.rollup.5m."""
    head, schema = _schema("rollup")
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, {
        "kind": "heartbeat", "tenant": "", "class": "critical", "source": 0, "window_ms": 0, "end_ms": 0,
        "closed_at": offset, "part": 0, "shape": b"", "samples": [], "last_ms": {"base": 0, "deltas": []}, "ended": [], **_columns([], None),
        "late": [], "amends": []})
    return head + out.getvalue()
