"""The profile of Prometheus 2.42."""

from tests.receiver.client import bits_of, request, series
from tests.receiver.kit import CONTENT, HOUR, NOW, key, labels, put, put_histogram


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
