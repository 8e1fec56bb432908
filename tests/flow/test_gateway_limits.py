"""Bad input over HTTP: rows of facts/bad-input by their numbers. Each gets its answer, is counted, leaves the gateway
small, and the next good request works. And whoever is slow or many harms nobody else."""
import gzip
import http.client
import json
import resource
import socket
import struct
import threading
import time

import cramjam
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from deploy.local.places import HOST
from tests.flow import otlp
from tests.flow.gateway import JSON, Gateway, exchange, now_ms, read_all
from tests.flow.stack import StackUnderTest, wait_for
from tests.flow.test_bad_input import CASES, n_samples
from tests.fault.formats import decode
from tests.receiver import client as wire

MIB = 1 << 20
CEILING = 220 * MIB  # the caps below and what a process takes anyway
KEYS = {"max_body_bytes": MIB, "max_unpacked_bytes": 8 * MIB, "header_timeout_ms": 1500, "body_timeout_ms": 2000,
        "idle_timeout_ms": 4000, "max_connections_per_address": 60, "in_flight_mb": 32, "cache_mb": 16}
FLOOD_QUOTA = 5  # requests/s


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    stack = StackUnderTest(tmp_path_factory.mktemp("stack"))
    stack.kafka.start()
    stack.create_all_topics()
    kinds = {"kinds": {"allow": ["counter", "gauge", "exponential_histogram", "classic_histogram"]}}
    tenants = {"demo": {"mode": "open"}, "strict": kinds, "calm": {},
               "flood": {"quota": {"requests_per_second": FLOOD_QUOTA, "burst_seconds": 1}}}
    yield Gateway(stack, tmp_path_factory.mktemp("gateway"), tenants, **KEYS).start()
    stack.stop()


def scrape(n=3):
    r = otlp.resource("gs-1")
    for i in range(n):
        otlp.counter(r, f"game_hits_{i}", float(i), now_ms())
    return otlp.message(r)


@pytest.fixture(autouse=True)
def unharmed(gateway):
    """After each row: a good request works, and memory is bounded."""
    yield
    assert gateway.post(scrape()).status == 200
    assert gateway.rss() < CEILING


def field(number, data):
    return wire.field(number, data)


def nested(n):
    """AnyValue { array_value { values: AnyValue … } }, n levels."""
    value = b"\x0a\x01x"
    for _ in range(n):
        value = field(5, field(1, value))
    return field(1, field(1, field(1, field(1, b"k") + field(2, value))))


def head(gateway, length=None, tenant="demo", more="", path="/v1/metrics"):
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/x-protobuf",
             f"Authorization: Bearer {gateway.tokens[tenant]}"]
    lines += [f"Content-Length: {length}"] if length is not None else []
    return ("\r\n".join(lines) + "\r\n" + more + "\r\n").encode()


def test_1_an_empty_body_is_an_empty_message(gateway):
    assert gateway.post(b"").status == 200
    assert gateway.write(b"").status == 204
    assert gateway.write(wire.snappy_block(b"")).status == 204


def test_2_a_body_that_is_cut_off(gateway):
    body = scrape(2)
    starts = gateway.stack.ends("metrics.ingest")
    connection = http.client.HTTPConnection(HOST, gateway.port, timeout=30)
    statuses = {exchange(connection, "POST", "/v1/metrics", body[:n], gateway.headers()).status
                for n in range(1, len(body))}
    connection.close()
    assert statuses == {400}
    assert gateway.stack.ends("metrics.ingest") == starts  # nothing of any of them
    assert gateway.metric("sluice_gateway_refused_requests_total", reason="malformed") >= len(body) - 1


@pytest.mark.parametrize("row, body", [
    ("3: a varint of 11 bytes", b"\x08" + b"\xff" * 10 + b"\x01"),
    ("4: a length beyond the end", b"\x0a\x7f"),
    ("4: a length near 2^31", b"\x0a\xff\xff\xff\xff\x07"),
    ("4: a length near 2^63", b"\x0a" + b"\xff" * 8 + b"\x7f"),
    ("5: field number 0", b"\x02\x00"),
    ("5: wire type 7", b"\x0f\x00"),
    ("6: a known field of another wire type", b"\x08\x01"),
    ("7: a group that never ends", b"\x7b" * 10000),
])
def test_3_to_7_what_is_no_message(gateway, row, body):
    for path, packed in (("/v1/metrics", body), ("/api/v1/write", wire.snappy_block(body))):
        answer = gateway.post(packed, path)
        assert answer.status == 400 and answer.reason == "malformed", (row, path, answer)


