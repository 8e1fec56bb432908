"""The double itself: every rule, every planned misbehaviour, what it records. Requests are encoded
by hand in client.py, so that neither sluice's encoder nor protobuf-c judges itself."""

import http.client
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
import xxhash

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from client import (Receiver, binary_path, bits_of, canonical, field, histogram, request, series,
                    snappy_block, varint)

NOW = 1_800_000_000_000
HOUR = 3_600_000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def labels(name="up", **more):
    return {"__name__": name, **more}


def key(name="up", **more):
    return tuple(sorted(labels(name, **more).items()))


@pytest.fixture
def start():
    running = []

    def begin(**options):
        options["rules"] = {"now_ms": NOW, **options.get("rules", {})}
        running.append(Receiver(**options))
        return running[-1]

    yield begin
    for receiver in running:
        receiver.stop()


def put(receiver, *samples, name="up", **more):
    return receiver.write(request(series(labels(name, **more), samples)))


def refusals(receiver):
    return [(line["reason"], line["t"], line["stored"]) for line in receiver.refused()]


# Taking


def test_takes_and_gives_back_every_bit(start):
    receiver = start()
    values = [0.0, -0.0, 1.5, float("inf"), float("-inf"), 5e-324, STALE]
    answer = put(receiver, *[(NOW + i, value) for i, value in enumerate(values)], job="a\"\\\n√")
    assert (answer.status, answer.body) == (200, b"")
    points = receiver.dump()[key(job="a\"\\\n√")]
    assert [points[NOW + i].bits for i in range(len(values))] == [bits_of(v) for v in values]
    assert {p.times for p in points.values()} == {1} and {p.request for p in points.values()} == {1}
    stats = receiver.stats()
    assert (stats["samples_received"], stats["samples_accepted"]) == (7, 7)
    assert (stats["requests"], stats["active_series"], stats["violations_total"]) == (1, 1, 0)


def test_counts_redeliveries_and_keeps_the_first_request(start):
    receiver = start()
    for _ in range(3):
        assert put(receiver, (NOW, 1), (NOW + 1, 2)).status == 200
    points = receiver.dump()[key()]
    assert [(p.times, p.request) for p in points.values()] == [(3, 1), (3, 1)]
    stats = receiver.stats()
    assert (stats["samples_accepted"], stats["duplicates_same_value"]) == (2, 4)
    assert receiver.samples()[0]["times"] == 3


def test_an_empty_request_is_fine(start):
    assert start().write(b"").status == 200


def test_match_selects_series(start):
    receiver = start()
    for zone in "abc":
        put(receiver, (NOW, 1), zone=zone)
    assert list(receiver.dump(match='zone="[ab]"')) == [key(zone="a"), key(zone="b")]
    assert [line["labels"]["zone"] for line in receiver.series(match='zone="c"')] == ["c"]
    assert receiver.call("GET", "/dump", match="(").status == 400


def test_a_large_dump_is_whole(start):
    receiver = start(rules={"max_sample_age_ms": 0, "max_future_ms": 0})
    n_series, n_points = 300, 100
    body = request(*[series(labels(n=str(i)), [(NOW + j, i * 1000 + j) for j in range(n_points)])
                     for i in range(n_series)])
    assert receiver.write(body).status == 200
    dump = receiver.dump()
    assert len(dump) == n_series
    for i in range(n_series):
        points = dump[key(n=str(i))]
        assert {t: p.bits for t, p in points.items()} == {
            NOW + j: bits_of(i * 1000 + j) for j in range(n_points)}


def test_reset_forgets_all_but_the_rules(start):
    receiver = start(rules={"max_series": 5})
    put(receiver, (NOW, 1), (NOW - 2 * HOUR, 1))
    receiver.reset()
    stats = receiver.stats()
    assert (stats["requests"], stats["series"], stats["refused_total"]) == (0, 0, 0)
    assert receiver.dump() == {} and receiver.refused() == [] and receiver.rules()["max_series"] == 5


# The rules of time


