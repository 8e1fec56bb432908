"""Exactly once at the places where it breaks: each scenario with the runtime as it is, and with the fault that
it exists for switched on, which must show. The peer is a real broker; a proxy holds requests back."""
import threading
import time

import pytest

from tests.fault import counter
from tests.fault.proxy import ADD_OFFSETS_TO_TXN, END_TXN
from tests.flow import group_offsets
from tests.flow.stack import StackUnderTest, wait_for


class Holder:
    """Holds the first request of a key; `then` is told of each request that comes after."""

    def __init__(self, api_key, n=1):
        self.api_key = api_key
        self.left = n
        self.held = []
        self.seen = threading.Event()

    def __call__(self, request):
        if request.api_key != self.api_key or self.left == 0:
            return False
        self.left -= 1
        self.held.append(request)
        self.seen.set()
        return True


@pytest.fixture
def proxied(tmp_path):
    stack, proxy, bootstrap = counter.proxied_stack(StackUnderTest, tmp_path / "stack")
    counter.make_topics(stack)
    yield stack, proxy, bootstrap
    proxy.stop()
    stack.stop()


def start_through(proxied, name="c1", **keys):
    stack, _, bootstrap = proxied
    return counter.start(stack, name, **{"kafka.bootstrap.servers": bootstrap, **keys})


def finish(stack, n):
    """A fresh worker, straight to the broker, does what is left; its own recovery refuses what does not fit."""
    last = counter.start(stack, "last", ready=False)
    wait_for(lambda: counter.done(stack, n) or not last.process.alive(), 60, "the rest")
    if not last.process.alive():
        return [last.process.death()]
    last.stop()
    return counter.problems(stack, n)


@pytest.mark.parametrize("fault", [None, "fault.offsets_outside"])
def test_killed_before_the_commit_is_decided(proxied, fault):
    stack, proxy, _ = proxied
    proxy.hold = holder = Holder(END_TXN)
    worker = start_through(proxied, **({fault: True} if fault else {}))
    counter.send(stack, 0, 50)
    assert holder.seen.wait(30)
    worker.process.kill()
    proxy.cut()
    wrong = finish(stack, 50)
    assert bool(wrong) == bool(fault), wrong


@pytest.mark.parametrize("fault", [None, "fault.no_rewind"])
def test_an_aborted_transaction_is_read_again(proxied, fault):
    """No EndTxn gets an answer until the worker has given its commit up."""
    stack, proxy, _ = proxied
    counter.send(stack, 0, 50)
    holding = threading.Event()
    holding.set()
    proxy.hold = lambda request: holding.is_set() and request.api_key == END_TXN
    worker = start_through(proxied, **{"commit_timeout_ms": 2000, "kafka.socket.timeout.ms": 1000,
                                       **({fault: True} if fault else {})})
    wait_for(lambda: counter.metric(worker, "sluice_transactions_total{outcome=\"aborted\"}") > 0, 60, "an abort")
    holding.clear()
    counter.send(stack, 50, 50)
    try:
        wait_for(lambda: counter.done(stack, 100), 30 if not fault else 15, "all to be committed")
    except AssertionError:
        assert fault
    worker.stop()
    wrong = counter.problems(stack, 100)
    assert bool(wrong) == bool(fault), wrong


@pytest.mark.parametrize("fault", [None, "fault.no_recreate"])
def test_a_late_commit_does_not_end_a_later_transaction(proxied, fault):
    """KIP-890's hole: the first EndTxn is held back, its repetition commits; the held one lands in the middle of
    the next transaction, between its records and its offsets, and the worker is killed there."""
    stack, proxy, _ = proxied
    proxy.hold = first_end = Holder(END_TXN)
    worker = start_through(proxied, **{"kafka.socket.timeout.ms": 1500, "commit_timeout_ms": 5000,
                                       **({fault: True} if fault else {})})
    counter.send(stack, 0, 20)
    assert first_end.seen.wait(30)
    wait_for(lambda: counter.done(stack, 20), 60, "the repeated commit")
    proxy.hold = offsets = Holder(ADD_OFFSETS_TO_TXN)
    counter.send(stack, 20, 20)
    assert offsets.seen.wait(60)
    time.sleep(1)  # the records of this transaction reach the broker
    first_end.held[0].release()
    code = first_end.held[0].error_code()
    worker.process.kill()
    proxy.cut()
    wrong = finish(stack, 40)
    print(f"the late EndTxn was answered with error {code}")
    assert bool(wrong) == bool(fault), wrong
    assert (code == 0) == bool(fault)


