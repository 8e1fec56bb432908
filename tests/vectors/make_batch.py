#!/usr/bin/env python3
"""Makes tests/vectors/{batch,shape,histogram,histogram_math}/*.bin: written byte by byte here, from the Avro and
protobuf specifications, so that our decoders are not tested with our encoders alone. Small ones:
each is also run cut at every byte."""
import importlib.util
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
SCHEMAS = HERE.parent.parent / "schemas"
spec = importlib.util.spec_from_file_location("schema_to_c", SCHEMAS / "schema_to_c.py")
schema_to_c = importlib.util.module_from_spec(spec)
spec.loader.exec_module(schema_to_c)

COUNTER, GAUGE, EXP, CLASSIC = range(4)
STALE = bytes.fromhex("020000000000f07f")


def head(name):
    schema = json.loads((SCHEMAS / f"{name}.avsc").read_text(encoding="utf-8"))
    fingerprint = schema_to_c.crc64_avro(schema_to_c.canonical(schema).encode())
    return b"\xc3\x01" + fingerprint.to_bytes(8, "little")


def varint(v):
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def zz(v):
    return varint(v << 1 if v >= 0 else (-v << 1) - 1)


def text(s):
    s = s if isinstance(s, bytes) else s.encode()
    return zz(len(s)) + s


def f64(v):
    return v if isinstance(v, bytes) else struct.pack("<d", v)