def test_7_a_value_nested_deep_is_passed_over(gateway):
    """Nothing goes down into it: a list can be no label."""
    assert gateway.post(nested(10000)).status == 200


# What can be read, and is wrong inside: what the Kafka test sends to validate (test_bad_input.py), sent here.
INSIDE = [c for c in CASES if 8 <= c.row <= 16]


def rejected_of(answer):
    return ExportMetricsServiceResponse.FromString(answer.body).partial_success.rejected_data_points


@pytest.mark.parametrize("case", INSIDE, ids=[f"row {c.row}: {c.name}" for c in INSIDE])
def test_8_to_16_what_is_wrong_inside(gateway, case):
    is_write, is_whole = bool(case.headers), "malformed" in case.want

    def counts():
        rejected = {reason: gateway.metric("sluice_samples_rejected_total", tenant="strict", reason=reason)
                    for reason in [*case.want, *case.counted] if not is_whole}
        return {**rejected, "out": gateway.metric("sluice_samples_out_total", tenant="strict"),
                "whole": gateway.metric("sluice_gateway_refused_requests_total", tenant="strict", reason="malformed")}

    more = {"out": case.accepted, "whole": len(case.values) if is_whole else 0,
            **({} if is_whole else {**case.want, **{reason: 1 for reason in case.counted}})}
    expected = {name: n + more[name] for name, n in counts().items()}
    starts = gateway.stack.ends("metrics.ingest")
    answers = [(gateway.write if is_write else gateway.post)(value, tenant="strict") for value in case.values]
    good = 204 if is_write else 200
    assert {a.status for a in answers} == {400 if is_whole or (is_write and case.want) else good}, answers
    assert {a.reason for a in answers} == (set(case.want) or {None}), answers
    if not is_write and not is_whole:
        assert sum(map(rejected_of, answers)) == sum(case.want.values())
    wait_for(lambda: counts() == expected, what=f"the counters {expected}")  # they move when the answer is gone
    stored = [decode("batch", r.value()) for r in gateway.stack.read_committed("metrics.ingest", starts)]
    assert sum(map(n_samples, stored)) == case.accepted
    values = b"".join(b["values"] for b in stored)
    assert not case.bits or tuple(sorted(values[i:i + 8].hex() for i in range(0, len(values), 8))) == case.bits


def json_body(value, **point):
    attributes = [{"key": k, "value": {"stringValue": "gs-json"}} for k in ("service.instance.id", "shard_id")]
    data = {"isMonotonic": True, "aggregationTemporality": 2,
            "dataPoints": [{"timeUnixNano": str(now_ms() * 1_000_000), **value, **point}]}
    return json.dumps({"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [
        {"metrics": [{"name": "a", "sum": data}]}]}]}).encode()


