"""The test stack itself: what the other flow and fault tests rely on."""
import json
import time
import urllib.request

import pytest
from confluent_kafka.admin import ConfigResource

from deploy.local.gateway import Doors
from deploy.local.places import private_places
from deploy.local.topics import TENANTS
from tests.flow.stack import wait_for


def send(stack, topic, values, **config):
    producer = stack.producer(**config)
    for i, value in enumerate(values):
        producer.produce(topic, value, partition=i % 3)
    assert producer.flush(30) == 0


def values_of(records):
    return sorted(r.value() for r in records)


def test_committed_records_are_read_to_the_end(stack):
    stack.create_topic("t", 3)
    send(stack, "t", [b"%d" % i for i in range(100)])
    aborted = stack.producer(transactional_id="a")
    aborted.init_transactions(30)
    aborted.begin_transaction()
    aborted.produce("t", b"aborted", partition=0)
    assert aborted.flush(30) == 0
    aborted.abort_transaction(30)
    assert values_of(stack.read_committed("t")) == sorted(b"%d" % i for i in range(100))


def test_an_open_transaction_is_not_taken_for_the_end(stack):
    stack.create_topic("t", 3)
    writer = stack.producer(transactional_id="a")
    writer.init_transactions(30)
    writer.begin_transaction()
    writer.produce("t", b"x", partition=0)
    assert writer.flush(30) == 0
    with pytest.raises(AssertionError, match="not read to the end"):
        stack.read_committed("t", timeout_s=3)
    writer.commit_transaction(30)
    assert values_of(stack.read_committed("t")) == [b"x"]


def test_acknowledged_records_survive_the_kill_of_a_broker(stack3):
    stack3.create_topic("t", 3)
    sent = [b"%d" % i for i in range(300)]
    send(stack3, "t", sent[:100])
    stack3.kafka.kill(1)
    assert [b.alive() for b in stack3.kafka.brokers] == [True, False, True]
    send(stack3, "t", sent[100:200])
    stack3.kafka.restart(1)
    send(stack3, "t", sent[200:])
    assert values_of(stack3.read_committed("t")) == sorted(sent)


def test_the_topics_are_created_as_defined(stack):
    stack.create_all_topics()
    stack.create_all_topics()  # again: they are there, which is fine
    names = {f"metrics.ingest.{tenant}" for tenant in TENANTS} | {"metrics.valid", "sluice.control"}
    wait_for(lambda: names <= set(stack.admin.list_topics(timeout=10).topics), what="every topic's metadata")
    found = stack.admin.list_topics(timeout=10).topics
    for tenant in TENANTS:
        assert len(found[f"metrics.ingest.{tenant}"].partitions) == 12
    assert len(found["metrics.valid"].partitions) == 12
    assert len(found["sluice.control"].partitions) == 1
    resource = ConfigResource(ConfigResource.Type.TOPIC, "metrics.valid")
    settings = stack.admin.describe_configs([resource])[resource].result()
    assert settings["message.timestamp.type"].value == "LogAppendTime"
    assert settings["max.message.bytes"].value == "8454144"
    assert settings["retention.ms"].value == "86400000"


def test_prometheus_serves_queries(stack):
    url = f"{stack.prometheus.url}/api/v1/query?query=1%2B1&time={time.time():.0f}"

    def answer():
        with urllib.request.urlopen(url, timeout=5) as response:
            return json.load(response)

    assert wait_for(answer)["data"]["result"][1] == "2"


def test_the_doors_tokens_are_made_anew_with_their_file(tmp_path):
    places = private_places(tmp_path)
    doors = Doors(places)
    doors.prepare()
    old = doors.endpoints()["tokens"]
    doors.prepare()
    assert doors.endpoints()["tokens"] == old
    doors.tokens_path.unlink()
    doors.prepare()
    fresh = doors.endpoints()["tokens"]
    assert len(TENANTS) > 1 and not set(fresh.values()) & set(old.values())