def array(items, blocks=1, sized=False):
    """The items' bytes as an Avro array of so many blocks, with their sizes or not."""
    out = b""
    step = -(-len(items) // blocks) if items else 1
    for i in range(0, len(items), step):
        block = items[i:i + step]
        body = b"".join(block)
        out += (zz(-len(block)) + zz(len(body)) if sized else zz(len(block))) + body
    return out + zz(0)


class Shape:
    """A shape's bytes from (metric, kind, delta, unit, labels, bounds); everything that a decoder
    has to refuse can be put in by hand."""

    def __init__(self, series, source="server-1", symbols=None, **how):
        self.how = how
        self.symbols = list(symbols or [])
        self.source = source
        self.series = [self.one(*s) for s in series]

    def index(self, s):
        if isinstance(s, int):
            return zz(s)
        if s not in self.symbols:
            self.symbols.append(s)
        return zz(self.symbols.index(s))

    def one(self, metric, kind=COUNTER, delta=0, unit="", labels=(), bounds=()):
        out = self.index(metric) + zz(kind) + zz(delta) + self.index(unit)
        flat = [self.index(s) for pair in labels for s in pair]
        return out + array(flat, **self.how) + array([f64(b) for b in bounds], **self.how)

    def bytes(self):
        return (head("shape") + array([text(s) for s in self.symbols], **self.how) + text(self.source)
                + array(self.series, **self.how))


EU = (("queue", "ranked"), ("region", "eu-central-1"))
US = (("queue", "ranked"), ("region", "us-east-1"))
GAME = [
    ("game_joins", COUNTER, 0, "", EU), ("game_joins", COUNTER, 0, "", US), ("game_joins", COUNTER, 1, "", EU),
    ("game_players", GAUGE, 0, "{player}", EU), ("game_players", GAUGE, 0, "{player}", US),
    ("game_tick", EXP, 0, "ms", EU), ("game_tick", EXP, 0, "ms", US),
    ("game_wait", CLASSIC, 0, "s", EU, (-1.0, 0.5, 1.0, 2.5)), ("game_wait", CLASSIC, 0, "s", EU, (1.0,)),
    ("game_wait", CLASSIC, 1, "s", EU),
]
MANY = [(f"metric_{m:02}", m % 2, 0, "", (("instance", "i"), ("zone", f"z{z}"))) for m in range(8) for z in range(4)]
A = ("a", COUNTER)


def shapes():
    yield "none", Shape([]).bytes()
    yield "one", Shape([A]).bytes()
    yield "game", Shape(GAME).bytes()
    yield "many", Shape(MANY).bytes()
    yield "two_blocks", Shape(GAME, blocks=2).bytes()
    yield "sized_blocks", Shape(GAME, blocks=3, sized=True).bytes()
    yield "unicode", Shape([("größe", GAUGE, 0, "°C", (("stadt", "Zürich"), ("zone", "")))], "sërver").bytes()
    yield "nul", Shape([("a", GAUGE, 0, "", (("k", "x\0y"),))]).bytes()
    yield "zero_bounds", Shape([("a", CLASSIC, 0, "", (), (-0.0,)), ("a", CLASSIC, 0, "", (), (0.0,))]).bytes()
    yield "bad_order", Shape([("b", COUNTER), A]).bytes()
    yield "bad_order_of_kinds", Shape([("a", GAUGE), A]).bytes()
    yield "bad_order_of_labels", Shape([("a", 0, 0, "", US), ("a", 0, 0, "", EU)]).bytes()
    yield "bad_series_twice", Shape([A, A]).bytes()
    yield "bad_symbol_twice", Shape([("a", 0, 0, 1), ("b", 0, 0, 3)], symbols=["a", "", "b", ""]).bytes()
    yield "bad_symbol_unused", Shape([A], symbols=["a", "", "z"]).bytes()
    yield "bad_symbol_order", Shape([A], symbols=["", "a"]).bytes()
    yield "bad_symbol_beyond", Shape([("a", 0, 0, 7)]).bytes()
    yield "bad_symbol_negative", Shape([("a", 0, 0, -1)]).bytes()
    yield "bad_labels_order", Shape([("a", 0, 0, "", EU[::-1])]).bytes()
    yield "bad_labels_twice", Shape([("a", 0, 0, "", (EU[0], ("queue", "x")))]).bytes()
    yield "bad_label_odd", Shape([("a", 0, 0, "", (("queue",),))]).bytes()
    yield "bad_label_unnamed", Shape([("a", 0, 0, "", (("", "x"),))]).bytes()
    yield "bad_metric_empty", Shape([("", COUNTER)]).bytes()
    yield "bad_not_utf8", Shape([(b"a\xff", COUNTER)]).bytes()
    yield "bad_source_not_utf8", Shape([A], source=b"\xc0\x80").bytes()
    yield "bad_long_text", Shape([("a", 0, 0, "", (("k", "v" * 1025),))]).bytes()
    yield "bad_kind", Shape([("a", 4)]).bytes()
    yield "bad_temporality", Shape([("a", 0, 2)]).bytes()
    yield "bad_gauge_of_deltas", Shape([("a", GAUGE, 1)]).bytes()
    yield "bad_bounds_order", Shape([("a", CLASSIC, 0, "", (), (1.0, 1.0))]).bytes()
    yield "bad_bounds_nan", Shape([("a", CLASSIC, 0, "", (), (float("nan"),))]).bytes()
    yield "bad_bounds_inf", Shape([("a", CLASSIC, 0, "", (), (float("inf"),))]).bytes()
    yield "bad_bounds_of_counter", Shape([("a", COUNTER, 0, "", (), (1.0,))]).bytes()
    yield "bad_labels_65", Shape([("a", 0, 0, "", tuple((f"l{i:02}", "x") for i in range(65)))]).bytes()
    yield "bad_huge_count", head("shape") + zz(1 << 40)
    yield "bad_least_count", head("shape") + zz(-1 << 63) + zz(5)
    yield "bad_block_size", head("shape") + zz(-1) + zz(3) + text("a") + zz(0)
    yield "bad_length_negative", head("shape") + zz(1) + zz(-1)
    yield "bad_varint_of_11", head("shape") + b"\xff" * 11
    yield "bad_behind_the_end", Shape([A]).bytes() + b"\0"
    yield "bad_unknown_schema", b"\xc3\x0112345678" + Shape([A]).bytes()[10:]
    yield "bad_no_head", b"sluice is not Avro"


def times(base, deltas=(), **how):
    return zz(base) + array([zz(d) for d in deltas], **how)


def batch(shape=b"", values=(), exp=(), classic=b"", tenant="demo", klass=1, source=0x1234567890ABCDEF,
          received=1780000001234, topic="metrics.ingest.demo", topic_id=bytes(range(16)), partition=3,
          offset=987654321, index=2, redriven=0, t=times(1780000000000), s=times(0), raw_values=None):
    source -= 1 << 64 if source >= 1 << 63 else 0
    return (head("batch") + text(tenant) + zz(klass) + zz(source) + zz(received) + text(topic) + topic_id
            + zz(partition) + zz(offset) + zz(index) + zz(redriven) + text(shape) + t + s
            + text(raw_values if raw_values is not None else b"".join(f64(v) for v in values))
            + text(b"".join(varint(len(h)) + h for h in exp)) + text(classic))


def pb(number, wire, value):
    return varint(number << 3 | wire) + value


def span(offset, n):
    body = (pb(1, 0, zz(offset)) if offset else b"") + (pb(2, 0, varint(n)) if n else b"")
    return body


def native(count, total, schema, zero, positive=(), negative=(), zero_threshold=1e-128):
    """positive, negative: (spans, deltas)."""
    out = pb(1, 0, varint(count)) + (pb(3, 1, f64(total)) if total else b"")
    out += (pb(4, 0, zz(schema)) if schema else b"") + (pb(5, 1, f64(zero_threshold)) if zero_threshold else b"")
    out += pb(6, 0, varint(zero))
    for number, side in ((8, negative), (11, positive)):
        spans, deltas = side or ((), ())
        out += b"".join(pb(number, 2, varint(len(span(*s))) + span(*s)) for s in spans)
        packed = b"".join(zz(d) for d in deltas)
        out += pb(number + 1, 2, varint(len(packed)) + packed) if packed else b""
    return out


TICK = native(17, 42.5, 3, 2, (((-3, 3), (5, 1)), (1, 2, 4, -6)), (((0, 1),), (4,)))
EMPTY = native(0, 0, 0, 0, zero_threshold=0)
ENDED = native(0, STALE, 8, 0)
WAIT = [(3, (1, 2, 3, 4, 5)), (1, (7, 8)), (2, (0,))]


def classic_column(rows=None):
    return b"".join(bytes([flags]) + f64(1.5 if flags & 1 else 0.0) + varint(sum(counts))
                    + b"".join(varint(c) for c in counts) for flags, counts in WAIT if rows is None or flags in rows)


def batches():
    game = Shape(GAME).bytes()
    full = {"shape": game, "values": (1.0, 2.0, 3.5, -0.0, STALE), "exp": (TICK, ENDED), "classic": classic_column()}
    ten = list(range(-5, 5))
    yield "heartbeat", batch(topic="", topic_id=bytes(16), partition=0, offset=0, index=0)
    yield "full", batch(**full)
    yield "gateway", batch(**full, topic="", topic_id=bytes(16), partition=0, offset=0, index=0, received=0)
    yield "times", batch(**full, t=times(1780000000000, ten), s=times(1779999000000, [i * 1000 for i in ten]))
    yield "times_in_blocks", batch(**full, t=times(1780000000000, ten, blocks=3),
                                   s=times(-1, ten, blocks=2, sized=True))
    yield "numbers", batch(**full, source=0xFFFFFFFFFFFFFFFF, redriven=-1, received=-(1 << 63), offset=(1 << 63) - 1,
                           partition=(1 << 31) - 1, t=times((1 << 63) - 5, ten))
    yield "sized_shape", batch(**{**full, "shape": Shape(GAME, blocks=3, sized=True).bytes()})
    yield "specials", batch(shape=Shape([("a", GAUGE)]).bytes(), values=(float("-inf"),))
    yield "other_shape", batch(**{**full, "values": (1.0,)})
    yield "bad_class", batch(**full, klass=3)
    yield "bad_class_negative", batch(**full, klass=-1)
    yield "bad_values", batch(**full | {"values": ()}, raw_values=b"1234567")
    yield "bad_points_without_shape", batch(values=(1.0,))
    yield "bad_partition_negative", batch(**full, partition=-1)
    yield "bad_partition_wide", batch(**full, partition=1 << 31)
    yield "bad_offset_negative", batch(**full, offset=-1)
    yield "bad_tenant", batch(**full, tenant=b"\xed\xa0\x80")
    yield "bad_times_overflow", batch(**full, t=times((1 << 63) - 1, [1]))
    yield "bad_times_count", batch(**full, t=zz(0) + zz(1 << 50) + b"\0\0")
    yield "bad_times_size", batch(**full, t=zz(0) + zz(-2) + zz(1) + b"\0\0\0")
    yield "bad_length", head("batch") + zz(1 << 62)
    yield "bad_length_negative", head("batch") + zz(-1)
    yield "bad_behind_the_end", batch(**full) + b"\0"
    yield "bad_unknown_schema", b"\xc3\x0112345678" + batch(**full)[10:]
    yield "bad_no_head", b"\xc3\x02" + batch(**full)[2:]
    yield "bad_head_only", head("batch")
    yield "bad_empty", b""


def histograms():
    """A letter says what follows: e an exponential column, c the number of bounds and a classic column,
    d scale, offset, n counts (zigzags and varints) as OTLP has them."""
    one = lambda message: b"e" + varint(len(message)) + message
    yield "exp", one(TICK)
    yield "exp_empty", one(EMPTY)
    yield "exp_ended", one(ENDED)
    yield "exp_two", one(TICK) + varint(len(EMPTY)) + EMPTY
    yield "exp_wide", one(native(6, 1.0, -9, 0, (((-(1 << 31), 1), ((1 << 31) - 1, 1)), (3, 0))))
    yield "exp_unpacked", one(pb(1, 0, varint(3)) + pb(11, 2, varint(2) + span(0, 2)) + pb(12, 0, zz(1)) + pb(12, 0, zz(1)))
    yield "exp_any_order", one(pb(12, 2, varint(1) + zz(5)) + pb(15, 0, varint(99)) + pb(11, 2, varint(2) + span(0, 1))
                               + pb(1, 0, varint(4)) + pb(1, 0, varint(5)) + pb(99, 5, b"1234"))
    yield "exp_empty_span", one(native(1, 1.0, 0, 0, (((1, 0), (2, 1)), (1,))))
    yield "bad_exp_float", one(pb(2, 1, f64(3.0)))
    yield "bad_exp_custom", one(native(0, 0, -53, 0) + pb(16, 2, varint(8) + f64(1.0)))
    yield "bad_exp_negative", one(native(1, 1.0, 0, 0, (((0, 2),), (1, -2))))
    yield "bad_exp_overflow", one(native(1, 1.0, 0, 0, (((0, 2),), ((1 << 63) - 1, 1))))
    yield "bad_exp_lengths", one(native(1, 1.0, 0, 0, (((0, 3),), (1, 1))))
    yield "bad_exp_huge_span", one(native(1, 1.0, 0, 0, (((0, (1 << 32) - 1),), (1,))))
    yield "bad_exp_overlap", one(native(2, 1.0, 0, 0, (((0, 1), (-1, 1)), (1, 0))))
    yield "bad_exp_index", one(native(2, 1.0, 0, 0, ((((1 << 31) - 1, 1), (1, 1)), (1, 0))))
    yield "bad_exp_wire", one(pb(3, 0, varint(3)))
    yield "bad_exp_group", one(pb(99, 3, b"") + pb(99, 4, b""))
    yield "bad_exp_cut", b"e" + varint(100) + TICK
    yield "bad_exp_span_cut", one(pb(11, 2, varint(1) + b"\x08"))
    yield "bad_exp_delta_endless", one(pb(12, 2, varint(11) + b"\xfe" + b"\xff" * 10))
    yield "bad_exp_delta_cut", one(pb(11, 2, varint(2) + span(0, 2)) + pb(12, 2, varint(3) + b"\x02\x02\x80"))
    yield "classic", b"c\x04" + classic_column([3])
    yield "classic_no_bounds", b"c\x00" + classic_column([2])
    yield "bad_classic_flags", b"c\x00\x04" + f64(0.0) + b"\0\0"
    yield "bad_classic_counts", b"c\xff" + classic_column([3])
    dense = lambda scale, offset, counts: b"d" + zz(scale) + zz(offset) + varint(len(counts)) + b"".join(map(varint, counts))
    yield "dense", dense(3, -12, (0, 0, 5, 1, 0, 0, 2, 0, 0, 0, 9, 0))
    yield "dense_down", dense(11, -7, (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0, 0, 1))
    yield "dense_far_down", dense(100, -2, (1, 2, 3, 4))
    yield "dense_empty", dense(0, 5, (0, 0, 0))
    yield "dense_end", dense(0, (1 << 31) - 5, (1, 1, 1))
    yield "bad_dense_scale", dense(-5, 0, (1,))
    yield "bad_dense_index", dense(0, (1 << 31) - 1, (1,))
    yield "bad_dense_count", dense(9, 0, ((1 << 63) - 1, 1))


def histogram_pairs():
    """Two exponential histograms to calculate with, one after the other."""
    one = lambda message: varint(len(message)) + message
    low = native(7, 3.0, 0, 1, (((0, 2),), (2, 0)), (((1, 1),), (2,)), zero_threshold=0)
    fine = native(9, 4.5, 2, 1, (((-1, 3), (4, 1)), (1, 2, -1, 1)), zero_threshold=0)
    wide = native(5, 0.5, 0, 5, zero_threshold=1.5)
    cut = native(5, 6.0, 0, 3, (((1, 1),), (2,)), zero_threshold=1.5)
    nan = native(4, float("nan"), 0, 1, (((0, 1),), (1,)), zero_threshold=0)
    ends = native(4, float("inf"), 8, 0, (((262144, 2),), (1, 0)), (((-274944, 1),), (2,)), zero_threshold=0)
    many = native(200, 1.0, 3, 0, (((-100, 200),), (1,) + (0,) * 199), zero_threshold=0)
    for name, x, y in (("schemas", low, fine), ("thresholds", fine, wide), ("cut", cut, fine), ("nan", nan, low), ("ends", ends, low),
                       ("many", many, low), ("ended", low, ENDED), ("empty", EMPTY, EMPTY), ("same", TICK, TICK)):
        yield name, one(x) + one(y)
    yield "bad_schema", one(native(0, 0, 9, 0))
    yield "bad_count", one(native(2, 1.0, 0, 1))


def main():
    for folder, vectors in (("shape", shapes), ("batch", batches), ("histogram", histograms), ("histogram_math", histogram_pairs)):
        (HERE / folder).mkdir(exist_ok=True)
        for old in (HERE / folder).glob("*.bin"):
            old.unlink()
        for name, data in vectors():
            (HERE / folder / f"{name}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