@pytest.mark.parametrize("row, status, body", [
    ("integers as text", 200, json_body({"asInt": "7"})),
    ("integers as numbers", 200, json_body({"asInt": 7}, timeUnixNano=now_ms() * 1_000_000)),
    ("trace ids in hex, of an exemplar", 200, json_body({"asInt": 7}, exemplars=[{"traceId": "5b8efff798038103d269b633813fc60c"}])),
    ("NaN as text", 200, json_body({"asDouble": "NaN"})),
    ("NaN bare", 400, json_body({"asDouble": 1}).replace(b'"asDouble": 1', b'"asDouble": NaN')),
    ("a number beyond 64 bits", 400, json_body({"asInt": str(2**64)})),
    ("a key twice", 400, json_body({"asInt": 7}).replace(b'"asInt": 7', b'"asInt": 7, "asInt": 8')),
    ("a mark of the byte order", 200, b"\xef\xbb\xbf" + json_body({"asInt": 7})),
    ("100,000 brackets", 400, b'{"resourceMetrics":' + b"[" * 100_000),
    ("100,000 brackets of an unknown key", 400, b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("cut off", 400, json_body({"asInt": 7})[:-3]),
    ("not UTF-8", 400, json_body({"asInt": 7}).replace(b"gs-json", b"gs-\xff\xfe")),
])
def test_26_json(gateway, row, status, body):
    starts = gateway.stack.ends("metrics.ingest")
    answer = gateway.post(body, tenant="strict", content_type=JSON)
    assert answer.status == status and answer.reason == (None if status == 200 else "malformed"), (row, answer)
    stored = [decode("batch", r.value()) for r in gateway.stack.read_committed("metrics.ingest", starts)]
    assert sum(map(n_samples, stored)) == (status == 200)
    if row == "NaN as text":
        assert struct.unpack("<d", stored[0]["values"])[0] != struct.unpack("<d", stored[0]["values"])[0]


def test_17_very_many_points(gateway):
    point = field(1, b"\x19" + (now_ms() * 1_000_000).to_bytes(8, "little"))
    metric = field(2, field(1, b"m") + field(7, point * 700_000 + b"\x10\x02\x18\x01"))
    answer = gateway.post(gzip.compress(field(1, field(2, metric)), 1), encoding="gzip")
    if answer.status == 200:
        assert ExportMetricsServiceResponse.FromString(answer.body).partial_success.rejected_data_points == 700_000
    else:
        assert answer.status == 413, answer
    many = gateway.post(gzip.compress(field(1, b"") * 1_000_000, 6), encoding="gzip")
    assert many.status in (200, 413), many


@pytest.mark.parametrize("row, status, block", [
    ("18: claims 4 GiB", 413, b"\xff\xff\xff\xff\x0f" + b"x" * 10),
    ("19: framed", 400, b"\xff\x06\x00\x00sNaPpY\x01\x05\x00\x00\x00\x00\x00\x00x"),
    ("20: copy of offset 0", 400, b"\x08\x00x\x05\x00"),
    ("20: copy before the start", 400, b"\x08\x00x\x05\x09"),
    ("20: cut in a tag", 400, b"\x08\xf0"),
])
def test_18_to_20_snappy(gateway, row, status, block):
    answer = gateway.write(block)
    assert answer.status == status, (row, answer)
    if row.startswith("19"):
        assert "framed" in answer.text


def test_21_gzip_bombs(gateway):
    bomb = gzip.compress(b"\0" * (64 * MIB), 9)
    assert gateway.post(bomb, encoding="gzip").status == 413
    ratio = gateway.post(gzip.compress(b"\0" * (4 * MIB), 9), encoding="gzip")
    assert ratio.status == 413 and "packed size" in ratio.text, ratio
    assert gateway.post(gzip.compress(gzip.compress(scrape())), encoding="gzip").status == 400
    members = b"".join(gzip.compress(b"\0" * 65536, 9) for _ in range(1000))
    assert gateway.post(members, encoding="gzip").status == 413
    body = scrape()
    assert gateway.post(gzip.compress(body[:50]) + gzip.compress(body[50:]), encoding="gzip").status == 200
    assert gateway.metric("sluice_gateway_refused_requests_total", reason="too_large") >= 3


def test_22_broken_gzip(gateway):
    good = gzip.compress(scrape())
    wrong_crc = good[:-8] + bytes(b ^ 1 for b in good[-8:-4]) + good[-4:]
    for body in (wrong_crc, good[:-1], good[:20], good + b"more"):
        answer = gateway.post(body, encoding="gzip")
        assert answer.status == 400 and answer.reason == "malformed", answer


def test_23_zstd(gateway):
    bomb = bytes(cramjam.zstd.compress(b"\0" * (512 * MIB)))
    assert len(bomb) < MIB and gateway.post(bomb, encoding="zstd").status == 413
    window = b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x01\x00\x00"  # 2 GiB
    dictionary = b"\x28\xb5\x2f\xfd\x23\x01\x02\x03\x04\x01\x01\x00\x00x"
    for body in (window, dictionary, bytes(cramjam.zstd.compress(scrape()))[:-2], b"\x28\xb5"):
        assert gateway.post(body, encoding="zstd").status in (400, 413)


# 24: test_gateway.py


def test_25_a_length_beyond_the_cap_is_refused_at_once(gateway):
    with gateway.connect() as s:
        s.sendall(head(gateway, 100 * MIB) + b"x" * 1000)  # and nothing more
        answer = read_all(s)
    assert answer.startswith(b"HTTP/1.1 413") and b"too_large" in answer, answer


def test_25_endless_chunks_end_at_the_cap(gateway):
    answer = b""
    with gateway.connect() as s:
        s.sendall(head(gateway, more="Transfer-Encoding: chunked\r\n"))
        try:
            for _ in range(600):
                s.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        except OSError:
            pass
        answer = read_all(s)
    assert answer.startswith(b"HTTP/1.1 413"), answer


def test_25_one_byte_a_second_is_cut_off(gateway):
    before = gateway.metric("sluice_gateway_connections_cut_total", phase="body")
    with gateway.connect() as s:
        s.sendall(head(gateway, 100000))
        s.settimeout(0.2)
        answer, deadline = b"", time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                s.sendall(b"x")
                piece = s.recv(4096)
                answer += piece
                if not piece:
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert answer.startswith(b"HTTP/1.1 408") and b"too_slow" in answer, answer
    assert gateway.metric("sluice_gateway_connections_cut_total", phase="body") == before + 1
    gateway.wait_metric("sluice_gateway_requests_total", 1, tenant="demo", code="408")


@pytest.mark.parametrize("sent", [b"", b"POST /v1/metrics HTT", b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n"])
def test_25_heads_that_never_end_are_cut_off(gateway, sent):
    with gateway.connect(timeout=30) as s:
        s.sendall(sent)
        assert b"200" not in read_all(s)  # closed


def test_25_a_length_that_lies(gateway):
    body = scrape()
    with gateway.connect() as s:  # shorter than said, and then the end
        s.sendall(head(gateway, len(body) + 10) + body)
        s.shutdown(socket.SHUT_WR)
        assert b" 200 " not in read_all(s)
    lies = ("-1", "abc", "99999999999999999999999", "10, 20")
    before = gateway.metric("sluice_gateway_connections_refused_total", limit="head")
    for length in lies:
        assert b" 200 " not in gateway.raw(head(gateway, length) + body + b"\r\n")
    gateway.wait_metric("sluice_gateway_connections_refused_total", before + len(lies), limit="head")


def test_header_floods_are_refused(gateway):
    before = gateway.metric("sluice_gateway_connections_refused_total", limit="head")
    floods = (b"".join(b"X-%d: y\r\n" % i for i in range(20000)), b"X: " + b"y" * 200000 + b"\r\n", b"A" * 200000)
    for flood in floods:
        with gateway.connect() as s:
            try:
                s.sendall(b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n" + flood + b"\r\n")
            except OSError:
                pass
            answer = read_all(s)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 414", b"HTTP/1.1 413", b"HTTP/1.1 400",
                                                   b"HTTP/1.1 500")), answer[:200]
    gateway.wait_metric("sluice_gateway_connections_refused_total", before + len(floods), limit="head")
    assert gateway.post(scrape()).status == 200  # on a head that is none of these, nothing is counted
    assert gateway.metric("sluice_gateway_connections_refused_total", limit="head") == before + len(floods)


def test_who_is_not_known_may_not_send_much(gateway):
    """The answer comes without the body being read to its end, or kept."""
    body = b"x" * (900 * 1024)
    connection = http.client.HTTPConnection(HOST, gateway.port, timeout=10)
    connection.putrequest("POST", "/v1/metrics")
    connection.putheader("Content-Type", "application/x-protobuf")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:1000])
    assert connection.getresponse().status == 401
    connection.close()


