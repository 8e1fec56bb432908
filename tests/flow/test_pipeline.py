"""From an ordinary Kafka client with ordinary OTLP to Prometheus: names, labels, values, times, histograms."""
import json
import time

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tests.flow import otlp, prometheus
from tests.flow.stack import wait_for

TOPIC = "metrics.ingest.demo"


@pytest.fixture
def pipeline(stack):
    stack.create_all_topics()
    stack.prometheus  # started
    stack.validate = stack.worker("validate")
    stack.limit = stack.worker("limit")
    stack.amp = stack.worker("amp")
    return stack


def send(stack, messages, key=b"gs-1", topic=TOPIC):
    producer = stack.producer()
    for value in messages:
        producer.produce(topic, value, key=key)
    assert producer.flush(30) == 0


def metric(worker, name, **labels):
    """Sum over the series of that name that have these labels."""
    total = 0.0
    for line in worker.metrics().splitlines():
        if line.startswith("#") or not line.startswith(name):
            continue
        full, _, value = line.rpartition(" ")
        if full.partition("{")[0] == name and all(f'{k}="{v}"' in full for k, v in labels.items()):
            total += float(value)
    return total


def delivered(stack, n):
    wait_for(lambda: metric(stack.amp, "sluice_samples_out_total") >= n, 30, f"delivery of {n} samples")


@pytest.mark.parametrize("key", [b"gs-1", None], ids=["keyed by source", "null key"])
def test_values_and_histograms_arrive_bucket_by_bucket(pipeline, key):
    t0 = otlp.now_ms() - 20_000
    shapes = [(3, 2, (-4, (1, 0, 0, 0, 0, 5, 7))), (3, 3, (-4, (2, 0, 0, 1, 0, 6, 9))), (3, 3, (-5, (1, 2, 0, 0, 1, 0, 7, 9)))]
    messages = []
    for i, (scale, zero, positive) in enumerate(shapes):
        r = otlp.resource("gs-1", region="eu-1", az="a")
        otlp.counter(r, "game.logins", 10.5 * (i + 1), t0 + i * 5000, unit="{login}", queue="ranked")
        otlp.counter(r, "net.received", 100.0 + i, t0 + i * 5000, unit="By")
        otlp.exp_histogram(r, "tick.duration", t0 + i * 5000, scale, zero, positive, unit="s", total=0.25 * i)
        messages.append(otlp.message(r))
    for i, value in enumerate(messages):
        send(pipeline, [value], key)
        # Without a key nothing keeps a server's messages in one partition, and so in order (the store refuses native
        # histograms out of order): one at a time.
        delivered(pipeline, 3 * (i + 1))

    url, at = pipeline.prometheus.url, time.time()
    common = {"region": "eu-1", "az": "a", "shard_id": "gs-1"}
    logins = prometheus.series(url, "game_logins_total", at)
    assert logins == {frozenset({"__name__": "game_logins_total", "queue": "ranked", **common}.items()):
                      [(t0 + i * 5000, 10.5 * (i + 1)) for i in range(3)]}
    received = prometheus.series(url, "net_received_bytes_total", at)
    assert list(received.values()) == [[(t0 + i * 5000, 100.0 + i) for i in range(3)]]

    (labels, points), = prometheus.series(url, "tick_duration_seconds", at).items()
    assert labels == frozenset({"__name__": "tick_duration_seconds", **common}.items())
    assert [t for t, _ in points] == [t0 + i * 5000 for i in range(3)]
    for (scale, zero, positive), (_, h) in zip(shapes, points):
        want = otlp.expected_buckets(scale, zero, positive)
        got = prometheus.buckets(h)
        assert prometheus.same_buckets(got, want), (got, want)
        assert float(h["count"]) == zero + sum(positive[1])


def test_the_sdk_s_own_messages(pipeline):
    reader = InMemoryMetricReader(preferred_temporality={Counter: AggregationTemporality.CUMULATIVE,
                                                         Histogram: AggregationTemporality.CUMULATIVE})
    provider = MeterProvider(
        metric_readers=[reader], resource=Resource({"service.instance.id": "sdk-1", "shard_id": "s9", "region": "us-1"}),
        views=[View(instrument_type=Histogram, aggregation=ExponentialBucketHistogramAggregation())])
    meter = provider.get_meter("game")
    joins = meter.create_counter("match.joins", unit="1")
    wait = meter.create_histogram("match.wait", unit="s")
    values = [0.001 * 1.3 ** i for i in range(40)]
    for i, v in enumerate(values):
        joins.add(2, {"queue": "casual"})
        wait.record(v, {"queue": "casual"})
    send(pipeline, [encode_metrics(reader.get_metrics_data()).SerializeToString()])
    delivered(pipeline, 2)

    url, at = pipeline.prometheus.url, time.time()
    (labels, points), = prometheus.series(url, "match_joins_total", at).items()
    assert dict(labels) == {"__name__": "match_joins_total", "queue": "casual", "shard_id": "s9", "region": "us-1"}
    assert [v for _, v in points] == [80.0]
    (_, points), = prometheus.series(url, "match_wait_seconds", at).items()
    h = points[0][1]
    assert float(h["count"]) == 40 and prometheus.close(float(h["sum"]), sum(values))
    got = prometheus.buckets(h)
    for v in values:
        assert any(low < v * (1 + 1e-9) and v <= high * (1 + 1e-9) for low, high in got), v
    assert sum(got.values()) == 40


