"""sluice-offsets status: what it says of groups that are well, behind, stuck; with real workers and without."""
import json
import os
import pty
import threading
import time

import confluent_kafka
import pytest
from confluent_kafka import admin

from tests.flow import batches, offsets_tool, otlp
from tests.flow.offsets_tool import commit, create_topic, produce, run
from tests.flow.stack import wait_for

T0 = 1_700_000_000_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with offsets_tool.cluster(tmp_path_factory, "status") as stack:
        yield stack


def status(stack, *arguments, code=0, **keys):
    """{(group, topic, partition): its row}"""
    done = run(stack, "status", "--json", *arguments, **{"watch_ms": 200, **keys})
    assert done.returncode == code, (done.stdout, done.stderr)
    answer = json.loads(done.stdout)
    assert answer["stuck"] == (code == 1)
    return {(g["group"], p["topic"], p["partition"]): {**p, "group_state": g["state"], "members": g["members"]}
            for g in answer["groups"] for p in g["partitions"]}


def filled(stack, name, n=3, **config):
    create_topic(stack, name, 1, **config)
    produce(stack, name, [batches.batch("gs-1", [batches.counter("hits_total", i)], T0 + i) for i in range(n)])


def test_workers_that_are_well_and_one_that_is_stopped(new_stack):
    stack = new_stack()
    stack.create_all_topics()
    workers = {kind: stack.worker(kind, session_timeout_ms=6000) for kind in ("validate", "limit", "rollup")}
    server = otlp.resource()
    otlp.counter(server, "hits_total", 5, otlp.now_ms())
    produce(stack, "metrics.ingest.demo", [otlp.message(server)], partition=3)

    def rows():
        return json.loads(run(stack, "status", "--json").stdout)["groups"]

    def all_read():
        found = {(g["group"], p["topic"], p["partition"]): p for g in rows() for p in g["partitions"]}
        ours = [p for (group, topic, _), p in found.items() if group == "sluice-rollup" and p["committed"] is not None]
        return ours and all(p["lag_ms"] == 0 and p["lag_records"] == 0 for p in found.values())

    wait_for(all_read, 60, "everything read")
    found = status(stack)
    assert {group for group, _, _ in found} == {"sluice-validate", "sluice-limit", "sluice-rollup"}
    own = found["sluice-validate", "metrics.ingest.demo", 3]
    assert own["members"] == 1 and own["member"].startswith("validate-1") and own["committed"] == own["position"] == 1
    rollups = [p for (group, _, _), p in found.items() if group == "sluice-rollup" and p["committed"] is not None]
    assert any(p["position"] > p["committed"] for p in rollups)  # an open window holds the commit back
    workers["validate"].stop()
    produce(stack, "metrics.ingest.demo", [otlp.message(server)], partition=3)
    found = status(stack, code=1)
    own = found["sluice-validate", "metrics.ingest.demo", 3]
    assert (own["state"], own["lag_records"], own["member"]) == ("no_member", 1, None) and own["lag_ms"] >= 0
    assert "start its workers" in own["why"] and own["group_state"] == "Empty"
    done = run(stack, "status")
    assert done.returncode == 1 and "\033" not in done.stdout
    line = next(line for line in done.stdout.splitlines() if "metrics.ingest.demo[3]" in line)
    assert "STUCK no_member" in line and "metrics.ingest.demo[2]" not in done.stdout
    assert "metrics.ingest.demo[2]" in run(stack, "status", "--all").stdout


def test_offsets_that_cannot_be(stack):
    filled(stack, "eaten", 5)
    commit(stack, "sluice-a", "eaten", {0: 1})
    place = confluent_kafka.TopicPartition("eaten", 0, 3)
    stack.admin.delete_records([place])[place].result()
    filled(stack, "anew", 2)
    commit(stack, "sluice-b", "anew", {0: 40})
    filled(stack, "summed", 5)
    commit(stack, "sluice-rollup-x", "summed", {0: 2})
    found = status(stack, code=1)
    row = found["sluice-a", "eaten", 0]
    assert row["state"] == "out_of_range" and "2 offsets are gone, the log begins at 3" in row["why"]
    row = found["sluice-b", "anew", 0]
    assert row["state"] == "out_of_range" and "behind the log's end, 2" in row["why"]
    row = found["sluice-rollup-x", "summed", 0]
    assert row["state"] == "foreign_offset" and "help reset" in row["why"]


def test_a_topic_that_is_gone(stack):
    filled(stack, "short_lived", 1)
    commit(stack, "sluice-gone", "short_lived", {0: 1})
    stack.admin.delete_topics(["short_lived"])["short_lived"].result()
    wait_for(lambda: "short_lived" not in stack.admin.list_topics(timeout=10).topics, what="no topic")
    done = run(stack, "status", "--json", "--group", "sluice-gone")
    rows = json.loads(done.stdout)["groups"][0]["partitions"]
    # The brokers drop a deleted topic's commits, if they have come to it.
    assert rows == [] or (done.returncode == 1 and rows[0]["state"] == "no_topic")


