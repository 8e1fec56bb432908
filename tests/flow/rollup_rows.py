"""Records of metrics.admitted as the rollup oracle's entries; records of metrics.rollup.* as its rows; and their comparison."""
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
        return None if flags & EMPTY_CLASSIC_FLAGS else Classic(count, tuple(counts), total if flags & 1 else 0.0, bool(flags & 1))

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


# A record of a rollup topic. heartbeat_at: the heartbeat's offset in the input.
Record = namedtuple("Record", "offset at_ms row heartbeat_at", defaults=(None, None))


def records(messages):
    """[(offset, Kafka timestamp, value)] of one partition, in order → [Record], parts put together."""
    out, parts = [], {}
    for offset, at_ms, value in messages:
        r = _decode("rollup", value)
        if r["kind"] == "heartbeat":
            out.append(Record(offset, at_ms, None, r["closed_at"]))
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
            out.append(Record(offset, at_ms, row))
    assert not parts, "the last part is missing"
    return out


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
    return Row(Stream(r["tenant"], r["source"], r["class"]), r["window_ms"], r["end_ms"], r["closed_at"], at_ms, found, amends,
               r["kind"] == "amend")


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
    return [Entry(r.offset, r.at_ms, r.row.stream, points_of(r.row)) if r.row else Entry(r.offset, r.at_ms) for r in found]


# ---- comparison


def plain(value):
    """A form in which equal means the same bits; thresholds by their logarithms."""
    if isinstance(value, float):
        return histograms.bits(value)
    if isinstance(value, histograms.Histogram):
        h = value
        return ("histogram", h.schema, histograms.log2(h.threshold), h.zero, h.count, histograms.bits(h.sum),
                tuple(tuple(sorted(side.items())) for side in histograms.filled(h.sides)))
    if isinstance(value, Classic):
        return ("classic", value.count, value.counts, histograms.bits(value.sum), value.has_sum)
    if isinstance(value, (Increase, Gauge)):
        return {name: plain(v) for name, v in vars(value).items()}
    return tuple(plain(v) for v in value) if isinstance(value, tuple) and not isinstance(value, Series) else value


def differences(want, got, limit=5):
    """What is wrong, in words: rows of one partition, of one window length or several; streams' rows in their order."""
    problems, left = [], {}
    for row in got:
        left.setdefault((row.stream, row.window_ms), []).append(row)
    for key in {(r.stream, r.window_ms) for r in want} | left.keys():
        wanted, found = [r for r in want if (r.stream, r.window_ms) == key], left.get(key, [])
        for w, g in zip(wanted, found):
            wrong = _difference(w, g)
            if wrong:
                problems.append(f"{key} {wrong}")
                break                     # what follows is compared with the wrong ones
        else:
            problems += [f"{key} row {r.place()} {word}" for rows, other, word in
                         ((wanted, found, "is missing"), (found, wanted, "should not be there")) for r in rows[len(other):]]
    return problems[:limit] + ([f"and {len(problems) - limit} more"] if len(problems) > limit else [])


def _difference(want, got):
    for name in ("end_ms", "closed_at", "at_ms", "is_amend"):
        if getattr(want, name) != getattr(got, name):
            return f"{name} of {got.place()}: {getattr(want, name)} wanted, is {getattr(got, name)}; wanted row {want.place()}"
    for name in ("series", "amends"):
        a, b = getattr(want, name), getattr(got, name)
        if a.keys() != b.keys():
            return f"{name} of {got.place()}: missing {sorted(a.keys() - b.keys())}, too many {sorted(b.keys() - a.keys())}"
        for key, columns in a.items():
            if plain(columns) != plain(b[key]):
                return f"{got.place()} {name} {key}:\n  wanted {columns}\n  is     {b[key]}"
    return None


# ---- what holds between the resolutions, whoever wrote the rows


def resolution_problems(rows):
    """5 m rows against their 1 m rows and 1 h rows against their 5 m rows: each row's last total and last, the sum of counts, and
    of deltas and sums as floating-point numbers can tell. Late rows of an hour's own are left to the oracle."""
    problems = []
    for short_ms, long_ms in ((60_000, 300_000), (300_000, 3_600_000)):
        short, long = {}, {}
        for r in rows:
            if not r.is_amend and r.window_ms in (short_ms, long_ms):
                at = (r.stream, (r.end_ms - 1) // long_ms)
                (short.setdefault(at, []) if r.window_ms == short_ms else long.setdefault(at, [])).append(r)
        for at, parts in short.items():
            whole = long.get(at, [])
            last_end = max(r.end_ms for key, own in short.items() if key[0] == at[0] for r in own)
            if len(whole) > 1 or not whole and short_ms == 60_000 and last_end >= (at[1] + 1) * long_ms:
                problems.append(f"{at}: {len(whole)} rows of {long_ms} ms")
            elif whole:
                problems += [f"{at} {long_ms} {p}" for p in _whole_problems(whole[0], sorted(parts, key=lambda r: r.end_ms))]
        problems += [f"{at}: a row of {long_ms} ms of nothing" for at in long.keys() - short.keys() if short_ms == 60_000]
    return problems


def _whole_problems(whole, parts):
    """A part of the very log time at which the hour closed may have come before or after that."""
    variants = [[p for p in parts if p.at_ms <= whole.at_ms], [p for p in parts if p.at_ms < whole.at_ms]]
    found = [[*_parts_problems(whole, v)] for v in variants[:2 if whole.window_ms == 3_600_000 else 1]]
    return min(found, key=len)


def _parts_problems(whole, parts):
    of = {}
    for part in parts:
        for series, c in part.series.items():
            of.setdefault(series, []).append(c)
    if missing := of.keys() - whole.series.keys():
        yield f"{sorted(missing)} are missing"
    for series, columns in of.items():
        c = whole.series.get(series)
        if c is None:
            continue
        if c.count != sum(x.count for x in columns):
            yield f"{series}: the count is {c.count}"
        if series.kind == "gauge":
            if c.count and (c.min != min(x.min for x in columns if x.count) or c.max != max(x.max for x in columns if x.count)):
                yield f"{series}: the range is {c.min} to {c.max}"
            continue
        if plain(c.total) != plain(columns[-1].total):
            yield f"{series}: total is {c.total}, of the last part {columns[-1].total}"
        late = _number(series, c.late) if whole.window_ms == 3_600_000 and c.late is not None else 0
        want = sum(_number(series, x.delta) for x in columns)
        if abs(_number(series, c.delta) - want) > 1e-9 * (abs(want) + 1) and not late:
            yield f"{series}: delta is {c.delta}, of the parts {want}"


def _number(series, amount):
    return amount if series.kind == "counter" else amount.count
