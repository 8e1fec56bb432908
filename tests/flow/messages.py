"""What tenants send besides OTLP: remote write and the tenants' Avro record, by a stock Avro library and by hand."""
import io
import json
import struct

import cramjam
import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from deploy.local.places import ROOT

REMOTE_WRITE_1 = [("content-type", b"application/x-protobuf;proto=prometheus.WriteRequest"), ("content-encoding", b"snappy")]
REMOTE_WRITE_2 = [("content-type", b"application/x-protobuf;proto=io.prometheus.write.v2.Request"),
                  ("content-encoding", b"snappy")]
TENANT_SCHEMA = json.loads((ROOT / "schemas/tenant_metrics.avsc").read_text())


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """A protobuf field: bytes with their length, a float in 8 bytes, or a number."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return varint(number << 3) + varint(value)


def write_1(series):
    """[(labels with __name__, [(value, t_ms)])]: prometheus.WriteRequest, unpacked."""
    out = b""
    for labels, samples in series:
        body = b"".join(field(1, field(1, n.encode()) + field(2, v.encode())) for n, v in sorted(labels.items()))
        body += b"".join(field(2, field(1, value) + field(2, t_ms)) for value, t_ms in samples)
        out += field(1, body)
    return out


def write_2(series):
    """The same as io.prometheus.write.v2.Request."""
    symbols, bodies = [""], b""
    for labels, samples in series:
        refs = b""
        for text in (t for pair in sorted(labels.items()) for t in pair):
            if text not in symbols:
                symbols.append(text)
            refs += varint(symbols.index(text))
        bodies += field(5, field(1, refs) + b"".join(field(2, field(1, value) + field(2, t_ms)) for value, t_ms in samples))
    return b"".join(field(4, s.encode()) for s in symbols) + bodies


def snappy(data):
    return bytes(cramjam.snappy.compress_raw(data))


def avro_head(schema):
    canonical = to_parsing_canonical_form(fastavro.parse_schema(schema))
    return b"\xc3\x01" + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))


def tenant_record(points, source="gs-1", labels=None, schema=None):
    """points: dicts of metric, kind, value, time_ms and what else the schema has."""
    schema = schema or TENANT_SCHEMA
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema),
                               {"source": source, "labels": labels or {}, "points": points})
    return avro_head(schema) + out.getvalue()