def test_an_open_transaction_is_told_with_its_offset_and_time(stack):
    filled(stack, "hidden", 2)
    commit(stack, "sluice-hidden", "hidden", {0: 2})
    with offsets_tool.transaction(stack, "hidden", [b"x"]):
        since = time.time() * 1000
        row = status(stack, "--group", "sluice-hidden", code=1)["sluice-hidden", "hidden", 0]
        assert row["last_stable"] == 2 and row["end"] == 3 and row["open_transaction"]["from_offset"] == 2
        assert abs(row["open_transaction"]["since_ms"] - since) < 60_000
        assert row["state"] == "no_member"  # the nearer cause
        consumer = member(stack, "sluice-hidden", "hidden")
        try:
            assert "fine" == status(stack, "--group", "sluice-hidden",
                                    open_transaction_ms=3_600_000)["sluice-hidden", "hidden", 0]["state"]
            wait_for(lambda: run(stack, "status", "--group", "sluice-hidden", "--set", "open_transaction_ms=1000",
                                 "--set", "watch_ms=10").returncode == 1, what="its age")
            row = status(stack, "--group", "sluice-hidden", code=1, open_transaction_ms=1000)[
                "sluice-hidden", "hidden", 0]
            assert row["state"] == "open_transaction" and "open since offset 2" in row["why"]
        finally:
            consumer.close()
    consumer = member(stack, "sluice-hidden", "hidden")
    assert status(stack, "--group", "sluice-hidden")["sluice-hidden", "hidden", 0]["state"] == "fine"
    consumer.close()


def member(stack, group, *topics):
    """One that has joined and never commits."""
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": stack.bootstrap, "group.id": group, "client.id": "idler", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "session.timeout.ms": 30000})
    consumer.subscribe(list(topics))
    wait_for(lambda: consumer.poll(0.2) is None and consumer.assignment(), 60, "an assignment")
    return consumer


def test_a_partition_whose_broker_is_gone_has_no_leader(stack3):
    """The other brokers answer for it; and it is fine again when its own is back."""
    stack = stack3
    stack.admin.create_topics([admin.NewTopic("lonely", 1, replica_assignment=[[3]], config={"min.insync.replicas": "1"})])[
        "lonely"].result()
    produce(stack, "lonely", [b"a", b"b"])
    commit(stack, "sluice-lonely", "lonely", {0: 2})
    assert status(stack, "--group", "sluice-lonely")["sluice-lonely", "lonely", 0]["state"] == "fine"
    stack.kafka.kill(2)

    def seen():
        answer = json.loads(run(stack, "status", "--json", "--group", "sluice-lonely", watch_ms=10).stdout or "{}")
        rows = [p for g in answer.get("groups", ()) for p in g["partitions"]]
        return rows and rows[0]
    row = wait_for(lambda: (seen() or {}).get("state") == "no_leader" and seen(), 60, "no leader")
    assert row["stuck"] and row["committed"] == 2 and row["end"] is None and "no broker has it at the moment: " in row["why"]
    stack.kafka.restart(2)
    wait_for(lambda: (seen() or {}).get("state") == "fine", 60, "a leader again")


def test_a_member_that_does_not_move_and_a_partition_that_nobody_has(stack):
    filled(stack, "slow", 3)
    filled(stack, "left", 3)
    commit(stack, "sluice-slow", "slow", {0: 1})
    commit(stack, "sluice-slow", "left", {0: 1})
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": stack.bootstrap, "group.id": "sluice-slow", "client.id": "idler",
        "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    consumer.subscribe(["slow"])
    try:
        wait_for(lambda: consumer.poll(0.2) and consumer.assignment(), 60, "an assignment")
        found = status(stack, "--group", "sluice-slow", code=1, stuck_after_ms=100)
        row = found["sluice-slow", "slow", 0]
        assert row["state"] == "still" and row["member"].startswith("idler/") and row["lag_records"] == 2
        assert row["lag_ms"] > 0 and "its /ready and its log" in row["why"]
        assert found["sluice-slow", "left", 0]["state"] == "unassigned"
        found = status(stack, "--group", "sluice-slow", code=1)  # young enough
        assert found["sluice-slow", "slow", 0]["state"] == "fine"
    finally:
        consumer.close()


def test_a_group_that_moves_is_only_behind(stack):
    filled(stack, "moving", 400)
    commit(stack, "sluice-moving", "moving", {0: 1})
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": stack.bootstrap, "group.id": "sluice-moving", "enable.auto.commit": False,
        "auto.offset.reset": "earliest"})
    consumer.subscribe(["moving"])
    try:
        wait_for(lambda: consumer.poll(0.2), 60, "a record")
        ended = threading.Event()

        def move():
            for offset in range(2, 390):
                if ended.wait(0.1):
                    return
                consumer.commit(offsets=[confluent_kafka.TopicPartition("moving", 0, offset)], asynchronous=False)

        mover = threading.Thread(target=move)
        mover.start()
        try:
            row = status(stack, "--group", "sluice-moving", stuck_after_ms=100, watch_ms=2000)["sluice-moving", "moving", 0]
            assert row["state"] == "behind" and row["stuck"] is False
        finally:
            ended.set()
            mover.join()
    finally:
        consumer.close()


def test_a_group_that_nobody_knows_is_dead(stack):
    answer = json.loads(run(stack, "status", "--json", "--group", "sluice-none").stdout)
    assert answer["groups"] == [{"group": "sluice-none", "state": "Dead", "members": 0, "partitions": []}]


def test_colours_only_on_a_terminal(stack):
    filled(stack, "coloured", 2)
    commit(stack, "sluice-coloured", "coloured", {0: 1})
    arguments = [offsets_tool.BINARY, "status", "--group", "sluice-coloured",
                 f"--set=kafka.bootstrap.servers={stack.bootstrap}"]
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(arguments[0], arguments)
    text = b""
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    os.waitpid(pid, 0)
    assert b"\033[31mSTUCK no_member\033[0m" in text


def test_brokers_that_are_away_have_an_exit_code_of_their_own():
    began = time.monotonic()
    done = run(None, "status", kafka__bootstrap__servers="127.0.0.1:1", connect_timeout_ms=1000)
    assert done.returncode == 3 and "no broker of 127.0.0.1:1 answers" in done.stderr and done.stdout == ""
    assert time.monotonic() - began < 30