def test_restore_waits_for_a_foreign_open_transaction(stack):
    """The state partition's last rows are in a transaction that is still open when the worker starts: reading
    only to the last stable offset would miss them (KAFKA-10167)."""
    counter.make_topics(stack)
    counter.send(stack, 0, 5)
    writer = stack.producer(transactional_id="foreign")
    writer.init_transactions(30)
    for rows in ((1, 2), (3,)):
        writer.begin_transaction()
        for n in rows:
            writer.produce("state", b"%d %d" % (n, n - 1), partition=0)
            writer.produce("out", b"%d %d" % (n, n - 1), partition=0)
        assert writer.flush(30) == 0
        if rows != (3,):
            writer.commit_transaction(30)
    commit_offset(stack, 3, "3")
    worker = counter.start(stack, "c1", ready=False)
    time.sleep(4)
    assert worker.process.alive(), worker.process.log_text()[-2000:]
    assert not counter.done(stack, 5)
    writer.commit_transaction(30)
    wait_for(lambda: counter.done(stack, 5), 30, "the rest")
    assert counter.problems(stack, 5) == []
    restored = [m for m in counter.log_messages(worker) if m["msg"] == "restored"]
    assert restored[-1]["n"] == 3


def commit_offset(stack, offset, metadata):
    import confluent_kafka
    consumer = confluent_kafka.Consumer({"bootstrap.servers": stack.bootstrap, "group.id": counter.GROUP})

    def committed():
        try:
            consumer.commit(offsets=[confluent_kafka.TopicPartition("in", 0, offset, metadata)], asynchronous=False)
            return True
        except confluent_kafka.KafkaException as e:  # the group's coordinator may just be starting
            if e.args[0].code() not in group_offsets.NOT_NOW:
                raise
            return False

    wait_for(committed, 30, "the commit")
    consumer.close()


def test_two_processes_of_one_name_do_not_both_go_on(stack):
    counter.make_topics(stack, 2)
    first = counter.start(stack, "first", instance="twin")
    counter.send(stack, 0, 20, 2)
    wait_for(lambda: counter.done(stack, 20), 30)
    second = counter.start(stack, "second", instance="twin")
    counter.send(stack, 20, 200, 2)
    wait_for(lambda: not first.process.alive(), 40, "the first one's end")
    assert first.process.exit_code() == 3
    assert "instance name" in first.process.log_text()
    wait_for(lambda: counter.done(stack, 220), 40)
    assert second.process.alive()
    assert counter.problems(stack, 220, 2) == []


def test_a_call_that_does_not_come_back(stack):
    """Librdkafka keeps the committer's thread: a new producer does its work, and the group gets its rebalance."""
    counter.make_topics(stack, 2)
    first = counter.start(stack, "first", **{"fault.hang": 2})
    counter.send(stack, 0, 40, 2)
    wait_for(lambda: counter.done(stack, 40), 30)
    counter.send(stack, 40, 40, 2)
    second = counter.start(stack, "second")
    wait_for(lambda: counter.done(stack, 80), 60, "what hung")
    assert counter.metric(first, "sluice_producers_recreated_total") == 1
    first.process.wait_until(lambda: "a call of librdkafka has not come back" in first.process.log_text(), 10, "says nothing")
    counter.send(stack, 80, 200, 2)
    wait_for(lambda: counter.done(stack, 280), 60)
    wait_for(lambda: all(counter.metric(w, "sluice_records_in_total") >= 100 for w in (first, second)), 10,
             "a share for each of the two")
    first.stop()
    second.stop()
    assert counter.problems(stack, 280, 2) == []


