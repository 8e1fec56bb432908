"""amp under kill -9 with native histograms in the load, against the receiver double (which also misbehaves) and
Prometheus: no acceptable sample is lost, and no dead letter speaks of a sample that the store has."""
import random
import signal
import time

import pytest

from deploy.local.places import ROOT
from tests.fault.counter import metric
from tests.fault.formats import read_letters
from tests.fault.load import Load, wait_caught_up
from tests.receiver.client import Receiver

GROUP = "sluice-amp"
KILLS = 6
MISDEEDS = [
    {"skip": 5, "times": 3, "status": 503, "retry_after_s": 1},
    {"times": 2, "status": 500, "store": True, "body": "lost answer"},
    {"skip": 10, "times": 2, "action": "reset", "store": True},
    {"times": 2, "status": 429, "retry_after_s": 1},
    {"skip": 10, "times": 1, "action": "hang", "hang_ms": 3000},
]


def run_with_kills(stack, load, url):
    """Starts validate and amp, kills amp now and then, and waits until all was delivered."""
    stack.worker("validate")
    amp = stack.worker("amp", url=url, topics=["metrics.valid"], session_timeout_ms=6000, request_timeout_ms=2000, max_backoff_ms=1000)
    pause = random.Random(3)
    for _ in range(KILLS):
        time.sleep(pause.uniform(1.0, 3.0))
        amp.process.signal(signal.SIGKILL)
        amp.process.wait(5)
        amp.start()
    sent = load.stop()
    wait_caught_up(stack, "sluice-validate", ["metrics.ingest.demo"])
    wait_caught_up(stack, GROUP, ["metrics.valid"])
    return amp, sent


def start_load(stack, tmp_path):
    return Load(stack, tmp_path, rate=6000, interval_s=2, series=60, seed=9)


@pytest.fixture
def ready_stack(stack):
    stack.create_all_topics()
    return stack


def test_against_the_receiver_double(ready_stack, tmp_path, say):
    binary = str(ROOT / "build/release/tests/receiver/sluice-test-receiver")
    with Receiver(profile="amp", rules={"out_of_order_ms": 60_000}, plan=MISDEEDS, binary=binary) as receiver:
        load = start_load(ready_stack, tmp_path)
        amp, sent = run_with_kills(ready_stack, load, receiver.write_url)
        code, report = load.verify("--receiver", receiver.url)
        letters = read_letters(ready_stack, "metrics.dlq")
        stats = receiver.stats()
        say(f"{KILLS} kills, {sent['samples']} samples sent, {report['lost']} lost, {report['repeated']} delivered again, "
            f"{stats['status']}")
        assert code == 0, report
        assert letters == []
        violations = {k: v for k, v in stats.get("violations", {}).items() if v}
        # A killed sender's last requests may still be on their way when its successor repeats them.
        assert set(violations) <= {"in_flight", "late"}, violations
        assert metric(amp, "sluice_dlq_records_total") == 0


def test_against_prometheus(ready_stack, tmp_path, say):
    ready_stack.prometheus  # started
    load = start_load(ready_stack, tmp_path)
    _, sent = run_with_kills(ready_stack, load, ready_stack.prometheus.write_url)
    code, report = load.verify("--prometheus", ready_stack.prometheus.url)
    say(f"{KILLS} kills, {sent['samples']} samples sent, {report['lost']} lost, {report['wrong']} wrong")
    assert code == 0, report
    assert read_letters(ready_stack, "metrics.dlq") == []
