"""The gateway on a real Kafka: what it takes, from whom, and what it answers."""
import gzip
import json
import re
import time

import cramjam
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.metrics.v1 import metrics_pb2

from tests.fault.formats import decode
from tests.flow import batches, otlp
from tests.flow.gateway import JSON, WRITE_V2, Gateway, now_ms
from tests.flow.stack import StackUnderTest, wait_for
from tests.receiver import client as wire

GAUGES = {"kinds": {"allow": ["counter", "gauge", "exponential_histogram"]}}
TENANTS = {"demo": GAUGES, "other": {}, "busy": {"quota": {"requests_per_second": 1, "burst_seconds": 3}},
           "heavy": {"quota": {"samples_per_second": 100, "burst_seconds": 1}},
           "bulky": {"quota": {"bytes_per_second": 1000, "burst_seconds": 1}}}


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


@pytest.fixture(scope="module")
def judging(shared, tmp_path_factory):
    return Gateway(shared, tmp_path_factory.mktemp("judge"), TENANTS, name="gateway-judge").start()


def scrape(instance="gs-1", n=3, t_ms=None, **labels):
    r = otlp.resource(instance)
    for i in range(n):
        otlp.counter(r, f"game_hits_{i}", float(i), t_ms or now_ms(), **labels)
    return otlp.message(r)


class New:
    """The batches that a with-block put on the ingest topic."""

    def __init__(self, gateway):
        self.gateway, self.records = gateway, []

    def __enter__(self):
        self.starts = self.gateway.stack.ends("metrics.ingest")
        return self

    def __exit__(self, *exc):
        self.records = self.gateway.stack.read_committed("metrics.ingest", self.starts)

    def metrics(self):
        """{metric: number of batches it is in}"""
        found = {}
        for record in self.records:
            shape = decode("shape", decode("batch", record.value())["shape"])
            for series in shape["series"]:
                name = shape["symbols"][series["metric"]]
                found[name] = found.get(name, 0) + 1
        return found


# Bodies that go on as they came


def test_a_body_goes_on_as_it_came(passing):
    body = scrape()
    with New(passing) as new:
        plain = passing.post(body)
        assert plain.status == 200 and plain.body == b"" and plain.headers["Content-Type"] == "application/x-protobuf"
        assert passing.post(gzip.compress(body), encoding="gzip").status == 200
        assert passing.post(bytes(cramjam.zstd.compress(body)), encoding="zstd").status == 200
    assert [r.value() for r in new.records] == [body] * 3
    for r in new.records:
        assert dict(r.headers()) == {"sluice-tenant": b"demo", "content-type": b"application/x-protobuf"}


def test_what_goes_on_is_judged_by_validate(passing, shared):
    series = wire.series({"__name__": "game_wins_total", "shard_id": "gs-rw"}, [(now_ms(), 5.0)])
    one = passing.write(wire.snappy_block(wire.request(series)))
    assert one.status == 204 and one.body == b"", one
    point = {"asDouble": 7, "timeUnixNano": str(now_ms() * 1_000_000)}
    message = {"resourceMetrics": [{"resource": {"attributes": [
        {"key": k, "value": {"stringValue": "gs-json"}} for k in ("service.instance.id", "shard_id")]},
        "scopeMetrics": [{"metrics": [{"name": "game_json", "sum": {
            "isMonotonic": True, "aggregationTemporality": 2, "dataPoints": [point]}}]}]}]}
    answer = passing.post(json.dumps(message), content_type=JSON)
    assert answer.status == 200 and answer.text == "{}", answer
    shared.worker("validate", policy=str(passing.policy_path))
    passing.post(scrape("gs-otlp"))

    def arrived():
        found = set()
        for record in shared.read_committed("metrics.valid"):
            shape = decode("shape", decode("batch", record.value())["shape"])
            found |= {(shape["source"], shape["symbols"][s["metric"]]) for s in shape["series"]}
        return {("gs-rw", "game_wins_total"), ("gs-json", "game_json_total"), ("gs-otlp", "game_hits_0_total")} <= found

    wait_for(arrived, what="all three formats in metrics.valid")


