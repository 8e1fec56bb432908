"""Batches of the internal format, written by a stock Avro library from the schemas' files: what a series topic
holds, without the stages before."""
import io
import json
import struct

import fastavro
import xxhash
from fastavro.schema import fingerprint, to_parsing_canonical_form

from deploy.local.places import ROOT
from tests.receiver import client

KINDS = ("counter", "gauge", "exponential_histogram", "classic_histogram")


def _schema(name):
    return fastavro.parse_schema(json.loads((ROOT / f"schemas/{name}.avsc").read_text()))


SCHEMAS = {name: _schema(name) for name in ("batch", "shape")}
HEADS = {name: b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
         for name, schema in SCHEMAS.items()}


def encode(name, record):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMAS[name], record)
    return HEADS[name] + out.getvalue()


def counter(metric, value, **labels):
    return (metric, "counter", labels, struct.pack("<d", value))


def gauge(metric, value, **labels):
    return (metric, "gauge", labels, struct.pack("<d", value))


def native(metric, positive, total, **labels):
    """positive: [(bucket index, count)], schema 3."""
    packed = client.histogram(0, 3, positive=positive, total=total).removesuffix(b"\x78\x00")
    return (metric, "exponential_histogram", labels, client.varint(len(packed)) + packed)


def classic(metric, bounds, counts, total, **labels):
    """counts: per bucket alone, the one of +Inf last."""
    data = b"\x01" + struct.pack("<d", total) + b"".join(client.varint(n) for n in (sum(counts), *counts))
    return (metric, "classic_histogram", labels, data, tuple(bounds))


def _bounds(point):
    return list(point[4]) if len(point) > 4 else []


def _order(point):
    metric, kind, labels = point[:3]
    return (metric.encode(), KINDS.index(kind), _bounds(point),
            [(k.encode(), v.encode()) for k, v in sorted(labels.items())])


def _shape(source, points):
    symbols = {}

    def symbol(text):
        return symbols.setdefault(text, len(symbols))

    series = []
    for point in points:
        metric, kind, labels = point[:3]
        row = {"metric": symbol(metric), "kind": kind, "temporality": "cumulative", "unit": symbol(""),
               "labels": [symbol(text) for pair in sorted(labels.items()) for text in pair], "bounds": _bounds(point)}
        series.append(row)
    return encode("shape", {"symbols": list(symbols), "source": source, "series": series})


def batch(source, points, t_ms, received_ms=None, times=None, tenant="demo", offset=0, index=0, redriven=0,
          class_="standard", origin_partition=0):
    """points: what counter, gauge, native and classic gave. times: a time per point, in the order given."""
    order = sorted(range(len(points)), key=lambda i: _order(points[i]))
    points_in_order = [points[i] for i in order]
    columns = {column: b"".join(p[3] for p in points_in_order if p[1] in kinds) for column, kinds in (
        ("values", ("counter", "gauge")), ("exponential_histograms", ("exponential_histogram",)),
        ("classic_histograms", ("classic_histogram",)))}
    deltas = [] if times is None else [times[i] - t_ms for i in order]
    return encode("batch", {
        "tenant": tenant, "class": class_, "source": as_long(source_id(source, tenant)),
        "received_ms": received_ms or t_ms,
        "origin": {"topic": "metrics.ingest." + tenant, "topic_id": b"\x07" * 16,
                   "partition": origin_partition, "offset": offset, "index": index},
        "redriven": redriven, "shape": _shape(source, points_in_order), "times": {"base": t_ms, "deltas": deltas},
        "starts": {"base": 0, "deltas": []}, **columns})


def source_id(source, tenant="demo"):
    """XXH3-64 of tenant and source name, each with its length as 32 bits in front."""
    return xxhash.xxh3_64_intdigest(b"".join(struct.pack("<I", len(t)) + t for t in (tenant.encode(), source.encode())))


def as_long(number):
    """64 bits as Avro's signed long."""
    return number - (1 << 64) if number >= 1 << 63 else number


def partition_of(source, n_partitions, tenant="demo"):
    return source_id(source, tenant) % n_partitions


def heartbeat(t_ms, tenant="demo"):
    empty = {"base": 0, "deltas": []}
    return encode("batch", {
        "tenant": tenant, "class": "standard", "source": 1, "received_ms": t_ms,
        "origin": {"topic": "", "topic_id": b"\0" * 16, "partition": 0, "offset": 0, "index": 0}, "redriven": 0,
        "shape": b"", "times": empty, "starts": empty, "values": b"", "exponential_histograms": b"",
        "classic_histograms": b""})