def test_a_record_whose_output_is_refused_goes_to_the_dead_letters(stack):
    """The output of one record is larger than its topic takes: its neighbours pass, it is given up."""
    counter.make_topics(stack)
    producer = stack.producer()
    for i in range(60):
        producer.produce("in", b"!%d" % i if i == 30 else b"%d" % i, partition=0)
    producer.flush(30)
    worker = counter.start(stack, "c1", blow_up_bytes=9_000_000)
    wait_for(lambda: counter.done(stack, 60), 60)
    found = counter.outputs(stack)[0]
    assert [n for n, _ in found] == list(range(1, 61))
    given_up = [(n, text) for n, text in found if text.startswith(b"given up")]
    assert [n for n, _ in given_up] == [31]
    assert counter.metric(worker, "sluice_records_given_up_total") == 1


def test_an_offset_that_retention_removed_stops_the_partition_with_an_alarm(stack):
    counter.make_topics(stack, 2)
    counter.send(stack, 0, 20, 2)
    worker = counter.start(stack, "c1")
    wait_for(lambda: counter.done(stack, 20), 30)
    worker.stop()
    counter.send(stack, 20, 20, 2)
    import confluent_kafka
    stack.admin.delete_records([confluent_kafka.TopicPartition("in", 0, 15)])[
        confluent_kafka.TopicPartition("in", 0)].result()
    worker.start()
    wait_for(lambda: counter.metric(worker, "sluice_offset_out_of_range_total") == 1, 30, "the alarm")
    status, detail = worker.get("/ready")
    assert status == 503 and '"failed":1' in detail
    assert "sluice-offsets" in worker.process.log_text()
    wait_for(lambda: stack.committed(counter.GROUP, "in")[1][0] == 20, 30, "the other partition")
    assert stack.committed(counter.GROUP, "in")[0][0] == 10


def test_a_missing_topic_is_a_clear_message_and_exit_2(stack):
    stack.create_topic("in", 1)
    worker = counter.start(stack, "c1", ready=False)
    wait_for(lambda: not worker.process.alive(), 30)
    assert worker.process.exit_code() == 2
    assert "topic out does not exist" in worker.process.log_text()


def test_partition_counts_must_agree(stack):
    counter.make_topics(stack, 1)
    stack.create_topic("wide", 2)
    worker = counter.start(stack, "c1", ready=False, output_topic="wide")
    wait_for(lambda: not worker.process.alive(), 30)
    assert worker.process.exit_code() == 2
    assert "same number" in worker.process.log_text()


def test_a_broker_that_is_away_for_30_seconds(stack):
    counter.make_topics(stack, 2)
    worker = counter.start(stack, "c1")
    counter.send(stack, 0, 100, 2)
    wait_for(lambda: counter.done(stack, 100), 30)
    stack.kafka.kill(0)
    time.sleep(30)
    assert worker.process.alive()
    stack.kafka.restart(0)
    counter.send(stack, 100, 100, 2)
    wait_for(lambda: counter.done(stack, 200), 60)
    assert worker.process.alive()
    assert counter.problems(stack, 200, 2) == []


def test_idle_means_no_transactions(stack):
    counter.make_topics(stack, 1)
    worker = counter.start(stack, "c1")
    counter.send(stack, 0, 10)
    wait_for(lambda: counter.done(stack, 10), 30)
    before = counter.metric(worker, "sluice_transactions_total")
    time.sleep(2)
    assert counter.metric(worker, "sluice_transactions_total") == before


def test_properties_that_exactly_once_rests_on_are_refused(stack):
    counter.make_topics(stack, 1)
    worker = counter.start(stack, "c1", ready=False, **{"kafka.isolation.level": "read_uncommitted"})
    wait_for(lambda: not worker.process.alive(), 30)
    assert worker.process.exit_code() == 2
    assert "kafka.isolation.level" in worker.process.log_text()