def test_a_remote_write_2_that_goes_on_says_what_was_written(passing):
    """Who sends it takes an answer without counts for a failure."""
    body = write_v2(["w2_x_total", "w2_y_total"])
    with New(passing) as new:
        answer = passing.write(body, content_type=WRITE_V2)
        assert answer.status == 204, answer
        assert [answer.headers[f"X-Prometheus-Remote-Write-{k}-Written"] for k in ("Samples", "Histograms", "Exemplars")] == [
            "2", "0", "0"]
        broken = passing.write(wire.snappy_block(b"\x2a\x7f"), content_type=WRITE_V2)
        assert broken.status == 400 and broken.reason == "malformed", broken
        other = passing.write(wire.snappy_block(wire.request()), content_type=WRITE_V2)
        assert other.status == 204 and other.headers["X-Prometheus-Remote-Write-Samples-Written"] == "0", other
    [record] = new.records
    assert record.value() == body and dict(record.headers())["content-type"] == WRITE_V2.encode()


def test_what_goes_on_keeps_each_sources_order(passing):
    """Whoever brings it, and among whatever else: a source's records come on its own partition. What does not say whose it
    is, and remote write, keeps to its client's."""
    servers = [f"gs-{i}" for i in range(5)]
    with New(passing) as new:
        for turn in range(12):
            message = metrics_pb2.MetricsData()
            for name in servers[turn % 5:] + servers[:turn % 5]:  # a collector's batches, each in another order
                r = otlp.resource(name)
                otlp.counter(r, "game_turns", float(turn), now_ms())
                message.resource_metrics.append(r)
            assert passing.post(message.SerializeToString()).status == 200
    turns = {name: [] for name in servers}
    for record in new.records:  # in order per partition
        for r in metrics_pb2.MetricsData.FromString(record.value()).resource_metrics:
            name = r.resource.attributes[1].value.string_value
            assert record.partition() == batches.partition_of(name, 12), name
            turns[name].append(int(r.scope_metrics[0].metrics[0].sum.data_points[0].as_double))
    assert turns == {name: list(range(12)) for name in servers}
    with New(passing) as new:
        for turn in range(12):
            nobody = metrics_pb2.ResourceMetrics()
            nobody.scope_metrics.add().scope.name = f"turn-{turn}"
            assert passing.post(otlp.message(nobody)).status == 200
            series = wire.series({"__name__": "game_wins_total", "shard_id": f"gs-{turn}"}, [(now_ms(), float(turn))])
            assert passing.write(wire.snappy_block(wire.request(series))).status == 204
    assert len({record.partition() for record in new.records}) == 1 and len(new.records) == 24


# Bodies that are judged here


def test_good_points_are_stored_and_bad_ones_named(judging):
    r = otlp.resource("gs-judged")
    otlp.counter(r, "game_kills", 5.0, now_ms())
    otlp.counter(r, "game_deaths", 6.0, now_ms(), player_id="alice-4711")
    before = judging.metric("sluice_samples_rejected_total", tenant="demo", reason="label_forbidden")
    with New(judging) as new:
        answer = judging.post(otlp.message(r))
    assert answer.status == 200 and answer.reason == "label_forbidden", answer
    told = ExportMetricsServiceResponse.FromString(answer.body).partial_success
    assert told.rejected_data_points == 1
    assert "player_id" in told.error_message and "game_deaths" in told.error_message, told
    assert "alice" not in told.error_message
    assert new.metrics() == {"game_kills_total": 1}
    [record] = new.records
    assert b"alice" not in record.value() and dict(record.headers()) == {"sluice-tenant": b"demo"}
    assert record.partition() == batches.partition_of("gs-judged", 12)
    assert judging.metric("sluice_samples_rejected_total", tenant="demo", reason="label_forbidden") == before + 1


