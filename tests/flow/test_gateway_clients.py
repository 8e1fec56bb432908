"""Real clients through the gateway into the store: the same values at both ends."""
import json
import shutil
import subprocess
import time

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource

from deploy.local.places import HOST, free_ports
from deploy.local.process import Process
from tests.flow import prometheus
from tests.flow.gateway import Gateway, now_ms
from tests.flow.go_client import built
from tests.flow.stack import StackUnderTest, wait_for

GAUGES = {"kinds": {"allow": ["counter", "gauge", "exponential_histogram"]}}
TENANTS = {"demo": {}, "sdk": GAUGES, "scraped": {"mode": "open"}}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    stack = StackUnderTest(tmp_path_factory.mktemp("stack"))
    stack.kafka.start()
    stack.create_all_topics()
    yield Gateway(stack, tmp_path_factory.mktemp("gateway"), TENANTS).start()
    stack.stop()


@pytest.fixture(scope="module")
def stored(gateway):
    """The store behind it, and the workers on the way."""
    gateway.stack.worker("validate", policy=str(gateway.policy_path))
    gateway.stack.worker("amp", topics=["metrics.valid"], url=gateway.stack.prometheus.write_url)
    return gateway.stack.prometheus.url


def by_name(store, selector):
    """{metric: its points}, of metrics that have one series"""
    return {dict(labels)["__name__"]: points for labels, points in prometheus.series(store, selector, time.time()).items()}


def test_the_opentelemetry_sdk_publishes(gateway, stored):
    """Counters, a gauge and an exponential histogram: what the SDK's own reader in memory says, the store has."""
    exporter = OTLPMetricExporter(f"http://{HOST}:{gateway.port}/v1/metrics",
                                  headers={"Authorization": f"Bearer {gateway.tokens['sdk']}"},
                                  preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()})
    sending = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    beside = InMemoryMetricReader(preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()})
    provider = MeterProvider([sending, beside], Resource({"service.instance.id": "gs-sdk", "shard_id": "gs-sdk"}))
    meter = provider.get_meter("test")
    logins, lag = meter.create_counter("sdk.logins", unit="{login}"), meter.create_histogram("sdk.lag", unit="ms")
    meter.create_gauge("sdk.players").set(17.5)
    for turn in range(3):
        logins.add(5 + turn, {"region": "eu"})
        for value in (0, 1, 3, 250 * turn):
            lag.record(value)
        assert provider.force_flush()
    [resource] = beside.get_metrics_data().resource_metrics
    said = {m.name: m.data.data_points[0] for m in resource.scope_metrics[0].metrics}
    found = wait_for(lambda: (f := by_name(stored, '{shard_id="gs-sdk"}')) and
                     {len(points) for points in f.values()} == {3} and len(f) == 3 and f, 60, "three exports of three series")
    provider.shutdown()
    assert [v for _, v in found["sdk_logins_total"]] == [5, 11, 18] and said["sdk.logins"].value == 18
    assert [v for _, v in found["sdk_players"]] == [17.5] * 3
    newest, point = found["sdk_lag_milliseconds"][-1][1], said["sdk.lag"]
    assert float(newest["count"]) == point.count == 12 and float(newest["sum"]) == point.sum
    got = prometheus.buckets(newest)
    base = 2 ** (2 ** -point.scale)
    expected = {(base ** (point.positive.offset + i), base ** (point.positive.offset + i + 1)): n
                for i, n in enumerate(point.positive.bucket_counts) if n}
    assert prometheus.same_buckets({k: v for k, v in got.items() if k[0] > 0}, expected), (got, expected)
    assert sum(v for k, v in got.items() if k[0] <= 0) == point.zero_count


