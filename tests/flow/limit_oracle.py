"""What sluice-limit must have done, worked out again from metrics.valid by simple code of its own: which series of
which batch go on under the source budgets, which batches are duplicates, what the dead letters say; and a check of
budgets that span partitions, on metrics.admitted alone."""
import collections
import datetime
import io
import struct

import xxhash

from tests.fault import formats
from tests.flow import batches

STEPS_ACTIVE = 8  # a series leaves when the step it was last seen in lies further back
OVER_SOURCE_BUDGET = "over_source_budget"
FIELDS_AS_THEY_ARE = ("tenant", "class", "source", "received_ms", "origin", "redriven")

Series = collections.namedtuple("Series", "id metric kind weight n_bounds text")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_shapes = {}


def series_id(tenant, metric, labels):
    """XXH3-128 of tenant, metric and the labels' names and values, each with its length in front."""
    text = b"".join(struct.pack("<I", len(t)) + t for t in (s.encode() for s in (tenant, metric, *labels)))
    return xxhash.xxh3_128_intdigest(text).to_bytes(16, "little")


def shape_of(tenant, data):
    """(source name, [Series])"""
    known = _shapes.get((tenant, data))
    if known is None:
        shape = formats.decode("shape", data)
        series = [_series(tenant, shape["symbols"], s) for s in shape["series"]]
        known = _shapes[tenant, data] = (shape["source"], series)
    return known


def _series(tenant, symbols, s):
    labels = tuple(symbols[i] for i in s["labels"])
    n_bounds = len(s["bounds"])
    text = (symbols[s["metric"]], s["kind"], s["temporality"], symbols[s["unit"]], tuple(s["bounds"]), labels)
    weight = n_bounds + 3 if s["kind"] == "classic_histogram" else 1
    return Series(series_id(tenant, text[0], labels), text[0], s["kind"], weight, n_bounds, text)


def shape_encode(source, kept):
    """The canonical shape of these series, their order as it is."""
    symbols = {}

    def symbol(text):
        return symbols.setdefault(text, len(symbols))

    rows = [{"metric": symbol(metric), "unit": symbol(unit), "labels": [symbol(t) for t in labels], "kind": kind,
             "temporality": temporality, "bounds": list(bounds)}
            for metric, kind, temporality, unit, bounds, labels in (s.text for s in kept)]
    return batches.encode("shape", {"symbols": list(symbols), "source": source, "series": rows})


class Batch:
    """A record of a series topic."""

    def __init__(self, record):
        self.partition, self.offset, self.bytes = record.partition(), record.offset(), record.value()
        self.append_ms = record.timestamp()[1]
        self.row = formats.decode("batch", self.bytes)
        self.row["received_ms"] = (self.row["received_ms"] - EPOCH) // datetime.timedelta(milliseconds=1)
        self.is_heartbeat = not self.row["shape"]
        self.origin = (self.row["origin"]["topic"], self.row["origin"]["partition"], self.row["origin"]["offset"],
                       self.row["origin"]["index"])
        self.source, self.series = shape_of(self.row["tenant"], self.row["shape"]) if self.row["shape"] else ("", [])

    def times(self, name="times"):
        row = self.row[name]
        return [row["base"] + d for d in row["deltas"]] if row["deltas"] else [row["base"]] * len(self.series)

    def data(self):
        """Each series' piece of its column."""
        columns = {name: io.BytesIO(self.row[name])
                   for name in ("values", "exponential_histograms", "classic_histograms")}
        pieces = []
        for s in self.series:
            if s.kind == "exponential_histogram":
                pieces.append(_sized(columns["exponential_histograms"]))
            elif s.kind == "classic_histogram":
                column = columns["classic_histograms"]
                pieces.append(column.read(9) + b"".join(_varint(column) for _ in range(s.n_bounds + 2)))
            else:
                pieces.append(columns["values"].read(8))
        assert all(c.read() == b"" for c in columns.values()), f"columns of {self.origin} are longer than its shape"
        return pieces


def _varint(column):
    out = column.read(1)
    while out[-1] & 0x80:
        out += column.read(1)
    return out


def _sized(column):
    head = _varint(column)
    return head + column.read(sum((b & 0x7F) << 7 * i for i, b in enumerate(head)))


class Partition:
    """One partition of the limiter, batch after batch. budget(tenant) → series per source."""

    def __init__(self, active_ms, budget):
        self.step_ms = active_ms // STEPS_ACTIVE
        self.budget = budget
        self.time_ms = 0
        self.highs = {}
        self.sources = collections.defaultdict(dict)  # (tenant, source): {series id: (step last seen, weight)}

    def is_duplicate(self, b):
        origin = b.row["origin"]
        stream, at = (origin["topic"], origin["topic_id"], origin["partition"]), (origin["offset"], origin["index"])
        if b.row["redriven"]:
            return False
        if at <= self.highs.get(stream, (-1, -1)):
            return True
        self.highs[stream] = at
        return False

    def judge(self, b):
        """None: nothing of it goes on, uncounted as well (a duplicate). Else which series are kept."""
        if self.is_duplicate(b):
            return None
        self.time_ms = max(self.time_ms, b.row["received_ms"])
        step = self.time_ms // self.step_ms
        key = (b.row["tenant"], b.row["source"])
        active = {i: seen for i, seen in self.sources[key].items() if step - seen[0] <= STEPS_ACTIVE}
        n_active = sum(weight for _, weight in active.values())
        kept = []
        for s in b.series:
            held = active[s.id][1] if s.id in active else 0
            more = max(s.weight - held, 0)  # a series that was lighter as another kind needs room for the rest
            is_kept = more == 0 or n_active + more <= self.budget(b.row["tenant"])
            if is_kept:
                n_active += more
                active[s.id] = (step, held + more)
            kept.append(is_kept)
        self.sources[key] = active
        return kept