def test_what_was_judged_passes_validate(judging, shared):
    shared.worker("validate", "validate-judged", group="judged", policy=str(judging.policy_path))
    assert judging.post(scrape("gs-through", 5)).status == 200

    def arrived():
        for record in shared.read_committed("metrics.valid"):
            batch = decode("batch", record.value())
            shape = decode("shape", batch["shape"])
            if shape["source"] == "gs-through":
                assert batch["received_ms"].year > 2000 and batch["origin"]["topic"] == "metrics.ingest"
                return len(shape["series"]) == 5
        return False

    wait_for(arrived, what="the batch in metrics.valid")


def test_json_is_answered_in_json(judging):
    point = {"asInt": "7", "timeUnixNano": str(now_ms() * 1_000_000)}

    def message(**labels):
        attributes = [{"key": k, "value": {"stringValue": v}} for k, v in labels.items()]
        return json.dumps({"resourceMetrics": [{
            "resource": {"attributes": [{"key": k, "value": {"stringValue": "gs-json"}}
                                        for k in ("service.instance.id", "shard_id")]},
            "scopeMetrics": [{"metrics": [{"name": "json_hits", "sum": {
                "isMonotonic": True, "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE",
                "dataPoints": [{**point, "attributes": attributes}]}}]}]}]})

    with New(judging) as new:
        good = judging.post(message(), content_type=JSON)
        assert good.status == 200 and json.loads(good.body) == {} and good.headers["Content-Type"] == JSON
        bad = judging.post(message(raw_ip="x"), content_type=JSON)
    partial = json.loads(bad.body)["partialSuccess"]
    assert bad.status == 200 and partial["rejectedDataPoints"] == "1" and "raw_ip" in partial["errorMessage"]
    assert new.metrics() == {"json_hits_total": 1}
    broken = judging.post(message()[:-3], content_type=JSON)
    assert broken.status == 400 and broken.reason == "malformed" and json.loads(broken.body)["code"] == 3


def test_remote_write_stores_the_good_and_names_the_bad(judging):
    t_ms = now_ms()
    good = wire.series({"__name__": "rw_total", "shard_id": "gs-w"}, [(t_ms, 1.0)])
    bad = wire.series({"__name__": "rw_bad_total", "shard_id": "gs-w", "session_id": "s-99"}, [(t_ms, 1.0)])
    with New(judging) as new:
        fine = judging.write(wire.snappy_block(wire.request(good)))
        assert fine.status == 204 and fine.body == b"", fine
        answer = judging.write(wire.snappy_block(wire.request(good, bad)))
    assert answer.status == 400 and answer.reason == "label_forbidden", answer
    assert "rw_bad_total" in answer.text and "session_id" in answer.text and "s-99" not in answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert new.metrics() == {"rw_total": 2}


def write_v2(names, bad=None):
    """A request of remote write 2.0 by hand; bad: one of the metrics, with a forbidden label."""
    symbols, rows = [""], []
    for name in names:
        labels = {"__name__": name, "shard_id": "gs-w2", **({"user_id": "u-1"} if name == bad else {})}
        refs = []
        for text in (t for pair in sorted(labels.items()) for t in pair):
            if text not in symbols:
                symbols.append(text)
            refs.append(symbols.index(text))
        sample = wire.double_field(1, 4.0) + wire.number_field(2, now_ms())
        rows.append(wire.field(5, wire.field(1, b"".join(wire.varint(r) for r in refs)) + wire.field(2, sample) +
                               wire.field(5, wire.number_field(1, 1))))
    return wire.snappy_block(b"".join(wire.field(4, s.encode()) for s in symbols) + b"".join(rows))


def test_remote_write_2_says_what_was_written(judging):
    written = "X-Prometheus-Remote-Write-{}-Written"
    with New(judging) as new:
        fine = judging.write(write_v2(["w2_a_total", "w2_b_total"]), content_type=WRITE_V2)
        assert fine.status == 204, fine
        assert [fine.headers[written.format(k)] for k in ("Samples", "Histograms", "Exemplars")] == ["2", "0", "0"]
        part = judging.write(write_v2(["w2_a_total", "w2_b_total"], bad="w2_b_total"), content_type=WRITE_V2)
    assert part.status == 400 and part.headers[written.format("Samples")] == "1" and "user_id" in part.text, part
    assert new.metrics() == {"w2_a_total": 2, "w2_b_total": 1}


