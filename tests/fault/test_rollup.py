"""sluice-rollup under disturbance, over an input that does not change: kill -9, SIGTERM, zombies, joins, leaves, a
broker's death; 12 of them here, tests/soak has the long form. The rows of three disturbed workers are, byte for byte,
those of one undisturbed."""
import os

from tests.fault import counter
from tests.fault.chaos import Chaos
from tests.flow import rollup_check, rollup_logs, rollup_runs
from tests.flow.rollup_logs import T0_MS, Message
from tests.flow.rollup_values import Sample, Series
from tests.flow.stack import wait_for

SESSION_S = 6
PARTITIONS = 12
DISTURBANCES = int(os.environ.get("SLUICE_DISTURBANCES", "12"))
DEATHS = Series("deaths_total", "counter", "delta")


def start(stack, run, name, build="faults", **keys):
    return stack.worker("rollup", name=name, build=build, ready=False, **rollup_runs.keys_of(run, **keys))


def calm_rows(stack):
    worker = start(stack, "calm", "calm")
    rollup_runs.wait_through(stack, "calm")
    worker.stop()
    return rollup_runs.rows_of(stack, "calm")


def test_rows_survive_disturbances(stack3, say):
    stack3.create_topic(rollup_check.ADMITTED, PARTITIONS)
    for run in ("calm", "disturbed"):
        rollup_runs.create_topics(stack3, run, PARTITIONS)
    n_messages = 200 * max(DISTURBANCES, 12)
    messages = rollup_logs.generate(seed=5, n_messages=n_messages, n_servers=24, n_partitions=PARTITIONS)
    rollup_runs.put(stack3, messages, PARTITIONS)
    calm = calm_rows(stack3)
    # Each record takes its time, so that the log lasts.
    slow = {"fault.slow_us": 35000}
    chaos = Chaos(stack3, lambda name: start(stack3, "disturbed", name, **slow), 3, SESSION_S, seed=29,
                  pause_s=(0.5, 1.5))
    chaos.run(DISTURBANCES)
    done = sum(rollup_runs.position(stack3, "disturbed").values())
    left = sum(stack3.ends(rollup_check.ADMITTED).values()) - done
    rollup_runs.wait_through(stack3, "disturbed", 120)
    chaos.finish()
    disturbed = rollup_runs.rows_of(stack3, "disturbed")
    say(f"{sum(map(len, calm.values()))} records of {len(calm)} streams; {left} of the input were left at the end; "
        f"{chaos.summary(counter.metric)}")
    assert rollup_runs.differences(calm, disturbed) == []
    assert sum(map(len, calm.values())) > 300
    assert set(chaos.exit_codes) <= {-9, 0, 3}


# ---- the same check on a small log, with faults that it must see


def one_point(at_s, ts_s, value, source="gs"):
    points = [(DEATHS, Sample(T0_MS + ts_s * 1000, 0, value))]
    return Message(0, T0_MS + at_s * 1000, "demo", source, "standard", points)


def start_runs(stack, runs):
    """{name: worker} of runs ({name: faults}), each with outputs of its own, over the same input."""
    stack.create_topic(rollup_check.ADMITTED, 1)
    for run in ("calm", *runs):
        rollup_runs.create_topics(stack, run, 1)
    return {run: start(stack, run, run, **faults) for run, faults in runs.items()}


def wait_all(stack, runs):
    for run in runs:
        rollup_runs.wait_through(stack, run)


def differences(stack, runs):
    """{run: where it differs from an undisturbed one}"""
    wait_all(stack, runs)
    calm = calm_rows(stack)
    return {run: rollup_runs.differences(calm, rollup_runs.rows_of(stack, run)) for run in runs}


def interleaved(n):
    """old keeps the committed offset back: gs's first rows are out, and what they were made of is read again."""
    return [one_point(0, 0, 1.0, "old")] + [one_point(i, i, 1.0) for i in range(1, n)]


def returning():
    """gs is silent beyond memory, and then sends what is older still."""
    heartbeats = [Message(0, T0_MS + at_s * 1000) for at_s in range(200, 11400, 100)]
    return heartbeats + [one_point(11400, 15, 1.0)] + [one_point(i, i, 1.0) for i in range(11401, 11700, 10)]


def test_a_kill_in_the_middle_and_what_rests_on_each_rule(stack):
    """Where windows closed, and the horizon: left out, each shows; with them nothing does."""
    runs = {"healthy": {}, "no_closed_at": {"fault.no_closed_at": True}, "no_horizon": {"fault.no_horizon": True}}
    workers = start_runs(stack, runs)
    rollup_check.put(stack, interleaved(100), 1)
    wait_all(stack, runs)
    for worker in workers.values():
        worker.process.kill()
    rollup_check.put(stack, [one_point(i, i, 1.0) for i in range(100, 200)] + returning(), 1)
    for worker in workers.values():
        worker.start()
    found = differences(stack, runs)
    assert found["healthy"] == []
    assert found["no_closed_at"] and found["no_horizon"]


def test_rows_that_are_not_visible_yet_are_waited_for(stack):
    """A transaction that somebody leaves open in .1m hides rows which are committed behind it; the workers are killed
    meanwhile. To read their state only to the last stable offset would miss those rows."""
    runs = {"healthy": {}, "to_lso": {"fault.restore_to_lso": True}}
    workers = start_runs(stack, runs)
    log = interleaved(400)
    rollup_check.put(stack, log[:40], 1)
    wait_all(stack, runs)
    hiding = stack.producer(transactional_id="someone-else", transaction_timeout_ms=120000)
    hiding.init_transactions(30)
    hiding.begin_transaction()
    for run in runs:
        hiding.produce(f"{run}.1m", b"never seen", partition=0)
    hiding.flush(30)
    ends = {run: stack.ends(f"{run}.1m")[0] for run in runs}
    rollup_check.put(stack, log[40:200], 1)
    wait_all(stack, runs)
    assert all(stack.ends(f"{run}.1m")[0] > ends[run] for run in runs)
    for worker in workers.values():
        worker.process.kill()
    rollup_check.put(stack, log[200:], 1)
    for worker in workers.values():
        worker.start()
    rollup_runs.wait_through(stack, "to_lso")  # without the rows; the healthy one has its partition, and waits
    wait_for(lambda: workers["healthy"].process.log_text().count('"rebalance"') > 1, 60, "its partition")
    hiding.abort_transaction(30)
    found = differences(stack, runs)
    assert found["healthy"] == []
    assert found["to_lso"]
