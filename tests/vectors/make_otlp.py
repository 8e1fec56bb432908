#!/usr/bin/env python3
"""Makes tests/vectors/otlp/*.bin with the official opentelemetry-proto package (and a few by hand
that no library writes). Small ones: each is also run cut at every byte."""
import pathlib
import struct

from opentelemetry.proto.metrics.v1 import metrics_pb2 as m

HERE = pathlib.Path(__file__).parent / "otlp"
NOW_NS = 1780000000000000000


def message():
    data = m.MetricsData()
    resource = data.resource_metrics.add()
    resource.schema_url = "https://opentelemetry.io/schemas/1.30.0"
    attribute(resource.resource.attributes, "service.instance.id", "server-1")
    scope = resource.scope_metrics.add()
    scope.scope.name = "game"
    scope.scope.version = "1.0"
    return data, scope.metrics


def attribute(attributes, key, value):
    kv = attributes.add(key=key)
    kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value",
            bytes: "bytes_value"}[type(value)]
    setattr(kv.value, kind, value)


def stamp(point, **values):
    point.start_time_unix_nano = NOW_NS - 60 * 10**9
    point.time_unix_nano = NOW_NS
    attribute(point.attributes, "region", "eu-central-1")
    attribute(point.attributes, "queue", "ranked")
    for name, value in values.items():
        if isinstance(value, list):
            getattr(point, name).extend(value)
        else:
            setattr(point, name, value)
    return point


def sums():
    data, metrics = message()
    metric = metrics.add(name="game.logins", unit="{login}", description="Logins.")
    metric.sum.aggregation_temporality = 2
    metric.sum.is_monotonic = True
    stamp(metric.sum.data_points.add(), as_int=12345)
    stamp(metric.sum.data_points.add(), as_double=0.5, flags=1)
    delta = metrics.add(name="game.errors")
    delta.sum.aggregation_temporality = 1
    stamp(delta.sum.data_points.add(), as_int=-1)
    unspecified = metrics.add(name="game.odd")
    stamp(unspecified.sum.data_points.add(), as_double=1.0)
    return data


def gauges():
    data, metrics = message()
    metric = metrics.add(name="game.players", unit="1")
    for value in (0.0, -0.0, 5e-324, float("inf"), float("-inf"), float("nan"), 1.7976931348623157e308):
        stamp(metric.gauge.data_points.add(), as_double=value)
    metric.gauge.data_points.add()  # nothing in it
    return data


def stale():
    data, metrics = message()
    point = stamp(metrics.add(name="game.players").gauge.data_points.add(), as_double=0.0)
    blob = data.SerializeToString()
    return blob.replace(b"\x21" + struct.pack("<d", 0.0), b"\x21" + struct.pack("<Q", 0x7FF0000000000002))


def histogram():
    data, metrics = message()
    metric = metrics.add(name="game.join.duration", unit="s")
    metric.histogram.aggregation_temporality = 2
    point = stamp(metric.histogram.data_points.add(), count=6, sum=1.5, min=0.1, max=0.9,
                  bucket_counts=[1, 2, 3], explicit_bounds=[0.25, 0.5])
    point.exemplars.add(time_unix_nano=NOW_NS, as_double=0.3, span_id=b"12345678", trace_id=b"1234567812345678")
    stamp(metric.histogram.data_points.add(), count=6, sum=1.5)
    stamp(metric.histogram.data_points.add(), count=6, bucket_counts=[1, 2, 3], explicit_bounds=[0.5, 0.25])
    stamp(metric.histogram.data_points.add(), count=6, bucket_counts=[1, 2, 3], explicit_bounds=[0.5, 0.7, 0.9])
    return data


def exponential():
    data, metrics = message()
    metric = metrics.add(name="game.tick.duration", unit="ms")
    metric.exponential_histogram.aggregation_temporality = 2
    point = stamp(metric.exponential_histogram.data_points.add(), count=1610, sum=12.5, scale=3, zero_count=4,
                  zero_threshold=1e-9, min=-3.0, max=900.0)
    point.positive.offset = -12
    point.positive.bucket_counts.extend([1, 0, 300, 5, 0, 0, 1000])
    point.negative.offset = 7
    point.negative.bucket_counts.extend([200, 100])
    large = stamp(metric.exponential_histogram.data_points.add(), count=2**63, scale=-4)
    large.positive.bucket_counts.extend([2**62, 2**62])
    odd = stamp(metric.exponential_histogram.data_points.add(), count=1, scale=100)
    odd.positive.offset = 2**31 - 1
    odd.positive.bucket_counts.extend([1])
    return data


