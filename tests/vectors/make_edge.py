"""Writes tests/vectors/edge: bodies of requests for tests/fuzz/edge_fuzz.c, from the vectors of each format and from a server's
scrape whose values change."""

import gzip
import struct
from pathlib import Path

from opentelemetry.proto.metrics.v1 import metrics_pb2

HERE = Path(__file__).parent
NOW_NS = 1780000000000 * 10**6
PLAIN, SNAPPY, GZIP, ZSTD = range(4)
OTLP, JSON, REMOTE_WRITE_1, REMOTE_WRITE_2 = range(4)


def put(name, fmt, encoding, body, changes=()):
    head = bytes([fmt | encoding << 2, len(changes)])
    out = HERE / "edge" / (name + ".bin")
    out.write_bytes(head + b"".join(struct.pack("<HB", *c) for c in changes) + body)


def scrape():
    message = metrics_pb2.MetricsData()
    resource = message.resource_metrics.add()
    resource.resource.attributes.add(key="service.instance.id").value.string_value = "gs-1"
    scope = resource.scope_metrics.add()
    for m in range(3):
        metric = scope.metrics.add(name=f"a.{m}" if m else "b", unit="1")
        metric.sum.aggregation_temporality = 2
        metric.sum.is_monotonic = True
        for p in range(3):
            point = metric.sum.data_points.add(time_unix_nano=NOW_NS, start_time_unix_nano=NOW_NS - 10**9 if m != 1 else 0)
            point.attributes.add(key="queue").value.string_value = f"q{p}"
            if p == 2:
                point.as_int = p + m
            else:
                point.as_double = p + m / 2
    return message.SerializeToString()


def place_of(body, needle, nth=0):
    at = -1
    for _ in range(nth + 1):
        at = body.index(needle, at + 1)
    return at


def main():
    (HERE / "edge").mkdir(exist_ok=True)
    body = scrape()
    value = place_of(body, struct.pack("<d", 1.5))
    time = place_of(body, struct.pack("<Q", NOW_NS), 4)
    label = place_of(body, b"q1", 2)
    put("scrape_values", OTLP, PLAIN, body, [(value, 7), (value + 5, 3)])
    put("scrape_times", OTLP, PLAIN, body, [(time, 255), (time + 2, 1)])
    put("scrape_time_too_old", OTLP, PLAIN, body, [(time + 6, 128)])
    put("scrape_label", OTLP, PLAIN, body, [(label, 1)])
    put("scrape_gzip", OTLP, GZIP, gzip.compress(body, mtime=0), [(value, 1)])
    for name in ("gauges", "sums", "exponential", "summary", "sum_twice", "unknown_fields", "reversed_order"):
        put("otlp_" + name, OTLP, PLAIN, (HERE / "otlp" / (name + ".bin")).read_bytes(), [(20, 1)])
    for name in ("example", "stale", "bad_twice"):
        put("json_" + name, JSON, PLAIN, (HERE / "otlp_json" / (name + ".json")).read_bytes())
    for name in ("one", "histogram", "metadata"):
        put("rw1_" + name, REMOTE_WRITE_1, PLAIN, (HERE / "remote_write" / (name + ".bin")).read_bytes(), [(9, 1)])
    for name in ("v2_one", "v2_histogram"):
        put("rw" + name[1:], REMOTE_WRITE_2, PLAIN, (HERE / "remote_write" / (name + ".bin")).read_bytes(), [(9, 1)])


if __name__ == "__main__":
    main()
