#!/usr/bin/env python3
"""Makes tests/vectors/remote_write/*.bin: both versions' messages, by hand from the published field numbers."""
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
NOW_MS = 1780000000000


def varint(n):
    out = b""
    n &= (1 << 64) - 1
    while n >= 0x80:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def text(field, s):
    s = s.encode() if isinstance(s, str) else s
    return varint(field << 3 | 2) + varint(len(s)) + s


def double(field, v):
    return varint(field << 3 | 1) + struct.pack("<d", v)


def labels(**named):
    return b"".join(text(1, text(1, name) + text(2, value)) for name, value in named.items())


def sample(value, time_ms=NOW_MS):
    return text(2, double(1, value) + number(2, time_ms))


def histogram(field):
    spans = text(11, number(1, 6) + number(2, 2))
    return text(field, number(1, 5) + double(3, 7.5) + number(4, 4) + double(5, 0.001) + number(6, 1) + spans +
                text(12, varint(4) + varint(1)) + number(15, NOW_MS))


def series_2(refs, points, type=1, created=NOW_MS - 1000):
    return text(5, text(1, b"".join(map(varint, refs))) + points + text(5, number(1, type)) + number(6, created))


SYMBOLS = b"".join(text(4, s) for s in ("", "__name__", "game_logins_total", "shard_id", "s1"))
VECTORS = {
    "one": text(1, labels(__name__="game_logins_total", shard_id="s1") + sample(1.5)),
    "two_samples": text(1, labels(__name__="a") + sample(1, NOW_MS - 1) + sample(float("nan"))),
    "histogram": text(1, labels(__name__="h", shard_id="s1") + histogram(4)),
    "metadata": text(1, labels(__name__="a_total") + sample(1)) + text(3, number(1, 1) + text(2, "a") + text(4, "Help.")),
    "labels_last": text(1, sample(1) + labels(__name__="a")),
    "exemplar": text(1, labels(__name__="a") + sample(1) + text(3, labels(trace="x") + double(2, 1) + number(3, 1))),
    "empty": b"",
    "v2_one": SYMBOLS + series_2([1, 2, 3, 4], sample(1.5)),
    "v2_symbols_last": series_2([1, 2, 3, 4], sample(1.5)) + SYMBOLS,
    "v2_histogram": SYMBOLS + series_2([1, 2], histogram(3), 3),
    "v2_bad_ref": SYMBOLS + series_2([1, 99], sample(1)),
    "v2_odd_refs": SYMBOLS + series_2([1, 2, 3], sample(1)),
}

if __name__ == "__main__":
    (HERE / "remote_write").mkdir(exist_ok=True)
    for name, data in VECTORS.items():
        (HERE / "remote_write" / f"{name}.bin").write_bytes(data)
