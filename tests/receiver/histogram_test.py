"""Native histograms, as content and as digest."""

import pytest
import xxhash

from tests.receiver.client import canonical, field, histogram, request, series, varint
from tests.receiver.kit import CONTENT, NOW, key, labels, put, put_histogram, refusals


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