def test_a_hundred_continue_is_refused_before_the_body(gateway):
    with gateway.connect() as s:
        s.sendall(head(gateway, 100 * MIB, more="Expect: 100-continue\r\n"))
        assert read_all(s).startswith(b"HTTP/1.1 413")


def test_connections_of_one_address_are_bounded(gateway):
    before = gateway.metric("sluice_gateway_connections_refused_total", limit="address")
    many = [gateway.connect(source="127.0.0.7") for _ in range(70)]
    try:
        gateway.wait_metric("sluice_gateway_connections_refused_total", before + 10, limit="address")
        assert gateway.post(scrape()).status == 200  # others are let in
    finally:
        for s in many:
            s.close()


def answered(s, gateway):
    """An empty message on a connection that stays open: its status line; b"" when it was closed."""
    try:
        s.sendall(head(gateway, 0))
        answer = s.recv(4096)
        while answer and b"\r\n\r\n" not in answer:
            answer += s.recv(4096)
        return answer.split(b"\r\n")[0]
    except OSError:
        return b""


def test_as_many_connections_as_are_configured_are_served(gateway, tmp_path):
    """By one thread, more than FD_SETSIZE; what is over is closed at once, counted, and takes nobody's place."""
    bound, n_at_first, n_in_all = 1200, 1100, 1300
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    one = Gateway(gateway.stack, tmp_path, name="gateway-many", threads=1, max_connections=bound,
                  max_connections_per_address=0).start()
    open_now = []
    try:
        open_now += [one.connect() for _ in range(n_at_first)]
        assert all(answered(s, one) == b"HTTP/1.1 200 OK" for s in open_now)
        assert one.metric("sluice_gateway_connections_refused_total") == 0
        open_now += [one.connect() for _ in range(n_in_all - n_at_first)]
        one.wait_metric("sluice_gateway_connections_refused_total", n_in_all - bound, limit="all")
        answers = [answered(s, one) for s in open_now]
        assert answers.count(b"HTTP/1.1 200 OK") == bound and answers.count(b"") == n_in_all - bound
        assert one.metric("sluice_gateway_connections") == bound
        assert one.metric("sluice_gateway_connections_refused_total") == n_in_all - bound
    finally:
        for s in open_now:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_for(lambda: one.metric("sluice_gateway_connections") == 0, what="the end of all")
    with one.connect() as s:
        assert answered(s, one) == b"HTTP/1.1 200 OK"
    one.worker.process.kill()


