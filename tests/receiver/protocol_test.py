"""What the double holds to be against the protocol, and what may be under way at once."""

import socket
import time

import pytest

from tests.receiver.client import histogram, request, series, snappy_block
from tests.receiver.kit import NOW, in_background, labels, put, wait_until


@pytest.mark.parametrize("headers, status", [
    ({"Content-Encoding": "gzip"}, 415),
    ({"Content-Encoding": None}, 415),
    ({"Content-Type": "application/json"}, 415),
    ({"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}, 415),
    ({"X-Prometheus-Remote-Write-Version": "2.0.0"}, 200),
    ({"X-Prometheus-Remote-Write-Version": None}, 200),
    ({"User-Agent": None}, 200),
])
def test_headers(start, headers, status):
    receiver = start()
    answer = receiver.write(request(series(labels(), [(NOW, 1)])), headers=headers)
    assert answer.status == status
    v2 = "v2" in str(headers)
    assert receiver.stats()["violations"].get("header", 0) == (0 if v2 else 1)


def test_framed_or_broken_snappy_is_a_clear_400(start):
    receiver = start()
    answer = receiver.post_raw(b"\xff\x06\x00\x00sNaPpY" + b"\x00" * 8)
    assert answer.status == 400 and b"framed" in answer.body
    assert receiver.post_raw(b"\x0a\xf4").status == 400
    assert receiver.post_raw(b"").status == 400
    assert receiver.stats()["violations"] == {"snappy": 3}


def test_every_prefix_of_a_request_is_taken_or_refused(start):
    receiver = start()
    whole = request(series(labels(a="b"), [(NOW, 1)],
                           [histogram(NOW + 1, 2, positive=[(0, 3), (4, 1)], total=5.0)]))
    refused = 0
    for n in range(len(whole)):
        status = receiver.write(whole[:n]).status
        assert status in (200, 400)
        refused += status == 400
    assert refused > len(whole) // 2
    assert receiver.write(whole).status == 200


def test_unsorted_samples_are_a_violation(start):
    receiver = start()
    assert put(receiver, (NOW + 1, 1), (NOW, 2)).status == 200
    counts = receiver.stats()["violations"]
    assert counts["samples_unsorted"] == 1 and counts["late"] == 1
    assert any("samples_unsorted" in text and "up" in text for text in receiver.violations()["texts"])


def test_late_samples_are_a_violation_but_redeliveries_are_not(start):
    receiver = start()
    put(receiver, (NOW, 1), (NOW + 10, 2))
    put(receiver, (NOW, 1))
    assert receiver.stats()["violations_total"] == 0
    put(receiver, (NOW + 5, 3))
    put(receiver, (NOW - 70_000, 3))
    assert receiver.stats()["violations"] == {"late": 2}
    assert receiver.series()[0]["late"] == 1 and receiver.series()[0]["refused"] == 1


@pytest.mark.parametrize("zone, clashes", [("a", 1), ("b", 0)])
def test_two_requests_of_one_series_in_flight(start, zone, clashes):
    receiver = start(plan=[{"delay_ms": 600}])
    thread = in_background(put, receiver, (NOW, 1), zone="a")
    wait_until(lambda: receiver.stats()["in_flight"] == 1)
    assert put(receiver, (NOW + 1, 1), zone=zone).status == 200
    thread.join()
    stats = receiver.stats()
    assert stats["violations"].get("in_flight", 0) == clashes and stats["max_in_flight"] == 2


def begin_write(receiver, body):
    """A connection whose headers are there, but not its body."""
    sock = socket.create_connection((receiver.host, receiver.port))
    sock.sendall(b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Encoding: snappy\r\n"
                 b"Content-Type: application/x-protobuf\r\nUser-Agent: x\r\n"
                 b"X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: %d\r\n\r\n"
                 % len(body))
    time.sleep(0.1)
    return sock


def test_a_request_that_began_before_the_answer_is_in_flight(start):
    receiver = start(plan=[{"delay_ms": 400}])
    body = snappy_block(request(series(labels(), [(NOW + 1, 1)])))
    thread = in_background(put, receiver, (NOW, 1))
    wait_until(lambda: receiver.stats()["in_flight"] == 1)
    with begin_write(receiver, body) as sock:
        thread.join()
        sock.sendall(body)
        assert b" 200 " in sock.recv(100)
    assert receiver.stats()["violations"] == {"in_flight": 1}


def test_a_request_given_up_by_its_sender_is_not_in_flight(start):
    receiver = start(plan=[{"hang_ms": 20_000}])
    body = snappy_block(request(series(labels(), [(NOW, 1)])))
    thread = in_background(receiver.post_raw, body, timeout_s=0.5)
    wait_until(lambda: receiver.stats()["in_flight"] == 1)
    with begin_write(receiver, body) as sock:
        thread.join()
        wait_until(lambda: receiver.stats()["in_flight"] == 0)
        sock.sendall(body)
        assert b" 200 " in sock.recv(100)
    assert receiver.stats()["violations_total"] == 0
