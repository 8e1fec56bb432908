"""Partitions of a stage that stand still by an operator's word: every worker obeys, stays in its group, shows it, and goes on
where it stood. And reset --drain, which takes a group's workers out of the way."""
import json
import subprocess
import time

import pytest

from tests.flow import batches, offsets_tool
from tests.flow.amp_setting import metric, now_ms, scrape
from tests.flow.offsets_tool import acts, commit, produce, run
from tests.flow.parquet_audit import Bucket, start_worker
from tests.flow.stack import StackUnderTest, wait_for
from tests.flow.test_offsets_status import member
from tests.receiver.client import Receiver

PARTITIONS = 12
INPUTS = {"validate": "metrics.ingest.demo", "limit": "metrics.valid", "rollup": "metrics.admitted", "amp": "metrics.admitted",
          "parquet": "metrics.admitted"}


class Pipeline:
    """All five stages on one broker."""

    def __init__(self, stack, receiver):
        stack.create_all_topics()
        self.stack, self.receiver = stack, receiver
        self.workers = {kind: stack.worker(kind, ready=False, session_timeout_ms=6000) for kind in ("validate", "limit", "rollup")}
        self.workers["amp"] = stack.worker("amp", ready=False, url=receiver.write_url, session_timeout_ms=6000)
        self.workers["parquet"] = start_worker(stack, Bucket(stack), ready=False)
        for worker in self.workers.values():
            worker.wait_ready()

    def ready(self, kind):
        status, text = self.workers[kind].get("/ready")
        return status, json.loads(text or "{}")

    def wait_paused(self, kind, n, timeout_s=30):
        """Seconds until n partitions stand still."""
        began = time.monotonic()
        wait_for(lambda: self.ready(kind)[1].get("paused") == n, timeout_s, f"{n} paused partitions of {kind}")
        return time.monotonic() - began

    def n_members(self, group):
        return len(self.stack.admin.describe_consumer_groups([group])[group].result().members)

    def fill(self, kind, n=2):
        """Records for each partition of the stage's input."""
        topic = INPUTS[kind]
        producer = self.stack.producer()
        for p in range(PARTITIONS):
            for i in range(n):
                producer.produce(topic, batches.batch("gs-x", [batches.counter("hits_total", i, shard_id="gs-x")], now_ms(), offset=i),
                                 partition=p)
        assert producer.flush(30) == 0

    def behind(self, kind):
        """Partitions with records that the group has not processed, by sluice-offsets status: it knows of transactions' markers,
        and rollup's true position."""
        return {p["partition"] for p in self.status(kind) if p["lag_records"] > 0}

    def status(self, kind):
        done = run(self.stack, "status", "--group", f"sluice-{kind}", "--json", watch_ms=10)
        assert done.returncode in (0, 1), done.stderr
        return [p for g in json.loads(done.stdout)["groups"] for p in g["partitions"] if p["topic"] == INPUTS[kind]]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    stack = StackUnderTest(tmp_path_factory.mktemp("pause") / "stack")
    try:
        stack.kafka.start()
        with Receiver(keep_histograms=True) as receiver:
            yield Pipeline(stack, receiver)
    finally:
        stack.stop()


@pytest.fixture
def tool(pipeline, tmp_path):
    def call(*arguments, **options):
        return run(pipeline.stack, *arguments, **{"snapshot_dir": tmp_path, **options})
    return call


@pytest.mark.parametrize("kind", INPUTS)
def test_every_stage_obeys_keeps_its_partitions_and_goes_on(pipeline, tool, kind, say):
    group = f"sluice-{kind}"
    n_read = pipeline.ready(kind)[1]["partitions"]
    assert n_read >= PARTITIONS
    pipeline.fill(kind)
    wait_for(lambda: not pipeline.behind(kind), 60, "the records before the pause")
    done = tool("pause", group, "--for", "10m", "--reason", "a new store", "--who", "ana")
    assert done.returncode == 0 and f"pauses all that is read by group {group}" in done.stdout, done.stderr
    rule = done.stdout.split()[0]
    took = pipeline.wait_paused(kind, n_read)
    say(f"{kind}: paused {took:.2f} s after the command, {n_read} partitions")
    status, detail = pipeline.ready(kind)
    assert (status, detail["partitions"]) == (200, n_read) and detail["pauses"][0]["id"] == rule
    assert metric(pipeline.workers[kind], "sluice_partitions_paused", reason="operator") == n_read
    pipeline.fill(kind)
    time.sleep(1.5)  # some commit intervals: enough for it to show if it did not obey
    assert pipeline.behind(kind) == set(range(PARTITIONS)) and pipeline.n_members(group) == 1
    of_topic = pipeline.status(kind)
    assert {p["state"] for p in of_topic} == {"paused"} and not any(p["stuck"] for p in of_topic)
    assert "paused by ana until" in of_topic[0]["why"] and "a new store" in of_topic[0]["why"]

    done = tool("resume", group, "--who", "bob", "--reason", "done")
    assert done.returncode == 0 and f"{rule} is taken back" in done.stdout
    wait_for(lambda: not pipeline.behind(kind), 60, "the records behind the pause")
    pipeline.wait_paused(kind, 0)
    assert metric(pipeline.workers[kind], "sluice_partitions_paused", reason="operator") == 0
    told = [a for a in acts(pipeline.stack) if a["id"] == rule]
    assert [(a["who"], a["act"], a["reason"]) for a in told] == [("ana", "pause", "a new store"), ("bob", "resume", "done")]


