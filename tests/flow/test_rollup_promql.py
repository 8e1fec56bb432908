"""What PromQL says of rollups against the truth, in a real and empty Prometheus: of the rows of the worker's step, and of
the oracle's where a rule is left out."""
import dataclasses

import pytest

from deploy.local.places import private_places
from deploy.local.prometheus import Prometheus
from tests.flow import rollup_logs, rollup_oracle, rollup_records, rollup_truth
from tests.flow.rollup_step import step, with_offsets

SEED = 5


@pytest.fixture
def new_prometheus(tmp_path):
    made = []

    def make():
        places = private_places(tmp_path / f"prometheus-{len(made)}")
        places.make()
        made.append(Prometheus(places))
        made[-1].start()
        made[-1].wait_ready()
        return made[-1]

    yield make
    for one in made:
        one.process.kill()


def told_truth(prometheus, world, rows):
    """Problems, when these rows of the world's messages are in this store."""
    rollup_truth.store(prometheus.write_url, [r for r in rows if r.window_ms == rollup_truth.MINUTE_MS])
    return world.problems(prometheus.url)


def step_rows(world):
    ones, _ = step(with_offsets(world.in_order()))
    return [r.row for r in rollup_records.records(ones)]


def oracle_rows(world, rules=rollup_oracle.MINUTES):
    (own,) = rollup_logs.entries(world.in_order()).values()
    return rollup_oracle.rows(own, rules)


@pytest.mark.parametrize("kind", rollup_truth.WORLDS, ids=lambda kind: kind.__name__)
def test_rollups_tell_the_truth(new_prometheus, kind, say):
    world = kind(SEED)
    assert told_truth(new_prometheus(), world, step_rows(world)) == []
    if kind is rollup_truth.Resets:
        assert len(world.truth) >= 300
        say(f"{len(world.truth)} counters: increase(hits_total:1m[1h]) is {world.ratio:.6f} of the truth")


@pytest.mark.parametrize("kind, rule", [
    (rollup_truth.Resets, "reset_by_fall"), (rollup_truth.Resets, "reset_by_start"), (rollup_truth.Resets, "lateness"),
    (rollup_truth.Latencies, "reset_by_start"), (rollup_truth.Silence, "born_within_the_horizon"),
    (rollup_truth.Birth, "born_counts_whole")],
    ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_rollups_that_leave_out_a_rule_do_not(new_prometheus, kind, rule):
    world = kind(SEED)
    rows = oracle_rows(world, dataclasses.replace(rollup_oracle.MINUTES, without=rule))
    assert told_truth(new_prometheus(), world, rows)
