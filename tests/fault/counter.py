"""The counter stage (counter_stage.c) under test, and the oracle of what it must have written."""
import json

from deploy.local.places import free_ports
from deploy.local.kafka import Kafka
from tests.fault.proxy import Proxy, proxied_listener

GROUP = "sluice-test-counter"


def make_topics(stack, partitions=1):
    for name in ("in", "out", "state"):
        stack.create_topic(name, partitions)


def send(stack, first, n, partitions=1, prefix=b""):
    """Records "<prefix><i>", i from first on, spread over the partitions."""
    producer = stack.producer()
    for i in range(first, first + n):
        producer.produce("in", prefix + b"%d" % i, partition=i % partitions)
        producer.poll(0)
    assert producer.flush(60) == 0


def start(stack, name, ready=True, build="faults", **keys):
    return stack.worker("test-counter", name=name, build=build, ready=ready,
                        **{"session_timeout_ms": 6000, "fenced_backoff_ms": 500, "log_level": "debug", **keys})


def outputs(stack):
    """{partition: [(n, input)]} as a read_committed reader sees it."""
    found = {}
    for r in stack.read_committed("out"):
        n, _, text = r.value().partition(b" ")
        found.setdefault(r.partition(), []).append((int(n), text))
    return found


def problems(stack, n_sent, partitions=1):
    """What is lost, double or out of order; empty when every record was numbered exactly once."""
    found = outputs(stack)
    wrong = []
    for p in range(partitions):
        numbers = [n for n, _ in found.get(p, [])]
        if numbers != list(range(1, len(numbers) + 1)):
            wrong.append(f"partition {p}: numbers are not 1, 2, 3 …: {numbers[:20]}")
        texts = [int(t) for _, t in found.get(p, [])]
        expected = [i for i in range(n_sent) if i % partitions == p]
        if texts != expected:
            lost = sorted(set(expected) - set(texts))[:10]
            double = sorted({t for t in texts if texts.count(t) > 1})[:10] if len(texts) < 5000 else "?"
            wrong.append(f"partition {p}: lost {lost}, double {double}, {len(texts)} of {len(expected)}")
    return wrong


def done(stack, n_sent, partitions=1):
    """Has the group committed to the end of the input?"""
    ends = stack.ends("in")
    committed = stack.committed(GROUP, "in")
    return all(committed.get(p, (0, ""))[0] >= end for p, end in ends.items())


def metric(worker, name):
    """Sum over the labels."""
    total = 0.0
    for line in worker.metrics().splitlines():
        if line.startswith(name) and line[len(name)] in " {":
            total += float(line.rsplit(" ", 1)[1])
    return total


def log_messages(worker):
    for line in worker.process.log_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def proxied_stack(new_stack_class, directory):
    """A stack of one broker with a second listener, whose clients go through a proxy."""
    stack = new_stack_class(directory)
    internal = free_ports(2)
    stack.kafka = Kafka(stack.places, 1, properties=proxied_listener(
        internal, internal + 1, stack.places.port("kafka"), stack.places.port("kafka_controller")))
    stack.kafka.start()
    proxy = Proxy(internal + 1, internal)
    return stack, proxy, f"127.0.0.1:{internal + 1}"