def test_some_partitions_stand_still_through_a_restart_and_go_on_one_by_one(pipeline, tool):
    stopped = {0, 2, 3, 4}
    done = tool("pause", "sluice-amp", "--topic", "metrics.admitted", "--partitions", "0,2-4", "--for", "1h", "--reason", "r", "--json")
    rule = json.loads(done.stdout)["rule"]
    assert rule["partitions"] == sorted(stopped) and rule["expires_ms"] - rule["created_ms"] == 3_600_000
    pipeline.wait_paused("amp", 4)
    pipeline.fill("amp")
    wait_for(lambda: pipeline.behind("amp") == stopped, 60, "the others")
    worker = pipeline.workers["amp"]
    worker.process.kill()
    worker.start()
    pipeline.wait_paused("amp", 4, 60)
    pipeline.fill("amp")
    wait_for(lambda: pipeline.behind("amp") == stopped, 60, "the others again")
    done = tool("resume", "sluice-amp", "--topic", "metrics.admitted", "--partitions", "2,3")
    assert done.returncode == 0 and "pauses metrics.admitted[0,4] of group sluice-amp" in done.stdout, done
    wait_for(lambda: pipeline.behind("amp") == {0, 4}, 60, "two of them")
    left = json.loads(tool("resume", "sluice-amp", "--json").stdout)
    assert (left["state"], left["rule"]["partitions"], left["rule"]["reason"]) == ("resumed", [0, 4], "r")
    wait_for(lambda: not pipeline.behind("amp"), 60, "all")


def test_a_pause_ends_by_itself_and_the_same_one_again_is_prolonged(pipeline, tool):
    first = tool("pause", "sluice-amp", "--for", "1h", "--reason", "r").stdout.split()[0]
    assert tool("pause", "sluice-amp", "--for", "4s", "--reason", "r").stdout.split()[0] == first
    pipeline.wait_paused("amp", PARTITIONS)
    pipeline.fill("amp")
    wait_for(lambda: not pipeline.behind("amp"), 60, "the end of the pause")
    assert pipeline.ready("amp")[1]["pauses"] == []
    assert tool("resume", "sluice-amp").returncode == 2


def test_a_paused_limit_writes_no_heartbeats(pipeline, tool):
    """They would tell later stages that nothing is left to come."""
    def beats():
        return sum(pipeline.stack.ends("metrics.admitted").values())

    limit = pipeline.workers["limit"]
    limit.stop()
    limit.configure(pipeline.stack.bootstrap, {**json.loads(limit.config_path.read_text()), "heartbeat_ms": 1000})
    limit.start()
    limit.wait_ready()
    before = beats()
    wait_for(lambda: beats() > before + PARTITIONS, 60, "heartbeats")
    tool("pause", "sluice-limit", "--for", "1h", "--reason", "r")
    pipeline.wait_paused("limit", PARTITIONS)
    time.sleep(1)
    before = beats()
    time.sleep(3)
    assert beats() == before
    tool("resume", "sluice-limit")
    wait_for(lambda: beats() > before + PARTITIONS, 60, "heartbeats again")


