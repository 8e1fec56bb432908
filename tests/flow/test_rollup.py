"""sluice-rollup on Kafka: its rows are the oracle's; a worker that is killed goes on as if nothing had been."""
import subprocess

import confluent_kafka
import pytest

from tests.flow import rollup_check, rollup_logs, rollup_runs
from tests.flow.stack import wait_for

PARTITIONS = 4


@pytest.fixture(scope="module")
def messages():
    return rollup_logs.generate(seed=6, n_messages=5000, n_servers=12, n_partitions=PARTITIONS)


def start(stack, name, run=None, **keys):
    return stack.worker("rollup", name=name, ready=False, **{**(rollup_runs.keys_of(run) if run else {}), **keys})


def test_rows_are_the_oracles(stack, messages, say):
    """And those of one hour, made from the 5 m rows by a second process."""
    rollup_check.create_topics(stack, PARTITIONS)
    stack.create_topic("metrics.dlq", PARTITIONS)
    rollup_check.put(stack, messages, PARTITIONS, end_s=30000)
    start(stack, "minutes")
    wait_for(lambda: rollup_check.is_through(stack), 90, "the minutes")
    verdict = rollup_check.check_minutes(stack)
    say(f"1 m and 5 m: {verdict}")
    assert verdict.problems == []
    assert verdict.n_rows > 500 and verdict.n_heartbeats > 100
    start(stack, "hours", window="1h", topics=["metrics.rollup.5m"])
    wait_for(lambda: rollup_check.hours_are_through(stack), 90, "the hours")
    verdict = rollup_check.check_hours(stack)
    say(f"1 h: {verdict}")
    assert verdict.problems == []
    assert verdict.n_rows > 20


def test_a_killed_worker_goes_on_as_if_nothing_had_been(stack, messages, say):
    stack.create_topic(rollup_check.ADMITTED, PARTITIONS)
    for run in ("calm", "killed"):
        rollup_runs.create_topics(stack, run, PARTITIONS)
    worker = stack.new_worker("rollup", "killed", **rollup_runs.keys_of("killed"))
    pieces = [messages[i:i + 1250] for i in range(0, len(messages), 1250)]
    for piece in pieces[:-1]:
        rollup_check.put(stack, piece, PARTITIONS)
        worker.start()
        before = sum(rollup_runs.position(stack, "killed").values())
        wait_for(lambda: sum(rollup_runs.position(stack, "killed").values()) > before, 60, "some of the log")
        worker.process.kill()
    rollup_runs.put(stack, pieces[-1], PARTITIONS)
    worker.start()
    start(stack, "calm", "calm")
    for run in ("calm", "killed"):
        rollup_runs.wait_through(stack, run)
    calm, killed = (rollup_runs.rows_of(stack, run) for run in ("calm", "killed"))
    say(f"{sum(map(len, calm.values()))} records of {len(calm)} streams, {len(pieces) - 1} kills")
    assert rollup_runs.differences(calm, killed) == []
    assert sum(map(len, calm.values())) > 500


def reset(stack, *arguments):
    """(exit code, what it says)"""
    command = [stack.places.binary("sluice-offsets"), "reset", "--yes", "--set", f"snapshot_dir={stack.places.dir}",
               "--set", f"kafka.bootstrap.servers={stack.bootstrap}"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_group_that_is_reset_changes_no_row(stack, messages, say):
    """Back by half an hour of log time, and to the log's beginning: everything is read again, nothing is written."""
    stack.create_topic(rollup_check.ADMITTED, PARTITIONS)
    rollup_runs.create_topics(stack, "run", PARTITIONS)
    rollup_runs.put(stack, messages[:2500], PARTITIONS)
    worker = start(stack, "w", "run")
    rollup_runs.wait_through(stack, "run")
    code, text = reset(stack, "--group", "run", "--to", "earliest")
    assert code != 0 and "stop its workers first" in text
    worker.stop()
    committed, rows = stack.committed("run", rollup_check.ADMITTED), rollup_runs.rows_of(stack, "run")
    for to in ("-30m", "earliest"):
        code, text = reset(stack, "--group", "run", "--to", to)
        say(text.replace("\n", "; "))
        assert code == 0, text
        moved = stack.committed("run", rollup_check.ADMITTED)
        assert all(moved[p][0] < committed[p][0] for p in committed)
        worker.start()
        wait_for(lambda: is_back(stack, committed), 60, "the end of the log again")
        worker.stop()
        assert rollup_runs.differences(rows, rollup_runs.rows_of(stack, "run")) == []
    ahead = str(max(offset for offset, _ in committed.values()) + 1)
    code, text = reset(stack, "--group", "run", "--to", ahead)
    assert code == 2 and "--force" in text
    refuses_a_foreign_offset(stack, worker)


def is_back(stack, committed):
    return all(at[0] >= committed[p][0] for p, at in stack.committed("run", rollup_check.ADMITTED).items())


def refuses_a_foreign_offset(stack, worker):
    """Set by another tool, it comes without what we need with it."""
    other_tool = confluent_kafka.Consumer({"bootstrap.servers": stack.bootstrap, "group.id": "run"})
    other_tool.commit(offsets=[confluent_kafka.TopicPartition(rollup_check.ADMITTED, 0, 10)], asynchronous=False)
    other_tool.close()
    worker.start()
    wait_for(lambda: not worker.process.alive(), 60, "the refusal")
    assert worker.process.exit_code() == 2
    assert "sluice-offsets reset" in worker.process.log_text()