def test_a_prometheus_publishes_by_remote_write(gateway, stored, tmp_path):
    """Prometheus scrapes itself → remote write → gateway → validate → amp → the store: the same samples at both ends."""
    stack, port = gateway.stack, free_ports(1)
    config = tmp_path / "prometheus.yml"
    config.write_text(f"""
global: {{scrape_interval: 1s, external_labels: {{shard_id: prom-1}}}}
scrape_configs: [{{job_name: self, static_configs: [{{targets: ['{HOST}:{port}']}}]}}]
remote_write:
- url: http://{HOST}:{gateway.port}/api/v1/write
  authorization: {{credentials: {gateway.tokens['scraped']}}}
  queue_config: {{batch_send_deadline: 1s}}
""")
    sender = Process("sender", stack.places.run, stack.places.logs / "sender.log")
    stack.at_stop.append(sender.kill)
    sender.start([shutil.which("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}",
                  f"--web.listen-address={HOST}:{port}"], True)
    url = f"http://{HOST}:{port}"
    selector = '{job="self",__name__=~"prometheus_http_requests_total|go_goroutines|up"}'

    def both():
        ends = []
        for at in (url, stored):
            try:
                rows = prometheus.series(at, selector, time.time())
            except OSError:
                return None
            ends.append({frozenset(k for k in labels if k[0] != "shard_id"): points for labels, points in rows.items()})
        return ends

    def arrived():
        ends = both()
        return ends and len(ends[1]) > 3 and min(len(points) for points in ends[1].values()) >= 4 and ends

    sent, found = wait_for(arrived, 60, "samples in the store")
    assert set(found) <= set(sent)
    for labels, points in found.items():
        assert set(points) <= set(sent[labels]), labels
        # Nothing is left out between the first and the last.
        assert points == [p for p in sent[labels] if points[0][0] <= p[0] <= points[-1][0]], labels
    sender.kill()
    assert gateway.metric("sluice_gateway_requests_total", tenant="scraped", code="204") > 0


def test_prometheus_client_library_publishes_by_remote_write_2(gateway, stored):
    """client_golang's sender: it holds our answer against the specification, and the store has what it sent, to the bucket."""
    t_ms = now_ms() - 5000

    def row(name, type_, unit="", **points):
        return {"labels": {"__name__": name, "shard_id": "go-1", "job": "go"}, "type": type_, "unit": unit, "help": "x", **points}

    def write(tenant, rows):
        token = gateway.tokens.get(tenant, "slt_x")
        done = subprocess.run([built("write_v2_sender"), f"http://{HOST}:{gateway.port}", token],
                              input=json.dumps(rows), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    rows = [row("go_wins_total", "counter", samples=[[t_ms, 3], [t_ms + 1000, 5.5]]),
            row("go_players", "gauge", unit="players", samples=[[t_ms, -17.25]]),
            row("go_lag", "histogram", unit="seconds", histograms=[
                {"TMs": t_ms, "Count": 11, "Sum": 40.5, "Schema": 3, "ZeroCount": 1, "Offset": -2, "Deltas": [4, -1, 0]}])]
    assert write("scraped", rows) == {"samples": 3, "histograms": 1, "exemplars": 0}
    found = wait_for(lambda: len(f := by_name(stored, '{job="go"}')) == 3 and f, 60, "all series in the store")
    assert found["go_wins_total"] == [(t_ms, 3.0), (t_ms + 1000, 5.5)] and found["go_players"] == [(t_ms, -17.25)]
    [(at, lag)] = found["go_lag"]
    root = 2 ** (1 / 8)
    assert at == t_ms and float(lag["count"]) == 11 and float(lag["sum"]) == 40.5
    assert prometheus.same_buckets(prometheus.buckets(lag), {
        (-1e-128, 1e-128): 1, (root ** -3, root ** -2): 4, (root ** -2, root ** -1): 3, (root ** -1, 1): 3})
    # Partly refused: the client is told what was written, does not send it again, and hears why.
    rows = [row("go_more_total", "counter", samples=[[t_ms, 1]]), row("go_gauge", "gauge", samples=[[t_ms, 1]])]
    for r in rows:
        del r["labels"]["job"]
    part = write("demo", rows)
    assert part["samples"] == 1 and "400" in part["error"] and "go_gauge" in part["error"], part
    assert "401" in write("nobody", rows)["error"]