@pytest.mark.parametrize("rules, samples, reason", [
    ({}, [(NOW, 1), (NOW - 60_000, 2)], None),
    ({}, [(NOW, 1), (NOW - 60_001, 2)], "sample-too-old"),
    ({"out_of_order_ms": 5}, [(NOW, 1), (NOW - 6, 2)], "sample-too-old"),
    ({"out_of_order_ms": 0}, [(NOW, 1), (NOW - 1, 2)], "sample-out-of-order"),
    ({}, [(NOW - HOUR, 1)], None),
    ({}, [(NOW - HOUR - 1, 1)], "greater_than_max_sample_age"),
    ({"max_sample_age_ms": 0}, [(0, 1)], None),
    ({}, [(NOW + 600_000, 1)], None),
    ({}, [(NOW + 600_001, 1)], "too_far_in_future"),
    ({}, [(NOW, 1), (NOW, 2)], "new-value-for-timestamp"),
    ({}, [(NOW, 1), (NOW, 1)], None),
    ({"refuse_same_value": 1}, [(NOW, 1), (NOW, 1)], "duplicate-sample"),
    ({}, [(NOW - 5, 1), (NOW, 1), (NOW - 5, 2)], "new-value-for-timestamp"),
    ({"hide_old_new_value": 1}, [(NOW - 5, 1), (NOW, 1), (NOW - 5, 2)], None),
])
def test_time_rules(start, rules, samples, reason):
    receiver = start(rules=rules)
    answers = [put(receiver, sample, a="b") for sample in samples]
    assert [a.status for a in answers[:-1]] == [200] * (len(samples) - 1)
    if reason is None:
        assert answers[-1].status == 200 and receiver.refused() == []
    else:
        assert answers[-1].status == 400
        assert [r[:2] for r in refusals(receiver)] == [(reason, samples[-1][0])]
        assert receiver.stats()["refused"] == {reason: 1}


def test_the_window_counts_from_the_stores_newest_sample(start):
    receiver = start()
    put(receiver, (NOW, 1), zone="ahead")
    assert put(receiver, (NOW - 70_000, 1), zone="behind").status == 200
    # In order for its series, but its older neighbour falls out of the window:
    assert put(receiver, (NOW - 70_001, 1), zone="behind").status == 400
    receiver.set_rules(window_from_series=True)
    assert put(receiver, (NOW - 70_002, 1), zone="behind").status == 200


def test_a_refusal_names_reason_time_and_series(start):
    receiver = start()
    put(receiver, (NOW, 1), a="b")
    body = put(receiver, (NOW - 70_123, 1), a="b").body.decode()
    assert "too old sample" in body and '{__name__="up", a="b"}' in body
    assert "timestamp=2027-01-15T07:58:49.877Z" in body


def test_a_redelivery_outside_the_window_is_refused_but_there(start):
    receiver = start()
    put(receiver, (NOW - 100_000, 1), (NOW, 2))
    assert put(receiver, (NOW - 100_000, 1)).status == 400
    assert refusals(receiver) == [("sample-too-old", NOW - 100_000, True)]
    assert receiver.dump()[key()][NOW - 100_000].times == 2
    stats = receiver.stats()
    assert stats["refused_redelivered"] == 1 and stats["violations_total"] == 0


def test_keep_good_keeps_the_rest(start):
    receiver = start()
    put(receiver, (NOW, 1))
    body = request(series(labels(), [(NOW - 70_000, 9), (NOW + 1, 2)]),
                   series(labels("other"), [(NOW, 3)]))
    assert receiver.write(body).status == 400
    assert set(receiver.dump()[key()]) == {NOW, NOW + 1} and key("other") in receiver.dump()


def test_keep_good_off_leaves_no_trace(start):
    receiver = start(rules={"keep_good": 0})
    put(receiver, (NOW, 1))
    body = request(series(labels("before"), [(NOW, 3)]),
                   series(labels(), [(NOW - 70_000, 9), (NOW + 1, 2)]),
                   series(labels("other"), [(NOW, 3)]))
    assert receiver.write(body).status == 400
    assert receiver.dump().keys() == {key()} and set(receiver.dump()[key()]) == {NOW}
    stats = receiver.stats()
    assert (stats["dropped_with_request"], stats["refused_total"], stats["active_series"]) == (3, 1, 1)


# Labels


