"""Planned misbehaviour."""

import http.client
import time

import pytest

from tests.receiver.client import request, series
from tests.receiver.kit import NOW, key, labels, put


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
