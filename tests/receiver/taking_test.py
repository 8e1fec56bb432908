"""What the double takes, refuses and records: samples, times, labels, limits."""

import pytest

from tests.receiver.client import bits_of, request, series, varint
from tests.receiver.kit import HOUR, NOW, STALE, key, labels, put, refusals


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