@pytest.mark.parametrize("pairs, reason", [
    ([("__name__", "up"), ("a", "1"), ("b", "2")], None),
    ([("__name__", "up"), ("b", "2"), ("a", "1")], "labels_not_sorted"),
    ([("__name__", "up"), ("a", "1"), ("a", "2")], "duplicate_label_names"),
    ([("__name__", "up"), ("a", "")], "label_empty"),
    ([("", "x"), ("__name__", "up")], "label_empty"),
    ([("a", "1")], "missing_metric_name"),
    ([], "missing_metric_name"),
    ([("__name__", "a:b")], None),
    ([("__name__", "a-b")], "metric_name_invalid"),
    ([("__name__", "up"), ("a:b", "1")], "label_invalid"),
    ([("__name__", "up"), ("1a", "1")], "label_not_sorted_or_invalid"),
    ([("__name__", "up"), ("a", b"\xff\xfe")], "label_not_utf8"),
    ([("__name__", "up"), ("a", "x" * 2049)], "label_value_too_long"),
    ([("__name__", "up"), ("a" * 1025, "x")], "label_name_too_long"),
    ([("__name__", "up")] + [(f"l{i:02}", "x") for i in range(70)], "max_label_names_per_series"),
])
def test_label_rules(start, pairs, reason):
    receiver = start()
    good = series(labels("good"), [(NOW, 1)])
    answer = receiver.write(request(series(pairs, [(NOW, 1)]), good))
    if reason is None:
        assert answer.status == 200
        return
    if reason == "label_not_sorted_or_invalid":
        reason = "label_invalid"
    assert answer.status == 400 and receiver.dump().keys() == {key("good")}
    assert [line["reason"] for line in receiver.refused()] == [reason]
    protocol = reason in ("labels_not_sorted", "duplicate_label_names", "label_empty",
                          "missing_metric_name", "metric_name_invalid", "label_invalid",
                          "label_not_utf8")
    assert receiver.stats()["violations"].get("labels", 0) == protocol


# Limits


def test_series_limit_is_an_empty_400_for_the_whole_request(start):
    receiver = start(rules={"max_series": 2})
    for zone in "ab":
        assert put(receiver, (NOW, 1), zone=zone).status == 200
    body = request(series(labels(zone="a"), [(NOW + 1, 1)]), series(labels(zone="c"), [(NOW, 1)]))
    answer = receiver.write(body)
    assert (answer.status, answer.body) == (400, b"")
    assert set(receiver.dump()[key(zone="a")]) == {NOW} and len(receiver.dump()) == 2
    assert put(receiver, (NOW + 1, 1), zone="a").status == 200
    receiver.set_rules(max_series=3)
    assert put(receiver, (NOW, 1), zone="c").status == 200


def test_series_limit_partial_keeps_known_series(start):
    receiver = start(rules={"max_series": 2, "series_limit_partial": 1})
    put(receiver, (NOW, 1), zone="a")
    body = request(*[series(labels(zone=zone), [(NOW + 1, 1), (NOW + 2, 2)]) for zone in "cda"])
    answer = receiver.write(body)
    assert (answer.status, answer.body) == (400, b"")
    dump = receiver.dump()
    assert dump.keys() == {key(zone="a"), key(zone="c")}
    assert set(dump[key(zone="a")]) == {NOW, NOW + 1, NOW + 2}
    assert receiver.stats()["refused"] == {"per_user_series_limit": 2}


def test_rate_limit_gives_429_and_retry_after(start):
    receiver = start(rules={"samples_per_s": 1, "burst_samples": 3, "retry_after_s": 7})
    assert put(receiver, *[(NOW + i, 1) for i in range(3)]).status == 200
    answer = put(receiver, *[(NOW + 10 + i, 1) for i in range(2)])
    assert answer.status == 429 and answer.headers["Retry-After"] == "7"
    assert len(receiver.dump()[key()]) == 3 and receiver.stats()["unstored"] == 2
    receiver.set_rules(retry_after_s=-1)
    assert "Retry-After" not in put(receiver, (NOW + 10, 1), (NOW + 11, 1)).headers


def test_body_limits_give_413(start):
    receiver = start(rules={"max_body_bytes": 1000, "max_decoded_bytes": 500})
    assert put(receiver, (NOW, 1)).status == 200
    assert put(receiver, (NOW, 1), a="x" * 600).status == 413
    assert put(receiver, (NOW, 1), a="x" * 1200).status == 413
    assert receiver.post_raw(varint(0xFFFFFFFF) + b"\x00" * 10).status == 413


# The protocol


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


def in_background(function, *args, **kwargs):
    def run():
        try:
            function(*args, **kwargs)
        except OSError:
            pass
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_until(condition, timeout_s=5):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


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


# Misbehaviour