def test_a_flood_and_slow_senders_leave_the_others_alone(gateway, say):
    """flood: twenty times its quota, and 200 connections that hardly send."""
    slow = []
    for i in range(200):
        s = gateway.connect(source=f"127.0.1.{i % 10 + 1}")
        s.sendall(head(gateway, 100000, tenant="flood") if i % 2 else b"POST /v1/met")
        slow.append(s)
    stop, refused, began = threading.Event(), [], time.monotonic()

    def flood(number):
        connection = http.client.HTTPConnection(HOST, gateway.port, timeout=30, source_address=(f"127.0.2.{number}", 0))
        while not stop.is_set():
            try:
                if exchange(connection, "POST", "/v1/metrics", body, gateway.headers("flood")).status == 429:
                    refused.append(1)
            except OSError:
                connection.close()

    body = scrape(100)
    threads = [threading.Thread(target=flood, args=(i + 1,)) for i in range(3)]
    for t in threads:
        t.start()
    times, statuses, n_calm = [], [], 100
    connection = http.client.HTTPConnection(HOST, gateway.port, timeout=30)
    try:
        wait_for(lambda: len(refused) > 20 * FLOOD_QUOTA, what="the flood")
        while len(times) < n_calm or len(refused) < 20 * FLOOD_QUOTA * (time.monotonic() - began):
            t0 = time.monotonic()
            statuses.append(exchange(connection, "POST", "/v1/metrics", scrape(30), gateway.headers("calm")).status)
            times.append(time.monotonic() - t0)
    finally:
        flood_x = len(refused) / (time.monotonic() - began) / FLOOD_QUOTA
        stop.set()
        for t in threads:
            t.join()
        for s in slow:
            s.close()
    times.sort()
    say(f"{len(times)} requests of calm beside a flood of {flood_x:.0f} times its quota and 200 slow connections: "
        f"p50 {times[len(times) // 2] * 1000:.0f} ms, p99 {times[len(times) * 99 // 100] * 1000:.0f} ms")
    assert set(statuses) == {200}
    assert gateway.metric("sluice_gateway_refused_requests_total", tenant="calm") == 0
    assert gateway.metric("sluice_gateway_refused_requests_total", tenant="flood", reason="over_quota") > 20
