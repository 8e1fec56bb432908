"""sluice-offsets as tests call it."""
import contextlib
import json
import os
import subprocess

import confluent_kafka

from deploy.local.places import ROOT
from tests.flow.stack import StackUnderTest, wait_for

BINARY = f"{os.environ.get('SLUICE_BIN', ROOT / 'build/bin')}/sluice-offsets"


def run(stack, *arguments, env=None, stdin=None, timeout_s=120, **keys):
    """Config keys with __ for the dots. stack None: no brokers are named."""
    sets = [f"--set={key.replace('__', '.')}={value}" for key, value in keys.items()]
    servers = [f"--set=kafka.bootstrap.servers={stack.bootstrap}"] if stack else []
    return subprocess.run([BINARY, *arguments, *servers, *sets], capture_output=True, text=True, check=False,
                          timeout=timeout_s, env={**os.environ, **(env or {})}, input=stdin or "")


def lines(done):
    """The JSON lines of one that ended well."""
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.contextmanager
def cluster(tmp_path_factory, name, **options):
    """A broker for a whole module."""
    stack = StackUnderTest(tmp_path_factory.mktemp(name) / "stack", **options)
    try:
        stack.kafka.start()
        yield stack
    finally:
        stack.stop()


def create_topic(stack, name, partitions, **config):
    """And waits until the brokers know it: the tool takes their word."""
    stack.create_topic(name, partitions, **config)
    wait_for(lambda: stack.admin.list_topics(name, timeout=10).topics[name].error is None, what=f"topic {name}")


def produce(stack, topic, values, partition=0, key=None, headers=None, **config):
    producer = stack.producer(**config)
    for value in values:
        producer.produce(topic, value, key=key, partition=partition, headers=headers)
    assert producer.flush(30) == 0


@contextlib.contextmanager
def transaction(stack, topic, values, partition=0, name="somebody"):
    """Open inside of the block, committed behind it."""
    producer = stack.producer(transactional_id=name)
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=partition)
    producer.flush(30)
    yield producer
    producer.commit_transaction()


def commit(stack, group, topic, offsets, metadata=None):
    """offsets: {partition: offset}, as a plain Kafka tool does."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": stack.bootstrap, "group.id": group})
    places = [confluent_kafka.TopicPartition(topic, p, offset, *([metadata] if metadata else []))
              for p, offset in offsets.items()]
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()
