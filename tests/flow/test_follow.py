"""What every worker reads whole: topics followed from their beginning, through transactions and lost brokers."""
import os
import queue
import subprocess
import threading

import pytest

from deploy.local.places import ROOT
from tests.flow.stack import wait_for

BINARY = f"{os.environ.get('SLUICE_BIN', ROOT / 'build/bin')}/sluice-test-follower"
TIMEOUT_S = 60


class Follower:
    def __init__(self, stack, *topics):
        self.process = subprocess.Popen(
            [BINARY, "--set", f"kafka.bootstrap.servers={stack.bootstrap}", "--set", f"topics={','.join(topics)}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._lines = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def take(self, n):
        return [self._lines.get(timeout=TIMEOUT_S) for _ in range(n)]

    def end(self):
        """(exit code, lines not taken, errors)"""
        self.process.stdin.close()
        code = self.process.wait(TIMEOUT_S)
        self._thread.join(TIMEOUT_S)
        return code, list(self._lines.queue), self.process.stderr.read()


@pytest.fixture
def follow(stack):
    made = []

    def make(*topics):
        made.append(Follower(stack, *topics))
        return made[-1]

    yield make
    for one in made:
        one.process.kill()
        one.process.wait()


def put(stack, topic, *pairs, producer=None):
    producer = producer or stack.producer()
    for key, value in pairs:
        producer.produce(topic, value, key=key)
    assert producer.flush(30) == 0


def test_records_and_tombstones_come_in_order_then_caught_up_then_what_is_new(stack, follow):
    stack.create_topic("a", 1)
    stack.create_topic("b", 1)
    put(stack, "a", ("k", "1"), ("k", "2"), ("l", None), ("m", ""))
    follower = follow("a", "b")
    assert follower.take(5) == ["a 0 k=1", "a 1 k=2", "a 2 l", "a 3 m=", "caught up"]
    put(stack, "b", ("x", "3"))
    assert follower.take(1) == ["b 0 x=3"]
    put(stack, "a", ("k", None))
    assert follower.take(1) == ["a 4 k"]
    assert follower.end() == (0, [], "")


def test_an_empty_topic_is_caught_up_with_at_once(stack, follow):
    stack.create_topic("a", 1)
    assert follow("a").take(1) == ["caught up"]


def test_an_open_transaction_is_waited_for_and_hides_only_its_own_topic(stack, follow):
    stack.create_topic("control", 1)
    stack.create_topic("leases", 1)
    producer = stack.producer(transactional_id="t")
    producer.init_transactions()
    producer.begin_transaction()
    put(stack, "leases", ("l", "given up"), producer=producer)
    producer.abort_transaction()
    producer.begin_transaction()
    put(stack, "leases", ("l", "1"), producer=producer)
    follower = follow("control", "leases")
    for n in range(2):  # while the transaction hangs
        put(stack, "control", ("k", str(n)))
        assert follower.take(1) == [f"control {n} k={n}"]
    producer.commit_transaction()
    assert sorted(follower.take(2)) == ["caught up", "leases 2 l=1"]


def test_brokers_that_go_away_and_come_back_are_no_error(stack, follow):
    stack.create_topic("a", 1)
    put(stack, "a", ("k", "1"))
    follower = follow("a")
    assert follower.take(2) == ["a 0 k=1", "caught up"]
    stack.kafka.kill(0)
    stack.kafka.restart(0)
    wait_for(lambda: stack.ends("a") == {0: 1}, TIMEOUT_S, "the topic's return")
    put(stack, "a", ("k", "2"))
    assert follower.take(1) == ["a 1 k=2"]
    code, rest, _ = follower.end()
    assert (code, rest) == (0, [])


def test_topics_that_are_not_there_or_too_wide_are_named(stack, follow):
    code, lines, errors = follow("missing").end()
    assert code == 2 and lines == [] and "topic missing does not exist" in errors
    stack.create_topic("wide", 3)
    code, lines, errors = follow("wide").end()
    assert code == 2 and lines == [] and "wide has 3 partitions, and must have 1" in errors
