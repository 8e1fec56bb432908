"""The gateway on a real Kafka: what it takes, from whom, and what it answers."""
import gzip
import json

import cramjam
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from tests.flow import otlp
from tests.flow.gateway import INGEST, Gateway, now_ms
from tests.flow.stack import StackUnderTest


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One Kafka for the module."""
    stack = StackUnderTest(tmp_path_factory.mktemp("stack"))
    stack.kafka.start()
    stack.create_all_topics()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def passing(shared, tmp_path_factory):
    return Gateway(shared, tmp_path_factory.mktemp("pass"), name="gateway-pass", edge="pass").start()


def scrape(instance="gs-1", n=3, t_ms=None):
    r = otlp.resource(instance)
    for i in range(n):
        otlp.counter(r, f"game_hits_{i}", float(i), t_ms or now_ms())
    return otlp.message(r)


def test_a_body_goes_on_as_it_came(passing):
    before = len(passing.records())
    body = scrape()
    plain = passing.post(body)
    assert plain.status == 200 and plain.body == b"" and plain.headers["Content-Type"] == "application/x-protobuf"
    assert passing.post(gzip.compress(body), encoding="gzip").status == 200
    assert passing.post(bytes(cramjam.zstd.compress(body)), encoding="zstd").status == 200
    records = passing.records()[before:]
    assert [r.value() for r in records] == [body] * 3 or sorted(r.value() for r in records) == [body] * 3
    for r in records:
        assert dict(r.headers()) == {"sluice-tenant": b"demo", "content-type": b"application/x-protobuf"}