def test_planned_status_and_then_honest_again(start):
    receiver = start(plan=[{"status": 503, "times": 2, "body": "go away"},
                           {"status": 429, "retry_after_s": 1}])
    answers = [put(receiver, (NOW, 1)) for _ in range(3)]
    assert [a.status for a in answers] == [503, 503, 429] and answers[0].body == b"go away"
    assert answers[2].headers["Retry-After"] == "1" and receiver.dump() == {}
    assert receiver.stats()["unstored"] == 3
    time.sleep(1)
    assert put(receiver, (NOW, 1)).status == 200
    assert receiver.stats()["violations_total"] == 0
    assert [(step["times_left"], step["hits"]) for step in receiver.plan()] == [(0, 2), (0, 1)]
    log = receiver.requests()
    assert [r["status"] for r in log] == [503, 503, 429, 200]
    assert [r["planned"] for r in log] == [True, True, True, False]
    assert log[3]["start_ms"] - log[2]["end_ms"] >= 1000


def test_coming_back_before_retry_after_is_a_violation(start):
    receiver = start(plan=[{"status": 429, "retry_after_s": 5}])
    put(receiver, (NOW, 1))
    put(receiver, (NOW, 1), zone="other")
    assert receiver.stats()["violations_total"] == 0
    put(receiver, (NOW, 1))
    assert receiver.stats()["violations"] == {"retry_too_early": 1}


def test_a_lost_answer_stores_all_the_same(start):
    receiver = start(plan=[{"status": 500, "store": True}])
    assert put(receiver, (NOW, 1)).status == 500
    assert put(receiver, (NOW, 1)).status == 200
    assert receiver.dump()[key()][NOW].times == 2


def test_a_lying_2xx_loses(start):
    receiver = start(plan=[{"status": 204}])
    assert put(receiver, (NOW, 1)).status == 204
    assert receiver.dump() == {} and receiver.stats()["unstored"] == 1


def test_match_skip_and_min_samples(start):
    receiver = start(plan=[
        {"match": 'zone="bad"', "status": 400, "times": -1},
        {"min_samples": 3, "status": 413, "times": -1},
        {"match": 'zone="later"', "skip": 1, "status": 503},
    ])
    bad = series(labels(zone="bad"), [(NOW, 1)])
    good = series(labels(zone="good"), [(NOW, 1)])
    assert receiver.write(request(good, bad)).status == 400
    assert receiver.write(request(bad)).status == 400
    assert receiver.write(request(good)).status == 200
    assert put(receiver, *[(NOW + i, 1) for i in range(3)], zone="good").status == 413
    assert [put(receiver, (NOW + i, 1), zone="later").status for i in range(3)] == [200, 503, 200]


@pytest.mark.parametrize("store", [False, True])
def test_reset_closes_the_connection_after_the_body(start, store):
    receiver = start(plan=[{"reset": True, "store": store}])
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        put(receiver, (NOW, 1))
    assert bool(receiver.dump()) == store
    assert put(receiver, (NOW, 1)).status == 200
    assert receiver.stats()["status"] == {"closed": 1, "200": 1}


def test_delay_and_hang_take_their_time(start):
    receiver = start(plan=[{"delay_ms": 300}, {"hang_ms": 300}])
    began = time.monotonic()
    assert put(receiver, (NOW, 1)).status == 200
    assert time.monotonic() - began >= 0.3
    began = time.monotonic()
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        put(receiver, (NOW + 1, 1))
    assert time.monotonic() - began >= 0.3
    assert set(receiver.dump()[key()]) == {NOW}


def test_latency_rule(start):
    receiver = start(rules={"latency_ms": 200})
    began = time.monotonic()
    put(receiver, (NOW, 1))
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("plan", [
    {"status": 503}, [{"statuss": 503}], [{"status": "503"}], [{"status": 99}], [{"match": "("}],
    [{"action": "explode"}], [3],
])
def test_a_bad_plan_is_refused_and_the_old_one_stays(start, plan):
    receiver = start(plan=[{"status": 503}])
    with pytest.raises(ValueError):
        receiver.set_plan(plan)
    assert put(receiver, (NOW, 1)).status == 503


def test_bad_rules_are_refused(start):
    receiver = start()
    for rules in ({"no_such": 1}, {"max_series": "x"}):
        with pytest.raises(ValueError):
            receiver.set_rules(**rules)


# Native histograms

CONTENT = {"schema": 3, "positive": [(-2, 4), (-1, 1), (5, 7)], "negative": [(0, 2)],
           "zero_count": 3, "zero_threshold": 0.001, "total": 12.25}


def put_histogram(receiver, t_ms=NOW, name="h", **content):
    return receiver.write(request(series(labels(name), histograms=[histogram(t_ms, **content)])))


