"""Arithmetic of exponential histograms by its definition, the peer of lib/batch/histogram_math: buckets in dicts, whole
numbers of any size, bounds as their logarithms; the zero threshold is the least that cuts no filled bucket."""
import math
import struct
from dataclasses import dataclass, field, replace

STALE = struct.unpack("<d", bytes.fromhex("020000000000f07f"))[0]
NOWHERE = -10**9                  # the logarithm of a zero threshold of 0
LOWEST, HIGHEST, MAX_GAP = -4, 8, 2


@dataclass
class Histogram:
    schema: int = 0
    threshold: float = 0.0
    zero: int = 0
    count: int = 0
    sum: float = 0.0
    sides: tuple = field(default_factory=lambda: ({}, {}))       # negative, positive: index → count

    def nan_observations(self):
        return self.count - self.zero - sum(sum(side.values()) for side in self.sides)


# ---- the packed form


def varint(v):
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def zigzag(v):
    return varint(2 * v if v >= 0 else -2 * v - 1)


def layout(side):
    """The side's spans in the one form, and its counts."""
    spans, counts, last = [], [], None
    for index in sorted(i for i, n in side.items() if n):
        gap = index - last - 1 if last is not None else None
        if gap is None or gap > MAX_GAP:
            spans.append([index if gap is None else gap, 0])
            gap = 0
        counts += [0] * gap + [side[index]]
        spans[-1][1] += gap + 1
        last = index
    return spans, counts


def pack(h, rng=None):
    """As our encoder writes it: what is 0 left out. With rng all is written, and what is empty where it need not be."""
    out = b"\x08" + varint(h.count)
    out += b"\x19" + struct.pack("<d", h.sum) if rng or bits(h.sum) != bits(0.0) else b""
    out += b"\x20" + zigzag(h.schema) if rng or h.schema else b""
    out += b"\x29" + struct.pack("<d", h.threshold) if rng or h.threshold else b""
    out += b"\x30" + varint(h.zero)
    for tag, side in ((0x42, h.sides[0]), (0x5A, h.sides[1])):
        spans, counts = layout(side)
        if rng and spans and rng.random() < 0.3:
            spans = spans[:1] + [[0, 0]] + spans[1:]
        if rng and spans and rng.random() < 0.3 and spans[0][0] > -60:
            spans[0] = [spans[0][0] - 1, spans[0][1] + 1]
            counts = [0] + counts
        for offset, n in spans:
            body = (b"\x08" + zigzag(offset) if rng or offset else b"") + b"\x10" + varint(n)
            out += bytes([tag, len(body)]) + body
        deltas = b"".join(zigzag(c - b) for b, c in zip([0] + counts, counts))
        out += bytes([tag + 8]) + varint(len(deltas)) + deltas if counts else b""
    return out


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def zigzag(self):
        v = self.varint()
        return v >> 1 if v & 1 == 0 else -(v >> 1) - 1


def unpack(data):
    """The histogram and its layout as it stands."""
    r, h = Reader(data), Histogram()
    spans, counts = {8: [], 11: []}, {9: [], 12: []}
    while r.at < len(data):
        number = r.varint() >> 3
        if number in (3, 5):
            value = struct.unpack("<d", r.take(8))[0]
            h = replace(h, **{"sum" if number == 3 else "threshold": value})
        elif number in (1, 6):
            h = replace(h, **{"count" if number == 1 else "zero": r.varint()})
        elif number == 4:
            h = replace(h, schema=r.zigzag())
        else:
            part = Reader(r.take(r.varint()))
            fields, count = {1: 0, 2: 0}, 0
            while part.at < len(part.data):
                if number in spans:
                    key = part.varint() >> 3
                    fields[key] = part.zigzag() if key == 1 else part.varint()
                else:
                    count += part.zigzag()
                    counts[number].append(count)
            if number in spans:
                spans[number].append([fields[1], fields[2]])
    return h, ((spans[8], counts[9]), (spans[11], counts[12]))


# ---- the rules, put plainly


def log2(threshold):
    """256 times log2 of a zero threshold: a whole number when it is a bucket's bound, of whatever schema."""
    if threshold == 0:
        return NOWHERE
    log = 256 * math.log2(threshold)
    return round(log) if abs(log - round(log)) < 1e-6 else log


def upper(schema, index):
    """The same of a bucket's upper bound."""
    return index << HIGHEST - schema