@pytest.mark.parametrize("path, method, headers, status, reason", [
    ("/", "POST", {}, 404, "no_such_route"),
    ("/v1/metrics", "GET", {}, 405, "no_such_route"),
    ("/v1/metrics", "POST", {"Content-Type": "text/plain"}, 415, "unsupported_content_type"),
    ("/v1/metrics", "POST", {"Content-Encoding": "br"}, 415, "unsupported_content_type"),
    ("/v1/metrics", "POST", {"Content-Encoding": "gzip, gzip"}, 415, "unsupported_content_type"),
    ("/v1/metrics", "POST", {"Content-Type": WRITE_V2}, 415, "unsupported_content_type"),
    ("/api/v1/write", "POST", {"Content-Encoding": "gzip"}, 415, "unsupported_content_type"),
    ("/api/v1/write", "POST", {"Content-Type": "application/json", "Content-Encoding": "snappy"}, 415,
     "unsupported_content_type"),
    ("/api/v1/write", "POST", {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"}, 415,
     "unsupported_content_type"),
])
def test_24_wrong_routes_types_and_encodings(judging, path, method, headers, status, reason):
    answer = judging.post(scrape(), path, method, headers={**judging.headers(), **headers})
    assert (answer.status, answer.reason) == (status, reason), answer
    assert judging.post(scrape()).status == 200


# Tenants


def test_tokens_say_whose_it_is(judging):
    body = scrape()
    nobody = judging.post(body, tenant=None)
    assert nobody.status == 401 and nobody.headers["WWW-Authenticate"].startswith("Bearer")
    assert Status.FromString(nobody.body).code == 16 and "token" in Status.FromString(nobody.body).message
    token = judging.tokens["demo"]
    for wrong in ("x", token[:-1] + ("A" if token[-1] != "A" else "B"), "slt_0123456789ab_" + token[17:], token + "x"):
        assert judging.post(body, tenant=wrong).status == 401, wrong
    for text in (f"bearer {token}", f"Bearer   {token}", f"Bearer {token} \t "):
        assert judging.post(body, headers={**judging.headers(), "Authorization": text}).status == 200, text
    assert judging.post(body, headers={**judging.headers(), "Authorization": "Bearer   "}).status == 401
    assert judging.post(body, headers={**judging.headers(), "Authorization": "Basic eDp5"}).status == 401
    for header in ("sluice-tenant", "X-Scope-OrgID"):
        assert judging.post(body, headers={**judging.headers(), header: "demo"}).status == 200
        other = judging.post(body, headers={**judging.headers(), header: "other"})
        assert other.status == 403 and other.reason == "other_tenant", other
    text = judging.tokens_path.read_text()
    assert all(token not in text and token.split("_", 2)[2] not in text for token in judging.tokens.values())


def test_tokens_come_and_go_while_it_runs(judging):
    body = scrape()
    fresh = judging.token("demo", "--expires", "1d")
    wait_for(lambda: judging.post(body, tenant=fresh).status == 200, what="the new token")
    identity = fresh.split("_")[1]
    listed = judging.tool("list").stdout
    assert re.search(rf"{identity} +demo ", listed) and fresh not in listed
    text = judging.tokens_path.read_text()
    line = next(l for l in text.splitlines() if l.startswith(identity))
    expired = line.replace(line.split()[3], "2020-01-01T00:00:00Z")
    judging.tokens_path.write_text(text.replace(line, expired))
    wait_for(lambda: "expired" in judging.post(body, tenant=fresh).text, what="the token's end")
    judging.tokens_path.write_text("nonsense\n")
    judging.wait_metric("sluice_gateway_reload_errors_total", 1, what="tokens")
    assert judging.post(body).status == 200  # the old ones stay in force
    judging.tokens_path.write_text(text)
    wait_for(lambda: judging.post(body, tenant=fresh).status == 200, what="the old file")
    assert judging.tool("revoke", identity).returncode == 0
    wait_for(lambda: "revoked" in judging.post(body, tenant=fresh).text, what="the revocation")
    assert judging.post(body).status == 200
    assert judging.tool("revoke", "0" * 12).returncode == 2 and judging.tool("create").returncode == 2
    assert judging.tool("create", "--tenant", "demo", "--expires", "2020-01-01").returncode == 2


def test_a_tenant_that_the_policy_drops_is_refused(judging):
    gone = judging.policy["tenants"].pop("other")
    judging.write_policy()
    wait_for(lambda: judging.post(scrape(), tenant="other").reason == "unknown_tenant", what="the new policy")
    judging.policy["tenants"]["other"] = gone
    judging.write_policy()
    wait_for(lambda: judging.post(scrape(), tenant="other").status == 200, what="the old policy")


# Quotas


def test_quotas_are_held_and_said(judging):
    answers = [judging.post(scrape(), tenant="busy") for _ in range(8)]
    assert answers[0].status == 200 and answers[-1].status == 429
    late = answers[-1]
    assert late.reason == "over_quota" and int(late.headers["Retry-After"]) >= 1
    assert "requests_per_second" in Status.FromString(late.body).message
    for tenant, name in (("heavy", "samples_per_second"), ("bulky", "bytes_per_second")):
        assert judging.post(scrape(n=250), tenant=tenant).status == 200  # it owes now
        late = judging.post(scrape(), tenant=tenant)
        assert late.status == 429 and name in Status.FromString(late.body).message, late
    assert judging.post(scrape()).status == 200
    assert judging.metric("sluice_gateway_refused_requests_total", tenant="heavy", reason="over_quota") >= 1
    wait = int(judging.post(scrape(), tenant="heavy").headers["Retry-After"])
    time.sleep(min(wait, 5))
    assert judging.post(scrape(), tenant="heavy").status == 200


def test_what_is_refused_is_in_no_topic(judging, shared):
    """Byte for byte: neither the ingest topic nor those behind it, the dead letters included, hold what was refused."""
    r = otlp.resource("gs-clear")
    otlp.counter(r, "game_good", 5.0, now_ms(), queue="clearly-there")
    otlp.counter(r, "game_bad", 6.0, now_ms(), player_id="secret-otlp")
    assert judging.post(otlp.message(r)).reason == "label_forbidden"
    labels = {"__name__": "rw_total", "shard_id": "gs-clear"}
    good, bad = (wire.series({**labels, **more}, [(now_ms(), 1.0)]) for more in ({}, {"session_id": "secret-write"}))
    assert judging.write(wire.snappy_block(wire.request(good, bad))).status == 400
    point = {"asInt": 7, "timeUnixNano": str(now_ms() * 1_000_000), "attributes": [
        {"key": "raw_ip", "value": {"stringValue": "secret-json"}}]}
    assert judging.post(json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "a", "sum": {
        "isMonotonic": True, "aggregationTemporality": 2, "dataPoints": [point]}}]}]}]}), content_type=JSON).reason

    def everything():
        found = b""
        for topic in shared.admin.list_topics(timeout=10).topics:
            for record in shared.read_committed(topic) if not topic.startswith("__") else []:
                found += b"".join((record.key() or b"", record.value() or b"", repr(record.headers()).encode(), b"|"))
        return found

    # The good ones are found in both, so the search finds what is there.
    text = wait_for(lambda: (t := everything()).count(b"clearly-there") >= 2 and t, what="the good ones behind validate")
    assert b"secret" not in text and b"alice-4711" not in text


def test_the_books_close(judging):
    """in = out + rejected + shed, for each tenant, after all of the above."""
    for tenant in TENANTS:
        counts = [judging.metric(f"sluice_samples_{k}_total", tenant=tenant) for k in ("in", "out", "rejected", "shed")]
        assert counts[0] > 0 and counts[0] == sum(counts[1:]), (tenant, counts)
    assert judging.metric("sluice_gateway_in_flight_requests") == 0
    assert judging.metric("sluice_gateway_in_flight_bytes") == 0
    assert judging.metric("sluice_gateway_answer_seconds_count") > 20