@pytest.mark.parametrize("is_float", [False, True])
def test_histogram_content_and_digest(start, is_float):
    receiver = start(keep_histograms=True)
    assert put_histogram(receiver, is_float=is_float, **CONTENT).status == 200
    point = receiver.dump(histograms=True)[key("h")][NOW]
    assert point.is_histogram
    assert point.bits == xxhash.xxh3_64_intdigest(canonical(is_float=is_float, **CONTENT))
    assert point.histogram == {
        "float": is_float, "schema": 3, "zero_threshold": 0.001, "zero_count": 3, "count": 17,
        "sum": "12.25", "positive": [[-2, 4], [-1, 1], [5, 7]], "negative": [[0, 2]]}
    assert receiver.samples()[0]["histogram"] == point.histogram
    assert receiver.stats()["histograms_accepted"] == 1


def test_equal_buckets_are_equal_however_laid_out(start):
    receiver = start()
    assert put_histogram(receiver, **CONTENT).status == 200
    assert put_histogram(receiver, span_gap=3, **CONTENT).status == 200
    assert receiver.dump()[key("h")][NOW].times == 2


@pytest.mark.parametrize("change", [
    {"positive": [(-2, 4), (-1, 1), (6, 7)]}, {"positive": [(-2, 4), (-1, 2), (5, 6)]},
    {"zero_count": 4}, {"total": 12.5}, {"schema": 2}, {"negative": []},
    {"zero_threshold": 0.002}, {"is_float": True},
])
def test_another_content_is_another_value(start, change):
    receiver = start()
    put_histogram(receiver, **CONTENT)
    assert put_histogram(receiver, **{**CONTENT, **change}).status == 400
    assert [r[0] for r in refusals(receiver)] == ["new-value-for-timestamp"]


@pytest.mark.parametrize("change, reason", [
    ({"schema": 9}, "native_histogram_invalid_schema"),
    ({"schema": -5}, "native_histogram_invalid_schema"),
    ({"schema": 8}, None),
    ({"schema": -4}, None),
    ({"schema": -53, "custom_values": (1.0,)}, "native_histogram_invalid_schema"),
    ({"custom_values": (1.0,)}, "native_histogram_invalid_schema"),
    ({"count": 18}, "native_histogram_invalid"),
    ({"count": 16}, "native_histogram_invalid"),
    ({"positive": [(0, 4), (1, -1)], "count": 8}, "native_histogram_invalid"),
    ({"count": 30, "total": float("nan")}, None),
    ({"positive": [(i, 1) for i in range(21)]}, "native_histogram_buckets_exceeded"),
])
def test_histogram_rules(start, change, reason):
    receiver = start(rules={"max_buckets": 20})
    answer = put_histogram(receiver, **{**CONTENT, **change})
    assert answer.status == (200 if reason is None else 400)
    assert [r[0] for r in refusals(receiver)] == ([] if reason is None else [reason])


def test_spans_that_do_not_fit_the_buckets_are_refused(start):
    receiver = start()
    wire = histogram(NOW, 0, positive=[(0, 1)]) + field(11, varint(1 << 3) + varint(0)
                                                        + varint(2 << 3) + varint(0xFFFFFFFF))
    assert receiver.write(request(series(labels("h"), histograms=[wire]))).status == 400
    assert receiver.stats()["violations"] == {"histogram": 1}


def test_scalar_and_histogram_at_one_time_clash(start):
    receiver = start()
    put(receiver, (NOW, 1), name="h")
    assert put_histogram(receiver, **CONTENT).status == 400


def test_histograms_use_the_window(start):
    receiver = start()
    put_histogram(receiver, NOW, **CONTENT)
    assert put_histogram(receiver, NOW - 1, **CONTENT).status == 200
    receiver.set_rules(histograms_out_of_order=False)
    assert put_histogram(receiver, NOW - 2, **CONTENT).status == 400


# Prometheus 2.42


def test_prometheus_answers_500_to_too_old_samples_and_drops_all(start):
    receiver = start(profile="prometheus")
    assert put(receiver, (NOW, 1)).status == 204
    body = request(series(labels("other"), [(NOW, 1)]), series(labels(), [(NOW - 60_001, 1)]))
    answer = receiver.write(body)
    assert (answer.status, answer.body) == (500, b"too old sample\n")
    receiver.set_rules(out_of_order_ms=0)
    answer = put(receiver, (NOW - HOUR - 1, 1))
    assert (answer.status, answer.body) == (500, b"out of bounds\n")
    answer = put(receiver, (NOW - 1, 1))
    assert (answer.status, answer.body) == (400, b"out of order sample\n")
    assert receiver.dump().keys() == {key()}


