"""sluice-rollup's minutes and hours, both killed again and again in the middle of a log, against the oracle: all rows of
1 m, 5 m and 1 h, each once, with the offsets and log times that they must have (undisturbed: test_rollup.py)."""
from tests.flow import rollup_check, rollup_logs
from tests.flow.stack import wait_for

PARTITIONS = 3
END_S = 3 * 3600                             # of heartbeats behind the log, so that hours close


def start(stack):
    rollup_check.create_topics(stack, PARTITIONS)
    stack.create_topic("metrics.dlq", 1)
    stack.create_topic("sluice.control", 1)


def rollup(stack, **keys):
    return stack.worker("rollup", name="rollup-minutes", session_timeout_ms=6000, **keys)


def hourly(stack, **keys):
    return stack.worker("rollup", name="rollup-hours", window="1h", topics=[rollup_check.ROLLUPS[1]],
                        session_timeout_ms=6000, **keys)


def wait_through(stack, timeout_s=60):
    wait_for(lambda: rollup_check.is_through(stack), timeout_s, "the last heartbeat in metrics.rollup.5m")


def hours_or_problems(stack, timeout_s=60):
    """The verdict on the hours, once there is nothing to complain of or time is up."""
    verdicts = []

    def fine():
        verdicts.append(rollup_check.check_hours(stack))
        return verdicts[-1].problems == []

    try:
        wait_for(fine, timeout_s)
    except AssertionError:
        pass
    return verdicts[-1]


def test_kills_of_minutes_and_hours_do_not_show(stack, say):
    start(stack)
    log = rollup_logs.generate(24, 2400, 9, PARTITIONS)
    workers = [rollup(stack), hourly(stack)]
    for begin in range(0, len(log), 800):
        rollup_check.put(stack, log[begin:begin + 800], PARTITIONS, END_S if begin + 800 >= len(log) else 0)
        if begin > 0:
            wait_for(lambda: sum(stack.ends(rollup_check.ROLLUPS[1]).values()) > 0, 60, "rows of 5 m")
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.wait_ready()
    wait_through(stack)
    minutes, hours = rollup_check.check_minutes(stack), hours_or_problems(stack)
    say(f"1 m and 5 m: {minutes}; 1 h: {hours}")
    assert minutes.problems == [] and hours.problems == []
    assert minutes.n_rows > 300 and hours.n_rows > 20
