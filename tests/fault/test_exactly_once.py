"""Exactly once under disturbance: kill -9, SIGTERM, a zombie, joins, leaves, a broker's death; 12 of them here,
tests/soak has the long form. The oracle is in the records themselves."""
import collections
import os
import threading
import time

from tests.fault import counter
from tests.fault.chaos import SOUND_EXITS, Chaos
from tests.fault.formats import read_batches, read_letters
from tests.fault.load import Load, wait_caught_up
from tests.flow.stack import wait_for

SESSION_S = 6
PARTITIONS = 12
DISTURBANCES = int(os.environ.get("SLUICE_DISTURBANCES", "12"))
TOPIC = "metrics.ingest.demo"


class Feeder(threading.Thread):
    """Sends numbered records at a steady pace; n is how many."""

    def __init__(self, stack, partitions, rate=400):
        super().__init__(daemon=True)
        self.stack, self.partitions, self.rate = stack, partitions, rate
        self.n = 0
        self.ending = threading.Event()

    def run(self):
        producer = self.stack.producer(message_timeout_ms=0)
        while not self.ending.is_set():
            for _ in range(self.rate // 20):
                producer.produce("in", b"%d" % self.n, partition=self.n % self.partitions)
                self.n += 1
            producer.poll(0)
            time.sleep(0.05)
        assert producer.flush(120) == 0


def test_a_stateful_stage_survives_disturbances(stack3, say):
    """The counter stage: state in Kafka, metadata in the commit, checked against each other at each recovery."""
    counter.make_topics(stack3, PARTITIONS)
    feeder = Feeder(stack3, PARTITIONS)
    feeder.start()
    chaos = Chaos(stack3, lambda name: counter.start(stack3, name, ready=False, build=None), 3, SESSION_S, seed=11)
    chaos.run(max(8, DISTURBANCES // 2))
    feeder.ending.set()
    feeder.join(120)
    wait_for(lambda: counter.done(stack3, feeder.n, PARTITIONS), 90, "the rest")
    chaos.finish()
    say(f"{feeder.n} records, {chaos.summary(counter.metric)}")
    assert counter.problems(stack3, feeder.n, PARTITIONS) == []
    assert set(chaos.exit_codes) <= SOUND_EXITS


def start_validate(stack, name):
    return stack.worker("validate", name=name, ready=False, session_timeout_ms=SESSION_S * 1000,
                        fenced_backoff_ms=500)


def origins_problems(stack, batches, letters):
    """By ids alone: each ingest record is in metrics.valid or the DLQ; no batch and no letter twice; each source's
    batches in the order of their ingest records."""
    wrong = []
    seen = collections.Counter((b["origin"]["partition"], b["origin"]["offset"], b["origin"]["index"]) for b in batches)
    wrong += [f"double batch {key}" for key, n in seen.items() if n > 1]
    known = collections.Counter((x["origin"]["partition"], x["origin"]["offset"], x["reason"], x["metric"], x["index"])
                                for x in letters)
    wrong += [f"double letter {key}" for key, n in known.items() if n > 1]
    covered = {(p, o) for p, o, _ in seen} | {(p, o) for p, o, *_ in known}
    for p, end in stack.ends(TOPIC).items():
        lost = [o for o in range(end) if (p, o) not in covered]
        if lost:
            wrong.append(f"ingest partition {p}: {len(lost)} of {end} records left nothing: {lost[:10]}")
    last = {}
    for b in batches:
        key, at = (b["source"], b["origin"]["partition"]), (b["origin"]["offset"], b["origin"]["index"])
        if last.get(key, (-1, -1)) >= at:
            wrong.append(f"source {key}: {at} after {last[key]}")
        last[key] = at
    return wrong


def test_validate_survives_disturbances(stack3, tmp_path, say):
    stack3.create_all_topics()
    load = Load(stack3, tmp_path, rate=15000, interval_s=2, series=50, seed=7, forbidden=0.05, garbage=0.02,
                duplicates=0.0, kafka="message.timeout.ms=300000")
    chaos = Chaos(stack3, lambda name: start_validate(stack3, name), 3, SESSION_S, seed=5)
    chaos.run(DISTURBANCES)
    sent = load.stop()
    wait_caught_up(stack3, "sluice-validate", [TOPIC])
    chaos.finish()
    batches = read_batches(stack3, "metrics.valid")
    letters = read_letters(stack3, "metrics.dlq")
    say(f"{len(batches)} batches, {len(letters)} letters, {sent['samples']} samples sent; {chaos.summary(counter.metric)}")
    assert origins_problems(stack3, batches, letters) == []
    code, report = load.verify("--topic", "metrics.valid", "--brokers", stack3.bootstrap, "--dlq-topic", "metrics.dlq")
    assert code == 0, report
    assert set(chaos.exit_codes) <= SOUND_EXITS
