"""The checks of amp's tests (test_amp, test_amp_gaps, test_amp_hostile) see what they are for: here they find a sender with
a fault."""
from tests.fault.formats import read_gaps
from tests.flow.amp_setting import (differences, expected, got, metric, now_ms, scrape,
                                    setting)  # noqa: F401 (a fixture)
from tests.flow.stack import wait_for

SERVERS = [f"gs-{i}" for i in range(4)]
LATE = [{"action": "pass", "delay_ms": 300 * (i % 2), "times": 1} for i in range(20)]


def faulty_amp(setting, **keys):
    worker = setting.stack.worker("amp", build="faults", url=setting.receiver.write_url, topics=["metrics.valid"],
                                  batch_deadline_ms=20, min_backoff_ms=20, max_backoff_ms=500, session_timeout_ms=6000,
                                  max_samples=13, **keys)
    return worker


def feed(setting, start, n=10):
    times = [start + 1000 * i for i in range(n)]
    for i, t in enumerate(times):
        for server in SERVERS:
            setting.put(server, scrape(server, i), t)
    setting.flush()
    return times


def test_a_sender_that_does_not_retry_loses(setting):
    setting.receiver.set_plan([{"status": 503, "times": 3}])
    faulty_amp(setting, fault__no_retry=True)
    times = feed(setting, now_ms() - 30_000)
    setting.wait_caught_up()
    assert differences(expected(SERVERS, times), got(setting.receiver))["n_lost"] > 0


def test_a_sender_without_order_is_seen(setting):
    setting.receiver.set_plan(LATE)
    faulty_amp(setting, fault__unordered=True)
    feed(setting, now_ms() - 30_000)
    setting.wait_caught_up()
    violations = setting.receiver.stats()["violations"]
    assert violations.get("late") or violations.get("in_flight"), violations


def test_a_sender_that_tells_no_gaps_is_seen(setting):
    amp = faulty_amp(setting, fault__no_gaps=True)
    feed(setting, now_ms() - 70 * 60_000)
    setting.wait_caught_up()
    wait_for(lambda: metric(amp, "sluice_samples_rejected_total") == setting.n_samples, 20)
    told = sum(g["samples"] for g in read_gaps(setting.stack))
    assert told == 0
