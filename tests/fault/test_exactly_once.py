"""Exactly once under disturbance: kill -9, SIGTERM, a zombie, joins, leaves, a broker's death; 12 of them here,
tests/soak has the long form. The oracle is in the records themselves."""
import time

from tests.fault import counter
from tests.fault.chaos import Chaos
from tests.flow.stack import wait_for

SESSION_S = 6
PARTITIONS = 12


def feed_until(stack, stop, partitions, rate=400):
    """Sends numbered records at a steady pace from a thread; .n is how many."""
    import threading

    class Feeder(threading.Thread):
        n = 0

        def run(self):
            producer = stack.producer(message_timeout_ms=0)
            while not stop.is_set():
                for _ in range(rate // 20):
                    producer.produce("in", b"%d" % self.n, partition=self.n % partitions)
                    self.n += 1
                producer.poll(0)
                time.sleep(0.05)
            assert producer.flush(120) == 0

    feeder = Feeder(daemon=True)
    feeder.start()
    return feeder


def test_a_stateful_stage_survives_disturbances(stack3):
    """The counter stage: state in Kafka, metadata in the commit, checked against each other at each recovery."""
    import threading
    counter.make_topics(stack3, PARTITIONS)
    stop = threading.Event()
    feeder = feed_until(stack3, stop, PARTITIONS)
    chaos = Chaos(stack3, lambda name: counter.start(stack3, name, ready=False, build=None), 3, SESSION_S, seed=11)
    chaos.run(8)
    stop.set()
    feeder.join(120)
    wait_for(lambda: counter.done(stack3, feeder.n, PARTITIONS), 90, "the rest")
    chaos.finish()
    print(f"{feeder.n} records, {chaos.summary(counter.metric)}")
    assert counter.problems(stack3, feeder.n, PARTITIONS) == []
    assert set(chaos.exit_codes) <= {-9, 0, 3}