REFUSED = {
    "no such group": (["sluice-ampp", "--for", "1m"], "has no member and has committed nothing: is that its name?"),
    "a topic that it does not read": (["sluice-amp", "--topic", "metrics.valid", "--for", "1m"], "does not read metrics.valid"),
    "a topic that is not there": (["sluice-amp", "--topic", "nothing", "--for", "1m"], "does not read nothing"),
    "a partition beyond": (["sluice-amp", "--topic", "metrics.admitted", "--partitions", "3,12", "--for", "1m"],
                           "metrics.admitted has 0 to 11"),
    "partitions of no topic": (["sluice-amp", "--partitions", "3", "--for", "1m"], "--partitions: of which --topic?"),
    "no list": (["sluice-amp", "--topic", "metrics.admitted", "--partitions", "a", "--for", "1m"], "neither a list (0,3) nor a range"),
    "no end": (["sluice-amp"], "--for is needed"),
    "no time": (["sluice-amp", "--for", "soon"], "--for soon: a time like 90s"),
    "too long": (["sluice-amp", "--for", "31d"], "30d at most"),
    "no group": (["--for", "1m"], "pause: of what?"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_pause_nothing_is_refused(pipeline, tool, name):
    arguments, words = REFUSED[name]
    before = sum(pipeline.stack.ends("sluice.control").values())
    done = tool("pause", *arguments, "--reason", "r")
    assert done.returncode == 2 and words in done.stderr, done
    assert sum(pipeline.stack.ends("sluice.control").values()) == before


def test_what_can_not_be_resumed_is_refused(pipeline, tool):
    assert "no pause is in force for sluice-amp" in tool("resume", "sluice-amp").stderr
    assert tool("pause", "sluice-amp", "--for", "1m", "--reason", "r").returncode == 0
    done = tool("resume", "sluice-amp", "--topic", "metrics.admitted")
    assert done.returncode == 2 and "resume it whole" in done.stderr
    done = run(pipeline.stack, "pause", "sluice-amp", "--for", "1m", "--reason", "r", audit_topic="nothing")
    assert done.returncode == 2 and "nothing was changed" in done.stderr
    assert tool("resume", "sluice-amp").returncode == 0
    pipeline.wait_paused("amp", 0)


# ---- reset --drain


def test_drained_reset_moves_a_group_that_runs(pipeline, tool):
    """Without a hand on the processes: they leave, the offsets are set, they come back and send again."""
    worker = pipeline.workers["amp"]
    producer = pipeline.stack.producer()
    for i in range(5):
        producer.produce("metrics.admitted", batches.batch("gs-d", scrape("gs-d", i), now_ms() - 10_000 + i * 1000, offset=i), partition=5)
    assert producer.flush(30) == 0
    wait_for(lambda: not pipeline.behind("amp"), 60, "all to be sent")
    before = metric(worker, "sluice_samples_in_total")
    done = tool("reset", "sluice-amp", "--to", "earliest", "--drain", "--dry-run", "--topic", "metrics.admitted", "--partitions", "5")
    assert done.returncode == 0 and "dry run" in done.stdout and pipeline.n_members("sluice-amp") == 1, done
    pid = worker.process.pid
    done = tool("reset", "sluice-amp", "--to", "earliest", "--drain", "--yes", "--topic", "metrics.admitted", "--partitions", "5",
                "--reason", "the store lost a day", "--who", "ana")
    assert done.returncode == 0 and "1 member of sluice-amp still to leave" in done.stderr, done
    worker.wait_ready(60)
    assert worker.process.pid == pid and pipeline.ready("amp")[1]["partitions"] == PARTITIONS
    wait_for(lambda: not pipeline.behind("amp"), 60, "what is sent again")
    assert metric(worker, "sluice_samples_in_total") >= before + 5 * 13
    assert [a["act"] for a in acts(pipeline.stack) if a["who"] == "ana"][-4:] == ["drain", "drain", "reset", "drain ended"]


def test_a_drain_that_nobody_obeys_changes_nothing(pipeline, tool):
    stack = pipeline.stack
    produce(stack, "metrics.dlq", [b"a", b"b"])
    commit(stack, "sluice-amp-foreign", "metrics.dlq", {0: 2})
    consumer = member(stack, "sluice-amp-foreign", "metrics.dlq")
    try:
        done = tool("reset", "sluice-amp-foreign", "--to", "earliest", "--drain", "--yes", drain_timeout_ms=2000)
        assert done.returncode == 1 and "still has 1 members after 2 s: do its workers read sluice.control" in done.stderr, done
        assert stack.committed("sluice-amp-foreign", "metrics.dlq")[0][0] == 2
        assert "no pause is in force" in tool("resume", "sluice-amp-foreign").stderr
    finally:
        consumer.close()


def test_nobody_is_sent_away_before_all_is_looked_at_and_said_yes_to(pipeline, tool):
    before = sum(pipeline.stack.ends("sluice.control").values())
    committed = pipeline.stack.committed("sluice-amp", "metrics.admitted")
    for arguments, stdin, words in ((["earliest"], "no\n", "nobody said yes: nothing was changed"),
                                    (["99999999"], "yes\n", "there is no offset 99999999"),
                                    (["earliest", "--topic", "other"], "yes\n", "committed nothing of what")):
        done = tool("reset", "sluice-amp", "--drain", "--to", *arguments, stdin=stdin)
        assert done.returncode == 2 and words in done.stderr, done
    assert sum(pipeline.stack.ends("sluice.control").values()) == before and pipeline.n_members("sluice-amp") == 1
    now = pipeline.stack.committed("sluice-amp", "metrics.admitted")  # heartbeats come
    assert all(now[p][0] >= offset for p, (offset, _) in committed.items())


def test_a_tool_that_is_killed_while_it_drains_can_be_undone(pipeline, tool):
    stack = pipeline.stack
    produce(stack, "metrics.dlq", [b"a"])
    commit(stack, "sluice-amp-killed", "metrics.dlq", {0: 1})
    consumer = member(stack, "sluice-amp-killed", "metrics.dlq")  # obeys no rule: the tool waits
    try:
        process = subprocess.Popen([offsets_tool.BINARY, "reset", "sluice-amp-killed", "--to", "earliest", "--drain", "--yes",
                                    f"--set=kafka.bootstrap.servers={stack.bootstrap}"], stderr=subprocess.PIPE, text=True)
        told = process.stderr.readline()
        rule = told.partition("rule ")[2].split()[0]
        assert f"or by sluice-offsets resume {rule}" in told
        process.kill()
        process.wait()
        assert f"is drained for a reset by {rule}" not in tool("resume", rule).stderr
        assert "no pause is in force" in tool("resume", rule).stderr
        again = subprocess.Popen([offsets_tool.BINARY, "reset", "sluice-amp-killed", "--to", "earliest", "--drain", "--yes",
                                  f"--set=kafka.bootstrap.servers={stack.bootstrap}"], stderr=subprocess.PIPE, text=True)
        again.stderr.readline()
        assert f"sluice-offsets resume {rule}" in tool("resume", "sluice-amp-killed").stderr
        again.terminate()  # in order: the rule goes with it
        assert again.wait(30) == 1 and "ended by a signal: nothing was changed" in again.stderr.read()
        assert "no pause is in force" in tool("resume", rule).stderr
        assert stack.committed("sluice-amp-killed", "metrics.dlq")[0][0] == 1
    finally:
        consumer.close()


def test_two_workers_of_rollup_are_drained_and_come_back(pipeline, tool):
    """The README's example."""
    second = pipeline.stack.worker("rollup", name="rollup-second", session_timeout_ms=6000)
    wait_for(lambda: pipeline.n_members("sluice-rollup") == 2, 60, "two members")
    pipeline.fill("rollup")
    wait_for(lambda: not pipeline.behind("rollup"), 60, "the records")
    done = tool("reset", "sluice-rollup", "--to", "-30m", "--drain", "--yes")
    assert done.returncode == 0 and "2 members of sluice-rollup still to leave" in done.stderr, done
    wait_for(lambda: pipeline.n_members("sluice-rollup") == 2, 60, "both again")
    wait_for(lambda: pipeline.workers["rollup"].ready() and second.ready(), 60, "both to be ready")
    wait_for(lambda: not pipeline.behind("rollup"), 60, "the records again")
    done = tool("pause", "sluice-rollup", "--for", "1m", "--reason", "r")
    paused = lambda: [json.loads(w.get("/ready")[1])["paused"] for w in (pipeline.workers["rollup"], second)]  # noqa: E731
    wait_for(lambda: sum(paused()) == PARTITIONS and min(paused()) > 0, 30, "both to pause")
    second.stop()  # the other takes them over, paused
    pipeline.wait_paused("rollup", PARTITIONS, 60)
    assert tool("resume", "sluice-rollup").returncode == 0
    pipeline.wait_paused("rollup", 0)


def test_what_workers_would_not_take_is_refused(pipeline, tool):
    done = tool("pause", "sluice-amp", "--for", "1m", "--reason", "x" * 600)
    assert done.returncode == 2 and "reason: must be a string of 1 to 512 bytes" in done.stderr, done
    assert pipeline.ready("amp")[1]["pauses"] == []


def test_control_lists_it(pipeline, tool):
    """sluice-control has the same rules."""
    control = offsets_tool.BINARY.replace("sluice-offsets", "sluice-control")
    rule = tool("pause", "sluice-rollup", "--for", "1m", "--reason", "r").stdout.split()[0]
    listed = subprocess.run([control, "list", f"--set=kafka.bootstrap.servers={pipeline.stack.bootstrap}"], capture_output=True,
                            text=True, check=False, timeout=60)
    assert rule in listed.stdout and "pauses all that is read by group sluice-rollup" in listed.stdout, listed
    done = subprocess.run([control, "revoke", rule, "--reason", "x", "--who", "ana", f"--set=kafka.bootstrap.servers={pipeline.stack.bootstrap}"],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: pipeline.ready("rollup")[1]["paused"] == 0, 30, "the end of it")
