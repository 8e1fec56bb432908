#!/usr/bin/env python3
"""Makes tests/vectors/tenant_avro/*.bin: schemas/tenant_metrics.avsc as fastavro writes it, and by
hand what it does not write."""
import io
import json
import pathlib
import struct

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

HERE = pathlib.Path(__file__).parent
SCHEMA = fastavro.parse_schema(json.loads((HERE.parent.parent / "schemas/tenant_metrics.avsc").read_text()))
HEAD = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(SCHEMA), "CRC-64-AVRO"))
NOW_MS = 1780000000000


def record(*points, source="server-1", labels=None):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, {"source": source, "labels": labels or {}, "points": list(points)})
    return HEAD + out.getvalue()


def point(**fields):
    return {"metric": "game_logins_total", "kind": "COUNTER", "value": 1.0, "time_ms": NOW_MS, **fields}


def long(n):
    n = (n << 1) ^ (n >> 63)
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def text(s):
    return long(len(s)) + s


def raw_point(labels=b"\0", kind=b"\0"):
    return text(b"m") + kind + text(b"") + labels + struct.pack("<d", 1.5) + long(NOW_MS) + long(0)


def vectors():
    yield "no_points", record()
    yield "one", record(point())
    yield "all_fields", record(point(kind="GAUGE", unit="s", labels={"queue": "ranked", "mode": "duel"}, start_ms=5),
                               labels={"region": "eu-central-1"})
    yield "many", record(*[point(metric=f"m{i}", value=i / 7, labels={"i": str(i)}) for i in range(12)])
    yield "numbers", record(*[point(value=v) for v in (0.0, -0.0, 5e-324, float("inf"), float("nan"))],
                            point(time_ms=-1, start_ms=-(2**50)))
    yield "text", record(point(labels={"Stadt": "Zürich", "": ""}), source="Größe")
    body = HEAD + text(b"s") + b"\0"
    yield "two_blocks", body + long(1) + raw_point() + long(2) + raw_point() * 2 + b"\0"
    yield "sized_blocks", body + long(-2) + long(2 * len(raw_point())) + raw_point() * 2 + b"\0"
    yield "wrong_block_size", body + long(-2) + long(2 * len(raw_point()) + 1) + raw_point() * 2 + b"\0"
    yield "sized_labels", body + long(1) + raw_point(long(-1) + long(4) + text(b"a") + text(b"b") + b"\0") + b"\0"
    yield "huge_count", body + long(2**60)
    yield "least_count", body + long(-(2**63)) + long(1)
    yield "negative_size", body + long(-1) + long(-1)
    yield "name_twice", body + long(1) + raw_point(long(2) + (text(b"a") + text(b"b")) * 2 + b"\0") + b"\0"
    yield "unknown_kind", body + long(1) + raw_point(kind=long(2)) + b"\0"
    yield "negative_kind", body + long(1) + raw_point(kind=long(-1)) + b"\0"
    yield "negative_length", HEAD + long(-1)
    yield "length_2_to_62", HEAD + long(2**62)
    yield "behind_the_end", record(point()) + b"\0"
    yield "unknown_schema", b"\xc3\x01" + b"12345678" + record(point())[10:]
    yield "no_head", b"plain"


def main():
    (HERE / "tenant_avro").mkdir(exist_ok=True)
    for name, contents in vectors():
        (HERE / "tenant_avro" / f"{name}.bin").write_bytes(contents)


if __name__ == "__main__":
    main()