def test_rejects_name_the_culprit_and_accounting_closes(pipeline):
    t = otlp.now_ms() - 5000
    r = otlp.resource("gs-2")
    otlp.counter(r, "ok.one", 1.0, t)
    otlp.counter(r, "leaky", 1.0, t, player_id="4711-secret")
    otlp.gauge(r, "not.allowed", 5.0, t)
    otlp.counter(r, "too.old", 1.0, t - 30 * 24 * 3600 * 1000)
    send(pipeline, [otlp.message(r), b"\xff\xff\xff garbage", otlp.message(otlp.resource("gs-3"))])
    delivered(pipeline, 1)
    validate = pipeline.validate
    wait_for(lambda: metric(validate, "sluice_records_rejected_total") == 1, 30)
    samples_in = metric(validate, "sluice_samples_in_total", tenant="demo")
    assert samples_in == 4
    assert samples_in == metric(validate, "sluice_samples_out_total") + metric(validate, "sluice_samples_rejected_total")
    letters = pipeline.read_committed("metrics.dlq")
    assert len(letters) == 4
    raw = b"".join(r.value() for r in letters)
    assert b"4711-secret" not in raw, "a label value in clear"
    assert b"player_id" in raw and b"leaky" in raw
    assert all(r.key() == b"demo" for r in letters)
    assert metric(pipeline.amp, "sluice_samples_in_total") == metric(pipeline.amp, "sluice_samples_out_total") == 1


def poison_records():
    """name: bytes. Nesting as deep as a message takes, and one as large as the topic takes."""
    good = otlp.resource("gs-1")
    otlp.counter(good, "a.b", 1.0, otlp.now_ms())
    whole = otlp.message(good)
    nested = b""
    for _ in range(10_000):
        nested = b"\x2a" + varint(len(nested) + 0) + nested if len(nested) < 120_000 else nested
    yield "garbage", bytes(range(255, -1, -1)) * 3
    yield "as large as the topic takes", b"\x0a" + b"\xff" * (8 * 1024 * 1024)
    yield "nested 10,000 deep", b"\x0a" + varint(len(nested)) + nested
    for cut in range(1, len(whole)):
        yield f"cut at {cut}", whole[:cut]


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def test_poison_in_every_partition_stops_nothing(pipeline):
    """Each poison record into each partition, good records around them: the good ones arrive, the bad ones are in the
    DLQ with their origin, and validate lives."""
    poison = list(poison_records())
    producer = pipeline.producer()
    t0 = otlp.now_ms() - 60_000

    def good(partition, i):
        r = otlp.resource(f"good-{partition}")
        otlp.counter(r, "good.samples", float(i), t0 + i * 1000)
        producer.produce(TOPIC, otlp.message(r), partition=partition)

    where = {}
    counts = {}

    def noted(name):
        def report(error, m):
            assert error is None, error
            where[(m.partition(), m.offset())] = name
        return report

    for partition in range(12):
        good(partition, 0)
        for name, value in poison:
            producer.produce(TOPIC, value, partition=partition, on_delivery=noted(name))
            producer.poll(0)
        good(partition, 1)
    assert producer.flush(60) == 0
    delivered(pipeline, 24)
    assert pipeline.validate.process.alive()
    rejected = metric(pipeline.validate, "sluice_records_rejected_total")
    letters = pipeline.read_committed("metrics.dlq")
    text = b"".join(r.value() for r in letters)
    # Some cuts fall between fields and are whole messages of their own: they are then accepted or empty.
    assert len(letters) == rejected + metric(pipeline.validate, "sluice_samples_rejected_total")
    must_fail = [name for name in where.values() if not name.startswith("cut")]
    assert rejected >= len(must_fail) == 36
    assert b"malformed" in text
    counts["letters"] = len(letters)
    print(json.dumps(counts))