def summary():
    data, metrics = message()
    metric = metrics.add(name="game.old")
    point = stamp(metric.summary.data_points.add(), count=10, sum=5.0)
    for quantile in (0.5, 0.99):
        point.quantile_values.add(quantile=quantile, value=quantile * 10)
    return data


def attributes():
    data, metrics = message()
    point = metrics.add(name="game.attributes").gauge.data_points.add(time_unix_nano=NOW_NS, as_int=1)
    for key, value in (("text", "Zürich"), ("empty", ""), ("yes", True), ("number", -5), ("half", 0.5),
                       ("bytes", b"\0\xff"), ("", "no name"), ("twice", "a"), ("twice", "b")):
        attribute(point.attributes, key, value)
    array = point.attributes.add(key="array").value.array_value
    array.values.add(string_value="a")
    nested = array.values.add().kvlist_value.values.add(key="k")
    nested.value.array_value.values.add(int_value=1)
    point.attributes.add(key="nothing")
    point.attributes.add().value.string_value = "\0 nul"
    return data


def many_scopes():
    data, _ = message()
    other = data.resource_metrics.add()
    for name in ("first", "second"):
        scope = other.scope_metrics.add()
        scope.scope.name = name
        stamp(scope.metrics.add(name="game.shared").gauge.data_points.add(), as_int=1)
    other.scope_metrics.add()
    data.resource_metrics.add()
    return data


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, contents):
    return varint(number << 3 | 2) + varint(len(contents)) + contents


def fixed(number, value):
    return varint(number << 3 | 1) + struct.pack("<d" if isinstance(value, float) else "<Q", value)


def in_metric(kind, point, before=b"", behind=b""):
    metric = before + field(kind, field(1, point)) + behind
    return field(1, field(2, field(2, metric)))


def pair(key, value):
    return field(1, key) + field(2, field(1, value))


def reversed_order():
    point = (varint(8 << 3) + b"\0" + field(7, pair(b"a", b"x")) + fixed(4, 2.5) + field(7, pair(b"b", b"y")) +
             fixed(3, NOW_NS) + fixed(2, NOW_NS - 1))
    metric = field(7, varint(3 << 3) + b"\1" + varint(2 << 3) + b"\2" + field(1, point)) + field(1, b"late.name")
    scope = field(2, metric) + field(1, field(1, b"late scope"))
    return field(1, field(2, scope) + field(1, field(1, pair(b"id", b"late resource"))))


def unpacked():
    point = b"".join(fixed(6, n) for n in (1, 2, 3)) + fixed(7, 0.5) + field(7, struct.pack("<d", 0.75)) + fixed(4, 6)
    return in_metric(9, point)


def nested(depth):
    value = b""
    for _ in range(depth):
        value = field(5, field(1, value))
    return in_metric(5, field(7, field(1, b"deep") + field(2, value)) + fixed(4, 1.0))


def vectors():
    for make in (sums, gauges, histogram, exponential, summary, attributes, many_scopes):
        yield make.__name__, make().SerializeToString()
    yield "stale", stale()
    yield "empty", b""
    yield "reversed_order", reversed_order()
    yield "unpacked", unpacked()
    yield "nested_60", nested(60)
    yield "nested_2000", nested(2000)
    yield "groups", in_metric(5, b"\x53" * 200)
    yield "field_number_0", in_metric(5, b"\x02\x00")
    yield "wire_type_6", in_metric(5, b"\x56\x00")
    yield "wrong_wire_type", in_metric(5, b"\x18\x01")
    yield "varint_of_11_bytes", in_metric(5, b"\x40" + b"\xff" * 10 + b"\x01")
    yield "length_of_2_to_63", b"\x0a" + b"\x80" * 9 + b"\x01"
    yield "packed_of_7_bytes", in_metric(9, field(6, b"1234567"))
    yield "unknown_fields", in_metric(5, fixed(4, 1.0) + field(100, b"x") + varint(99 << 3 | 5) + b"1234")
    yield "name_twice", in_metric(5, fixed(4, 1.0), field(1, b"first"), field(1, b"second"))
    yield "sum_twice", field(1, field(2, field(2, field(7, field(1, fixed(4, 1.0))) + field(7, field(1, fixed(4, 2.0))))))
    yield "oneof_twice", in_metric(5, fixed(4, 1.0) + fixed(6, 7))


def main():
    HERE.mkdir(exist_ok=True)
    for name, contents in vectors():
        (HERE / f"{name}.bin").write_bytes(contents)


if __name__ == "__main__":
    main()