def common_threshold(x, y):
    at_least = max(log2(x.threshold), log2(y.threshold))
    edges = {upper(h.schema, i) for h in (x, y) for side in h.sides for i, n in side.items() if n}

    def cuts(h, t):
        return t != log2(h.threshold) and any(
            upper(h.schema, i - 1) < t < upper(h.schema, i) for side in h.sides for i, n in side.items() if n)

    found = sorted({at_least} | {edge for edge in edges if edge > at_least})
    return next(t for t in found if not cuts(x, t) and not cuts(y, t))


def at(h, schema, threshold):
    """zero count and sides at a lower schema and a wider zero bucket"""
    zero, sides = h.zero, ({}, {})
    for side, out in zip(h.sides, sides):
        for index, n in side.items():
            if upper(h.schema, index) <= threshold:
                zero += n
            else:
                target = -(-upper(h.schema, index) >> HIGHEST - schema)
                out[target] = out.get(target, 0) + n
    return zero, sides


def one_nan(value):
    return math.nan if math.isnan(value) else value


def falls(now, before):
    return any(now.get(index, 0) < n for index, n in before.items())


def is_stale(h):
    return bits(h.sum) == bits(STALE)


def is_reset(now, before):
    if is_stale(now) or is_stale(before):
        return False
    schema, threshold = min(now.schema, before.schema), common_threshold(now, before)
    (zero_now, sides_now), (zero_before, sides_before) = at(now, schema, threshold), at(before, schema, threshold)
    return (now.count < before.count or zero_now < zero_before or now.nan_observations() < before.nan_observations()
            or any(falls(n, b) for n, b in zip(sides_now, sides_before)))


def combine(x, y, sign, max_buckets, max_schema=HIGHEST):
    threshold = common_threshold(x, y)
    for schema in range(min(x.schema, y.schema, max_schema), LOWEST - 1, -1):
        (x_zero, x_sides), (y_zero, y_sides) = at(x, schema, threshold), at(y, schema, threshold)
        sides = tuple({i: a.get(i, 0) + sign * b.get(i, 0) for i in {*a, *b}} for a, b in zip(x_sides, y_sides))
        if all(len(layout(side)[1]) <= max_buckets for side in sides):
            return threshold, Histogram(schema, 0, x_zero + sign * y_zero, x.count + sign * y.count,
                                        one_nan(x.sum + sign * y.sum), sides)
    return None


def add(x, y, max_buckets, max_schema=HIGHEST):
    if is_stale(x) and is_stale(y):
        return NOWHERE, Histogram(sum=STALE)
    if is_stale(x) or is_stale(y):
        x = y if is_stale(x) else x
        y = Histogram(schema=HIGHEST)
    return combine(x, y, 1, max_buckets, max_schema)


def bits(value):
    return struct.pack(">d", value).hex()


# ---- results as histograms


def threshold_of(log, *operands):
    """A threshold from its logarithm: an operand's own double where it is one's, else a bucket's edge (near enough:
    thresholds are compared by log2)."""
    if log == NOWHERE:
        return 0.0
    return next((h.threshold for h in operands if log2(h.threshold) == log), 2.0 ** (log / 256))


def plus(x, y, max_buckets, max_schema=HIGHEST):
    log, h = add(x, y, max_buckets, max_schema)
    return replace(h, threshold=threshold_of(log, x, y), sides=filled(h.sides))


def minus(now, before, max_buckets):
    log, h = combine(now, before, -1, max_buckets)
    return replace(h, threshold=threshold_of(log, now, before), sides=filled(h.sides))


def filled(sides):
    return tuple({i: n for i, n in side.items() if n} for side in sides)


def same(x, y):
    """Equal: sums bit by bit, thresholds by their logarithms, empty buckets aside."""
    if is_stale(x) or is_stale(y):
        return is_stale(x) and is_stale(y)
    a, b = ((h.schema, h.zero, h.count, bits(h.sum), filled(h.sides), log2(h.threshold)) for h in (x, y))
    return a == b


def unpack_filled(data):
    """The histogram with its buckets."""
    h, sides = unpack(data)
    for side, (spans, counts) in zip(h.sides, sides):
        index, counts = 0, iter(counts)
        for offset, n in spans:
            index += offset
            side.update({index + k: next(counts) for k in range(n)})
            index += n
    return replace(h, sides=filled(h.sides))
