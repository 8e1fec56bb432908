"""The check of leased budgets, checked: it must see what it is there for."""
from types import SimpleNamespace

from tests.flow.lease_oracle import ActiveSeries, by_metric
from tests.flow.limit_oracle import Series

T0 = 1_790_000_000_000
STEP = 1000


def batch(partition, at_ms, names, weight=1, received_ms=None, metric="m"):
    series = [Series(name.encode(), metric, "counter", weight, 0, ()) for name in names]
    return SimpleNamespace(partition=partition, append_ms=at_ms, is_heartbeat=False, series=series,
                           row={"tenant": "demo", "source": partition, "received_ms": received_ms or at_ms})


def taken(*all_batches, **options):
    active = ActiveSeries(8 * STEP, **options)
    for b in all_batches:
        active.take(b)
    return active


def test_series_of_all_partitions_count_together():
    active = taken(batch(0, T0, "abc"), batch(1, T0 + 1, "abc"), batch(0, T0 + 2, "ab"))
    assert active.peak("demo") == 6
    assert active.grown_over("demo", 6) == [] and active.grown_over("demo", 5) == [(T0 + 1, 6)]
    assert active.first_at_least("demo", 4) == T0 + 1 and active.first_at_least("demo", 7) is None


def test_room_is_there_again_when_the_step_is_more_than_eight_back():
    still = taken(batch(0, T0, "abc"), batch(1, T0 + 9 * STEP - 1, "de"))
    gone = taken(batch(0, T0, "abc"), batch(1, T0 + 9 * STEP, "de"))
    assert still.grown_over("demo", 3) == [(T0 + 9 * STEP - 1, 5)]
    assert gone.grown_over("demo", 3) == []
    kept = taken(batch(0, T0, "abc"), batch(0, T0 + 5 * STEP, "ab"), batch(1, T0 + 9 * STEP, "de"))
    assert kept.grown_over("demo", 3) == [(T0 + 9 * STEP, 4)]


def test_a_batch_that_came_late_was_seen_when_it_was_received():
    late = taken(batch(0, T0 + 4 * STEP, "abc", received_ms=T0), batch(1, T0 + 9 * STEP, "de"))
    assert late.grown_over("demo", 3) == []


def test_those_that_are_in_stay_when_the_budget_falls():
    active = taken(batch(0, T0, "abcd"), batch(0, T0 + STEP, "abcd"), batch(0, T0 + 2 * STEP, "abcde"))
    assert active.grown_over("demo", 3, T0 + 1) == [(T0 + 2 * STEP, 5)]


def test_weights_and_metrics():
    active = taken(batch(0, T0, "a", weight=13), batch(0, T0, "b", metric="n"), scope_of=by_metric)
    assert active.peak(("demo", "m")) == 13 and active.peak(("demo", "n")) == 1