def _filtered(b, kept):
    """What the batch must have become, its shape apart: (fields, shape)."""
    row = {name: b.row[name] for name in FIELDS_AS_THEY_ARE}
    for name in ("times", "starts"):
        row[name] = [t for t, k in zip(b.times(name), kept) if k]
    row["data"] = [d for d, k in zip(b.data(), kept) if k]
    return row, shape_encode(b.source, [s for s, k in zip(b.series, kept) if k])


def _as_compared(b):
    row = {name: b.row[name] for name in FIELDS_AS_THEY_ARE}
    return {**row, "times": b.times(), "starts": b.times("starts"), "data": b.data()}, b.row["shape"]


def _match(b, kept, got):
    """What is wrong with `got`, or None."""
    if got is None:
        return f"{b.origin} is missing, {sum(kept)} of {len(kept)} series should have gone on"
    if all(kept):
        return None if got.bytes == b.bytes else f"{got.origin} stands where {b.origin} should, unchanged"
    want, found = _filtered(b, kept), _as_compared(got)
    if want == found:
        return None
    wrong = [name for name in want[0] if want[0][name] != found[0][name]] or ["shape"]
    return (f"{b.origin} at {b.partition}@{b.offset}: {wrong} differ; {sum(kept)} of {len(kept)} series should have "
            f"gone on, {len(got.series)} did, of {got.origin}")


def _letters_problems(refused, letters):
    """refused: {origin: [(id, time, metric)]}"""
    found = collections.defaultdict(list)
    for x in letters:
        origin = (x["origin"]["topic"], x["origin"]["partition"], x["origin"]["offset"], x["index"] >> 15)
        found[origin] += [(p["series"], p["time_ms"], x["metric"], x["reason"]) for p in x["points"]]
    wrong = []
    for origin in refused.keys() | found.keys():
        want = sorted((*r, OVER_SOURCE_BUDGET) for r in refused.get(origin, ()))
        if want != sorted(found.get(origin, ())):
            wrong.append(f"dead letters of {origin}: {len(want)} points wanted, {len(found.get(origin, ()))} there")
    return wrong


class Verdict:
    """The comparison's outcome: problems, and what was seen."""

    def __init__(self):
        self.problems = []
        self.n_batches = self.n_duplicates = self.n_admitted = self.n_refused = 0

    def __str__(self):
        return (f"{self.n_batches} batches, {self.n_duplicates} duplicates, {self.n_admitted} samples admitted, "
                f"{self.n_refused} refused, {len(self.problems)} problems {self.problems[:5]}")


def _check_partition(v, valid, admitted, state, refused):
    left = collections.deque(b for b in admitted if not b.is_heartbeat)
    for b in valid:
        v.n_batches += 1
        kept = state.judge(b)
        if kept is None:
            v.n_duplicates += 1
            continue
        v.n_admitted += sum(kept)
        v.n_refused += len(kept) - sum(kept)
        if not all(kept):
            refused[b.origin] += [(s.id, t, s.metric) for s, t, k in zip(b.series, b.times(), kept) if not k]
        if any(kept):
            problem = _match(b, kept, left.popleft() if left else None)
            if problem:
                v.problems.append(problem)
                return  # what follows is compared with the wrong ones
    v.problems += [f"{b.origin} at {b.partition}@{b.offset} of the output should not be there" for b in left]


def check(stack, active_ms, budget, valid="metrics.valid", admitted="metrics.admitted", dlq="metrics.dlq"):
    """Reads the topics and compares: the same batches in the same order, each once, filtered exactly; each refused
    series in the dead letters once (the cap per minute must be out of the way)."""
    v, refused = Verdict(), collections.defaultdict(list)
    inputs, outputs = _by_partition(stack, valid), _by_partition(stack, admitted)
    for p in inputs.keys() | outputs.keys():
        _check_partition(v, inputs.get(p, ()), outputs.get(p, ()), Partition(active_ms, budget), refused)
    letters = [x for x in formats.read_letters(stack, dlq) if x["stage"] == "limit"]
    v.problems += _letters_problems(refused, letters)
    return v


def _by_partition(stack, topic):
    found = collections.defaultdict(list)
    for r in stack.read_committed(topic, timeout_s=120):
        found[r.partition()].append(Batch(r))
    return found