def test_prometheus_answers_500_to_duplicate_labels_and_400_to_late_histograms(start):
    receiver = start(profile="prometheus")
    pairs = [("__name__", "up"), ("a", "1"), ("a", "1")]
    assert receiver.write(request(series(pairs, [(NOW, 1)]))).status == 500
    put_histogram(receiver, NOW, **CONTENT)
    answer = put_histogram(receiver, NOW - 1, **CONTENT)
    assert (answer.status, answer.body) == (400, b"out of order sample\n")


def test_prometheus_hides_duplicates_behind_the_newest(start):
    receiver = start(profile="prometheus")
    put(receiver, (NOW, 1), (NOW + 1, 2))
    assert put(receiver, (NOW, 99)).status == 204
    assert receiver.dump()[key()][NOW].bits == bits_of(1)
    assert receiver.stats()["hidden_new_values"] == 1
    answer = put(receiver, (NOW + 1, 99))
    assert (answer.status, answer.body) == (400, b"duplicate sample for timestamp\n")


# The process


@pytest.mark.parametrize("threads", [1, 2])
def test_count_mode_counts(threads):
    with Receiver(count_only=True, threads=threads) as receiver:
        body = request(series(labels(a="1"), [(1, 1), (2, 2)]),
                       series(labels(a="2"), histograms=[histogram(1, 0, positive=[(0, 1)])]))

        def send():
            for _ in range(50):
                assert receiver.write(body).status == 200

        workers = [threading.Thread(target=send) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert receiver.write(body[:-1]).status == 400
        assert receiver.post_raw(b"\x0a\xf4").status == 400
        stats = receiver.stats()
        assert (stats["requests"], stats["bad"]) == (202, 2)
        assert stats["samples_received"] == 400 and stats["histograms_received"] == 200
        assert stats["series_received"] == 400
        with pytest.raises(ValueError):
            receiver.set_plan([])
        assert receiver.stop()["samples_received"] == 400


def test_parallel_senders_lose_nothing(start):
    receiver = start(rules={"max_sample_age_ms": 0, "max_future_ms": 0})

    def send(worker):
        for i in range(50):
            body = request(*[series(labels(w=str(worker), n=str(n)), [(NOW + i, i)])
                             for n in range(20)])
            assert receiver.write(body).status == 200

    workers = [threading.Thread(target=send, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    stats = receiver.stats()
    assert stats["samples_accepted"] == 4 * 50 * 20 and stats["violations_total"] == 0
    assert all(len(points) == 50 for points in receiver.dump().values())


def test_it_ends_at_once_in_spite_of_a_hanging_request(start):
    receiver = Receiver(plan=[{"hang_ms": 60_000}])
    thread = in_background(put, receiver, (NOW, 1))
    wait_until(lambda: receiver.stats()["in_flight"] == 1)
    began = time.monotonic()
    receiver.stop()
    thread.join()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("arguments, word", [
    (["--profile", "nope"], "nope"), (["--set", "nope=1"], "nope"), (["--set", "max_series=x"], "x"),
    (["--port", "70000"], "port"), (["--nope"], "--nope"), (["stray"], "stray"),
    (["--plan", "/nonexistent"], "/nonexistent"), (["--address", "nowhere"], "nowhere"),
])
def test_bad_arguments_exit_2_with_the_reason(arguments, word):
    done = subprocess.run([binary_path(), *arguments], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and word in done.stderr and done.stdout == ""


def test_a_port_in_use_is_told(start):
    receiver = start()
    done = subprocess.run([binary_path(), "--port", str(receiver.port)], capture_output=True,
                          text=True, timeout=10)
    assert done.returncode == 2 and str(receiver.port) in done.stderr


def test_plan_and_port_files(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([{"status": 503}]))
    port = tmp_path / "port"
    process = subprocess.Popen([binary_path(), "--plan", str(plan), "--port-file", str(port)],
                               stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.strip().endswith(":" + port.read_text().strip())
        connection = http.client.HTTPConnection("127.0.0.1", int(port.read_text()), timeout=10)
        connection.request("GET", "/plan")
        assert json.loads(connection.getresponse().read())[0]["status"] == 503
        connection.close()
    finally:
        os.kill(process.pid, signal.SIGTERM)
        out, _ = process.communicate(timeout=10)
    assert process.returncode == 0 and json.loads(out)["requests"] == 0
