"""OTLP messages for tests, built from the published protobuf classes (opentelemetry-proto): independent of
everything in lib/wire."""
import time

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as m

DELTA = m.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = m.AGGREGATION_TEMPORALITY_CUMULATIVE


def now_ms():
    return int(time.time() * 1000)


def attributes(labels):
    return [KeyValue(key=k, value=AnyValue(string_value=v)) for k, v in labels.items()]


def resource(instance="gs-1", **labels):
    """ResourceMetrics of one server; labels become resource attributes."""
    labels = {"service.name": "game", "service.instance.id": instance, "shard_id": instance, **labels}
    message = m.ResourceMetrics()
    message.resource.attributes.extend(attributes(labels))
    message.scope_metrics.add().scope.name = "test"
    return message


def metric(r, name, unit=""):
    return r.scope_metrics[0].metrics.add(name=name, unit=unit)


def counter(r, name, value, t_ms, unit="", start_ms=0, **labels):
    sum_ = metric(r, name, unit).sum
    sum_.is_monotonic = True
    sum_.aggregation_temporality = CUMULATIVE
    sum_.data_points.add(as_double=value, time_unix_nano=t_ms * 1_000_000, start_time_unix_nano=start_ms * 1_000_000,
                         attributes=attributes(labels))


def gauge(r, name, value, t_ms, unit="", **labels):
    metric(r, name, unit).gauge.data_points.add(as_double=value, time_unix_nano=t_ms * 1_000_000,
                                                attributes=attributes(labels))


def exp_histogram(r, name, t_ms, scale, zero, positive, negative=((0), ()), unit="", total=None, **labels):
    """positive, negative: (offset, counts)."""
    h = metric(r, name, unit).exponential_histogram
    h.aggregation_temporality = CUMULATIVE
    p = h.data_points.add(scale=scale, zero_count=zero, time_unix_nano=t_ms * 1_000_000,
                          attributes=attributes(labels))
    p.positive.offset, counts = positive
    p.positive.bucket_counts.extend(counts)
    p.negative.offset, negative_counts = negative
    p.negative.bucket_counts.extend(negative_counts)
    p.count = zero + sum(counts) + sum(negative_counts)
    p.sum = float(p.count if total is None else total)


def message(*resources):
    return m.MetricsData(resource_metrics=resources).SerializeToString()


def expected_buckets(scale, zero, positive, negative=(0, ()), zero_threshold=0.0):
    """{(lower, upper): count} of what is not empty, as OTLP defines buckets: (base^(o+i), base^(o+i+1)]."""
    base = 2.0 ** (2.0 ** -scale)
    found = {}
    for sign, (offset, counts) in ((1, positive), (-1, negative)):
        for i, n in enumerate(counts):
            if n:
                low, high = base ** (offset + i), base ** (offset + i + 1)
                found[(low, high) if sign > 0 else (-high, -low)] = n
    if zero:
        found[(-zero_threshold, zero_threshold)] = zero
    return found
