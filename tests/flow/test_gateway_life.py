"""The gateway beside the others: the operators' rules, brokers that are away, an orderly end."""
import http.client
import json
import os
import signal
import subprocess
import threading
import time

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from deploy.local.places import HOST, ROOT
from tests.flow import otlp
from tests.flow.gateway import WRITE_V2, Gateway, exchange, now_ms
from tests.flow.stack import StackUnderTest, wait_for
from tests.flow.test_gateway import write_v2
from tests.receiver import client as wire

CONTROL = f"{os.environ.get('SLUICE_BIN', ROOT / 'build/bin')}/sluice-control"
TENANTS = {"demo": {}, "other": {}}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    stack = StackUnderTest(tmp_path_factory.mktemp("stack"))
    stack.kafka.start()
    stack.create_all_topics()
    yield Gateway(stack, tmp_path_factory.mktemp("gateway"), TENANTS, ack_timeout_ms=2000).start()
    stack.stop()


def scrape(name="game_hits", instance="gs-1"):
    r = otlp.resource(instance)
    otlp.counter(r, name, 1.0, now_ms(), queue="ranked")
    otlp.counter(r, "game_other", 1.0, now_ms())
    return otlp.message(r)


def control(gateway, *arguments):
    done = subprocess.run([CONTROL, *arguments, "--set", f"kafka.bootstrap.servers={gateway.stack.bootstrap}"],
                          capture_output=True, text=True, timeout=60, env={**os.environ, "USER": "ann", "SUDO_USER": ""},
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rule_ids(gateway):
    return [rule["id"] for rule in json.loads(control(gateway, "list", "--json"))]


@pytest.mark.parametrize("keys, said", [
    ({"tokens": ""}, "nobody could be let in"),
    ({"edge": "check"}, "edge"),
    ({"port": -1}, "no way in"),
    ({"tls_port": 0}, "tls_certificate and tls_key"),
    ({"tls_port": 0, "tls_certificate": "/none", "tls_key": "/none"}, ""),  # is looked at when it starts
    ({"max_ratio": 1}, "max_ratio"),
    ({"polcy": "x"}, "polcy"),
])
def test_a_wrong_configuration_is_named(gateway, keys, said):
    arguments = [f"--set={k}={v}" for k, v in {"policy": gateway.policy_path, "tokens": gateway.tokens_path,
                                               "kafka.bootstrap.servers": "x:1", **keys}.items()]
    done = subprocess.run([gateway.binary, "--check", *arguments], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == (2 if said else 0) and said in done.stderr, done


def test_a_kill_switch_is_obeyed_and_named(gateway, say):
    assert gateway.post(scrape("game_debug_x")).body == b""
    control(gateway, "kill", "--tenant", "demo", "--metric", "game_debug_*", "--drop", "--ttl", "1h", "--reason", "test")
    began = time.monotonic()
    [rule] = rule_ids(gateway)
    answer = wait_for(lambda: (a := gateway.post(scrape("game_debug_x"))).reason == "killed" and a, what="the rule")
    say(f"a kill switch is obeyed {time.monotonic() - began:.1f} s after the command")
    assert answer.status == 200 and rule.encode() in answer.body, answer
    starts = gateway.stack.ends("metrics.ingest")
    gateway.post(scrape("game_debug_x"))
    [record] = gateway.stack.read_committed("metrics.ingest", starts)
    assert b"game_other" in record.value() and b"game_debug" not in record.value()
    control(gateway, "revoke", rule, "--reason", "test")
    wait_for(lambda: gateway.post(scrape("game_debug_x")).body == b"", what="the revocation")
    control(gateway, "kill", "--tenant", "demo", "--drop", "--ttl", "1h", "--reason", "all of it", "--force")
    [rule] = rule_ids(gateway)
    wait_for(lambda: (a := gateway.post(scrape())).status == 403 and rule in a.text and "all of it" in a.text,
             what="the rule that hits all")
    control(gateway, "revoke", rule, "--reason", "test")
    wait_for(lambda: gateway.post(scrape()).status == 200, what="the end of it")


def test_a_limit_of_the_operators_is_obeyed_and_named(gateway, say):
    """Of one tenant, and of the samples only; until it is taken back."""
    for _ in range(3):
        assert gateway.post(scrape()).status == 200
    control(gateway, "limit", "set", "--tenant", "demo", "--budget", "samples_per_second", "--value", "1", "--ttl", "1h",
            "--reason", "a flood")
    began = time.monotonic()
    [rule] = rule_ids(gateway)
    # What a tenant has saved up (burst_seconds) still passes.
    late = wait_for(lambda: (a := gateway.post(scrape())).status == 429 and a, what="the limit")
    say(f"a limit is obeyed {time.monotonic() - began:.1f} s after the command")
    assert late.reason == "over_quota" and int(late.headers["Retry-After"]) >= 1, late
    assert rule in late.text and "samples_per_second" in late.text and "a flood" in late.text, late
    assert gateway.post(scrape(), tenant="other").status == 200
    control(gateway, "limit", "clear", "--tenant", "demo", "--budget", "samples_per_second", "--reason", "over")
    wait_for(lambda: gateway.post(scrape()).status == 200, what="the old rate")


def test_a_class_that_the_operators_shed_is_left_out_and_the_rest_stored(gateway):
    gateway.policy["classes"] = {"rules": [{"metrics": ["game_debug_*"], "class": "verbose"}]}
    gateway.write_policy()
    control(gateway, "shed", "--class", "verbose", "--tenant", "demo", "--ttl", "1h", "--reason", "too much")
    [rule] = rule_ids(gateway)
    told = wait_for(lambda: (a := gateway.post(scrape("game_debug_y"))).reason == "shed" and a, what="the rule")
    partial = ExportMetricsServiceResponse.FromString(told.body).partial_success
    assert told.status == 200 and partial.rejected_data_points == 1 and rule in partial.error_message, told
    gateway.wait_metric("sluice_samples_shed_total", 1, tenant="demo", reason="operator", **{"class": "verbose"})
    before = gateway.metric("sluice_samples_shed_total", tenant="demo", reason="operator", **{"class": "verbose"})
    starts = gateway.stack.ends("metrics.ingest")
    series = [wire.series({"__name__": name, "shard_id": "gs-shed"}, [(now_ms(), 1.0)])
              for name in ("game_debug_z_total", "game_fine_total")]
    # Not 429: the sender would bring it again and again, and what is important behind it would wait.
    refused = gateway.write(wire.snappy_block(wire.request(*series)))
    assert refused.status == 400 and refused.reason == "shed" and rule in refused.text, refused
    wait_for(lambda: gateway.metric("sluice_samples_shed_total", tenant="demo", reason="operator") == before + 1,
             what="the counter")  # it moves when the answer is gone
    [record] = gateway.stack.read_committed("metrics.ingest", starts)
    assert b"game_fine" in record.value() and b"game_debug" not in record.value()
    part = gateway.write(write_v2(["game_debug_z_total", "game_fine_total"]), content_type=WRITE_V2)
    assert part.status == 400 and part.headers["X-Prometheus-Remote-Write-Samples-Written"] == "1", part
    assert gateway.metric("sluice_control_rules", kind="shed") == 1
    control(gateway, "revoke", rule, "--reason", "test")
    wait_for(lambda: gateway.write(wire.snappy_block(wire.request(*series))).status == 204, what="the revocation")
    counts = [gateway.metric(f"sluice_samples_{k}_total", tenant="demo") for k in ("in", "out", "rejected", "shed")]
    assert counts[0] == sum(counts[1:]), counts


def test_brokers_away_are_said_and_waited_for(gateway):
    stack = gateway.stack
    stack.kafka.kill(0)
    began = time.monotonic()
    answer = gateway.post(scrape())
    assert answer.status == 503 and answer.reason == "unavailable" and int(answer.headers["Retry-After"]) >= 1, answer
    assert time.monotonic() - began < 20
    assert gateway.metric("sluice_samples_rejected_total", tenant="demo", reason="unavailable") >= 2
    assert gateway.post(b"\x0a\x7f").status == 400  # what needs no broker is still answered
    stack.kafka.restart(0)
    wait_for(lambda: gateway.post(scrape()).status == 200, 60, "the way back")
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


def test_overload_sheds_verbose_then_standard_and_never_critical(gateway, tmp_path):
    """A broker that stands still fills up what may be under way."""
    rules = [{"metrics": ["game_login_*"], "class": "critical"}, {"metrics": ["game_debug_*"], "class": "verbose"}]
    one = Gateway(gateway.stack, tmp_path, TENANTS, {"classes": {"rules": rules}}, name="gateway-shed", in_flight_mb=1,
                  tenant_share_percent=100, shed_verbose_percent=5, shed_standard_percent=20, ack_timeout_ms=60000).start()
    broker, waiting = gateway.stack.kafka.brokers[0], []

    def metrics(*prefixes, n=1):
        r = otlp.resource("gs-shed")
        for prefix in prefixes:
            for i in range(n):
                otlp.counter(r, f"{prefix}_{i}", 1.0, now_ms())
        return otlp.message(r)

    def post_aside(*prefixes, n=1):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(one.post(metrics(*prefixes, n=n), timeout=90)))
        thread.start()
        waiting.append((thread, answers))
        return answers

    def fill(n_bytes):
        while one.metric("sluice_gateway_in_flight_bytes") < n_bytes:
            n = one.metric("sluice_gateway_in_flight_requests")
            post_aside("game_login", n=2000)
            wait_for(lambda: one.metric("sluice_gateway_in_flight_requests") > n, what="one more under way")
            time.sleep(0.2)

    assert one.post(metrics("game_debug", "game_plain", "game_login")).body == b""
    broker.signal(signal.SIGSTOP)
    try:
        fill((1 << 20) * 6 // 100)
        shed = one.post(metrics("game_debug"))
        assert shed.status == 429 and shed.reason == "overloaded" and int(shed.headers["Retry-After"]) >= 1, shed
        # Remote write that is refused in part, too: a 400 would be the end of what was shed.
        series = [wire.series({"__name__": "game_debug_r_total", "shard_id": "gs-shed", **more}, [(now_ms(), 1.0)])
                  for more in ({}, {"player_id": "7"})]
        part = one.write(wire.snappy_block(wire.request(*series)))
        assert part.status == 429 and part.reason == "overloaded" and int(part.headers["Retry-After"]) >= 1, part
        assert "player_id" in part.text and "overloaded" in part.text, part
        mixed = post_aside("game_debug", "game_login")
        fill((1 << 20) * 22 // 100)
        assert one.post(metrics("game_plain")).status == 429
        critical = post_aside("game_login")
        time.sleep(0.5)
        assert critical == [] and mixed == []  # they wait for the broker
    finally:
        broker.signal(signal.SIGCONT)
    for thread, answers in waiting:
        thread.join(90)
        assert answers[0].status == 200, answers
    assert mixed[0].reason == "overloaded" and b"shed" in mixed[0].body and critical[0].body == b""
    for name, n in (("verbose", 3), ("standard", 1), ("critical", 0)):
        assert one.metric("sluice_samples_shed_total", **{"class": name}) == n
    one.worker.process.kill()


def test_it_ends_with_what_is_under_way(gateway, tmp_path):
    """SIGTERM: /ready says no, requests are served on for a while, and nothing that was answered is missing."""
    one = Gateway(gateway.stack, tmp_path, TENANTS, name="gateway-ends")
    one.worker.configure(gateway.stack.bootstrap, {"policy": str(one.policy_path), "tokens": str(one.tokens_path),
                                                   "port": one.port, "address": HOST, "drain_ms": 1000})
    one.start()
    starts = gateway.stack.ends("metrics.ingest")
    counts, refused = [], []

    def publish(number):
        while True:
            try:
                connection = http.client.HTTPConnection(HOST, one.port, timeout=10)
                answer = exchange(connection, "POST", "/v1/metrics", scrape(instance=f"end-{number}"), one.headers())
                (counts if answer.status == 200 else refused).append(answer.status)
                connection.close()
            except ConnectionRefusedError:
                return

    threads = [threading.Thread(target=publish, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    wait_for(lambda: len(counts) > 50, what="requests")
    slow = one.connect()
    body = scrape(instance="end-slow")
    slow.sendall(f"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nAuthorization: Bearer "
                 f"{one.tokens['demo']}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:10])
    one.worker.process.signal(signal.SIGTERM)
    wait_for(lambda: one.worker.get("/ready")[0] != 200, what="/ready to say no")
    n = len(counts)
    wait_for(lambda: len(counts) > n, what="requests while it drains")
    for t in threads:
        t.join()
    slow.sendall(body[10:])  # begun before: finished
    assert slow.recv(100).startswith(b"HTTP/1.1 200")
    slow.close()
    assert one.worker.process.wait(20) and one.worker.process.exit_code() == 0
    assert refused == []
    assert len(gateway.stack.read_committed("metrics.ingest", starts)) == len(counts) + 1
