"""sluice-rollup under disturbance, over an input that does not change: kill -9, SIGTERM, zombies, joins, leaves, a broker's death;
12 of them here, tests/soak has the long form. The rows of three disturbed workers are, byte for byte, those of one undisturbed."""
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


def make_topics(stack, partitions=1):
    stack.create_topic(rollup_check.ADMITTED, partitions)
    for run in ("calm", "disturbed"):
        rollup_runs.create_topics(stack, run, partitions)


def calm_rows(stack, **keys):
    worker = start(stack, "calm", "calm", **keys)
    rollup_runs.wait_through(stack, "calm")
    worker.stop()
    return rollup_runs.rows_of(stack, "calm")


def test_rows_survive_disturbances(stack3, say):
    make_topics(stack3, PARTITIONS)
    messages = rollup_logs.generate(seed=5, n_messages=200 * max(DISTURBANCES, 12), n_servers=24, n_partitions=PARTITIONS)
    rollup_runs.put(stack3, messages, PARTITIONS)
    calm = calm_rows(stack3)
    # Each record takes its time, so that the log lasts.
    chaos = Chaos(stack3, lambda name: start(stack3, "disturbed", name, **{"fault.slow_us": 30000}), 3, SESSION_S, seed=29,
                  pause_s=(0.5, 1.5))
    chaos.run(DISTURBANCES)
    rollup_runs.wait_through(stack3, "disturbed", 120)
    chaos.finish()
    disturbed = rollup_runs.rows_of(stack3, "disturbed")
    say(f"{sum(map(len, calm.values()))} records of {len(calm)} streams; {chaos.summary(counter.metric)}")
    assert rollup_runs.differences(calm, disturbed) == []
    assert sum(map(len, calm.values())) > 300
    assert set(chaos.exit_codes) <= {-9, 0, 3}


# ---- the same check, with faults that it must see


def kill_in_the_middle(stack, messages, n_first, **keys):
    """The disturbed run over messages, killed when it has done the first ones."""
    rollup_check.put(stack, messages[:n_first], 1)
    worker = start(stack, "disturbed", "disturbed", **keys)
    rollup_runs.wait_through(stack, "disturbed")
    worker.process.kill()
    rollup_check.put(stack, messages[n_first:], 1)
    worker.start()
    return worker


def one_point(at_s, ts_s, value, source="gs"):
    return Message(0, T0_MS + at_s * 1000, "demo", source, "standard", [(DEATHS, Sample(T0_MS + ts_s * 1000, 0, value))])


def differences_under(stack, messages, n_first, **keys):
    make_topics(stack)
    kill_in_the_middle(stack, messages, n_first, **keys)
    rollup_runs.wait_through(stack, "disturbed")
    return rollup_runs.differences(calm_rows(stack, **keys), rollup_runs.rows_of(stack, "disturbed"))


def interleaved():
    """gs leads, old keeps the committed offset back: gs's rows are emitted, and its input is read again."""
    log = [one_point(0, 0, 1.0, "old")]
    for i in range(1, 100):
        log.append(one_point(i, i, 1.0))
    return log + [one_point(i, i, 1.0) for i in range(100, 400)]


def test_a_kill_in_the_middle_changes_nothing(stack):
    assert differences_under(stack, interleaved(), 100) == []


def test_a_row_that_does_not_say_where_it_closed_shows(stack):
    assert differences_under(stack, interleaved(), 100, **{"fault.no_closed_at": True})


def returning():
    """A source that is silent beyond memory, and then sends what is older still."""
    log = [one_point(i, i, 1.0) for i in range(0, 200, 10)]
    log += [Message(0, T0_MS + at_s * 1000) for at_s in range(300, 11400, 100)]
    return log, [one_point(11400, 15, 1.0)] + [one_point(i, i, 1.0) for i in range(11401, 11700, 10)]


def test_a_missing_horizon_shows(stack):
    first, rest = returning()
    assert differences_under(stack, first + rest, len(first), **{"fault.no_horizon": True})


def hidden_rows(stack, **keys):
    """A transaction that is left open in .1m hides rows which are committed behind it: for a while read_committed shows them to
    nobody. The worker is killed meanwhile. What the run differs by, in the end."""
    make_topics(stack)
    rollup_check.put(stack, interleaved()[:40], 1)
    worker = start(stack, "disturbed", "disturbed", **keys)
    rollup_runs.wait_through(stack, "disturbed")
    hiding = stack.producer(transactional_id="someone-else", transaction_timeout_ms=60000)
    hiding.init_transactions(30)
    hiding.begin_transaction()
    hiding.produce("disturbed.1m", b"never seen", partition=0)
    hiding.flush(30)
    end = stack.ends("disturbed.1m")[0]
    rollup_check.put(stack, interleaved()[40:200], 1)
    rollup_runs.wait_through(stack, "disturbed")
    assert stack.ends("disturbed.1m")[0] > end
    worker.process.kill()
    rollup_check.put(stack, interleaved()[200:], 1)
    worker.start()
    if keys:
        before = rollup_runs.position(stack, "disturbed")
        wait_for(lambda: rollup_runs.position(stack, "disturbed") != before, 60, "a recovery without the rows")
    else:
        wait_for(lambda: worker.process.log_text().count('"rebalance"') > 1, 60, "its partition")
    hiding.abort_transaction(30)
    rollup_runs.wait_through(stack, "disturbed")
    return rollup_runs.differences(calm_rows(stack), rollup_runs.rows_of(stack, "disturbed"))


def test_rows_that_are_not_visible_yet_are_waited_for(stack):
    assert hidden_rows(stack) == []


def test_state_read_to_the_last_stable_offset_alone_shows(stack):
    assert hidden_rows(stack, **{"fault.restore_to_lso": True})
