"""sluice-offsets reset, snapshot, restore: what they set, and all that they refuse (rollup's rows: test_rollup.py)."""
import json

import confluent_kafka
import pytest

from deploy.local.workers import ENVIRONMENTS
from tests.flow import batches, offsets_tool
from tests.flow.offsets_tool import commit, create_topic, produce, run
from tests.flow.parquet_audit import Bucket, start_worker
from tests.flow.stack import wait_for
from tests.flow.test_offsets_status import member

T0 = 1_700_000_000_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with offsets_tool.cluster(tmp_path_factory, "reset") as stack:
        create_topic(stack, "input", 2, message_timestamp_type="CreateTime", retention_ms=-1)
        producer = stack.producer()
        for partition in (0, 1):
            for i in range(10):
                producer.produce("input", batches.batch("gs-1", [batches.counter("hits_total", i)], T0 + 1000 * i),
                                 partition=partition, timestamp=T0 + 1000 * i)
        assert producer.flush(30) == 0
        yield stack


@pytest.fixture
def tool(stack, tmp_path):
    def call(*arguments, **options):
        return run(stack, *arguments, **{"snapshot_dir": tmp_path, **options})
    return call


def offsets(stack, group):
    return {p: offset for p, (offset, _) in stack.committed(group, "input").items()}


def test_back_by_offset_time_and_to_the_beginning_after_a_snapshot(stack, tool, tmp_path):
    group = "sluice-amp-a"
    commit(stack, group, "input", {0: 8, 1: 9})
    done = tool("reset", group, "--to", "3", "--dry-run")
    assert done.returncode == 0 and "input[0] 8 -> 3\ninput[1] 9 -> 3\ndry run" in done.stdout
    assert offsets(stack, group) == {0: 8, 1: 9} and list(tmp_path.iterdir()) == []
    done = tool("reset", group, "--to", "3", "--yes", "--who", "ana", "--reason", "a new store")
    assert done.returncode == 0 and "amp sends again" in done.stdout and offsets(stack, group) == {0: 3, 1: 3}
    path, = tmp_path.iterdir()
    assert str(path) in done.stdout
    saved = json.loads(path.read_text())
    assert saved["group"] == group and set(saved["topics"]) == {"input"} and len(saved["cluster_id"]) > 5
    assert [(p["topic"], p["partition"], p["offset"], p["metadata"]) for p in saved["partitions"]] == [
        ("input", 0, 8, ""), ("input", 1, 9, "")]

    commit(stack, group, "input", {0: 8, 1: 9})
    assert tool("reset", group, "--to", f"@{(T0 + 5000) / 1000}", "--yes").returncode == 0
    assert offsets(stack, group) == {0: 5, 1: 5}
    assert tool("reset", group, "--to", "earliest", "--yes", "--partitions", "1").returncode == 0
    assert offsets(stack, group) == {0: 5, 1: 0}
    done = tool("restore", str(path), "--yes")  # forward again: it was there before
    assert done.returncode == 0 and offsets(stack, group) == {0: 8, 1: 9}, done.stderr
    assert "input[1] 0 -> 9" in done.stdout


def test_who_did_what_is_told_first_or_nothing_is_done(stack, tool):
    commit(stack, "sluice-amp-t", "input", {0: 8})
    done = tool("reset", "sluice-amp-t", "--to", "2", "--yes", audit_topic="nothing")
    assert done.returncode == 2 and "nothing was changed" in done.stderr and "topic nothing does not exist" in done.stderr
    assert offsets(stack, "sluice-amp-t") == {0: 8}
    assert tool("reset", "sluice-amp-t", "--to", "2", "--yes", "--who", "ana", "--reason", "why").returncode == 0
    act = [act for act in offsets_tool.acts(stack) if act["id"] == "sluice-amp-t"]
    assert [(a["who"], a["act"], a["reason"], a["detail"]) for a in act] == [
        ("ana", "reset", "why", [{"topic": "input", "partition": 0, "from": 8, "to": 2}])]


def test_nothing_happens_without_a_yes(stack, tool, tmp_path):
    commit(stack, "sluice-limit-b", "input", {0: 8})
    for answer in ("no\n", ""):
        done = tool("reset", "sluice-limit-b", "--to", "1", stdin=answer)
        assert done.returncode == 2 and "nobody said yes: nothing was changed" in done.stderr
    assert offsets(stack, "sluice-limit-b") == {0: 8} and list(tmp_path.iterdir()) == []
    done = tool("reset", "sluice-limit-b", "--to", "1", stdin="yes\n")
    assert done.returncode == 0 and offsets(stack, "sluice-limit-b") == {0: 1}
    assert "limit reads its input again: harmless and of no use" in done.stdout


def test_a_group_that_runs_is_refused(stack, tool):
    commit(stack, "sluice-amp-live", "input", {0: 8, 1: 8})
    consumer = member(stack, "sluice-amp-live", "input")
    try:
        for arguments in (["reset", "sluice-amp-live", "--to", "1", "--yes"],):
            done = tool(*arguments)
            assert done.returncode == 2 and "has 1 members (idler/" in done.stderr
            assert "stop its workers first" in done.stderr
        assert tool("snapshot", "sluice-amp-live").returncode == 0  # only looks
        assert offsets(stack, "sluice-amp-live") == {0: 8, 1: 8}
    finally:
        consumer.close()


def test_what_would_lose_or_cannot_be_is_refused(stack, tool):
    commit(stack, "sluice-amp-c", "input", {0: 4, 1: 4})
    commit(stack, "custom", "input", {0: 4})
    for arguments, words in (
            (["reset", "sluice-amp-c", "--to", "9"], "input[0]: offset 9 lies behind the committed one, 4"),
            (["reset", "sluice-amp-c", "--to", "99"], "there is no offset 99: the log is 0 to 10"),
            (["reset", "sluice-amp-d", "--to", "1"], "group sluice-amp-d has committed nothing"),
            (["reset", "sluice-amp-c", "--to", "1", "--topic", "other"], "committed nothing of what --topic"),
            (["reset", "sluice-amp-c", "--to", "1", "--partitions", "a"], "--partitions a: neither a list"),
            (["reset", "custom", "--to", "1"], "say it with --stage"),
            (["reset", "custom", "--to", "1", "--stage", "moon"], "--stage moon is none of"),
            (["reset", "sluice-amp-c"], "reset: --to is needed"), (["reset", "--to", "1"], "of which group?"),
            (["snapshot", "sluice-amp-d"], "has committed nothing")):
        done = tool(*arguments, *([] if arguments[0] == "snapshot" else ["--yes"]))
        assert done.returncode == 2 and words in done.stderr, (arguments, done)
    assert offsets(stack, "sluice-amp-c") == {0: 4, 1: 4} and offsets(stack, "custom") == {0: 4}
    assert tool("reset", "custom", "--to", "1", "--yes", "--stage", "validate").returncode == 0
    assert tool("reset", "sluice-amp-c", "--to", "9", "--yes", "--force").returncode == 0
    assert offsets(stack, "sluice-amp-c") == {0: 9, 1: 9}


def test_a_snapshot_of_other_things_is_refused(stack, tool, tmp_path):
    create_topic(stack, "passing", 1)
    produce(stack, "passing", [b"a", b"b", b"c"])
    commit(stack, "sluice-amp-e", "passing", {0: 1})
    path = tmp_path / "snapshot.json"
    assert tool("snapshot", "sluice-amp-e", "--out", str(path)).stdout.strip() == str(path)
    assert "File exists" in tool("snapshot", "sluice-amp-e", "--out", str(path)).stderr
    saved = json.loads(path.read_text())

    def refused(words, **changes):
        other = tmp_path / "other.json"
        other.write_text(json.dumps({**saved, **changes}))
        done = tool("restore", str(other), "--yes")
        assert done.returncode == 2 and words in done.stderr, done

    refused("the snapshot is of cluster elsewhere", cluster_id="elsewhere")
    refused("was deleted and made anew since", topics={"passing": "A" * 22})
    refused("lacks topic, partition, offset or metadata", partitions=[{"topic": "passing"}])
    refused("offset 9 is not in the log any more, which is 0 to 3",
            partitions=[{**saved["partitions"][0], "offset": 9}])
    place = confluent_kafka.TopicPartition("passing", 0, 2)
    stack.admin.delete_records([place])[place].result()
    refused("offset 1 is not in the log any more, which is 2 to 3")
    for text, words in (("{", "line 1"), ("{}", "names no group")):
        (tmp_path / "bad.json").write_text(text)
        done = tool("restore", str(tmp_path / "bad.json"), "--yes")
        assert done.returncode == 2 and words in done.stderr


def test_brokers_that_are_away_change_nothing(tool):
    for arguments in (["reset", "g", "--to", "1", "--yes"], ["snapshot", "g"]):
        done = run(None, *arguments, kafka__bootstrap__servers="127.0.0.1:1", connect_timeout_ms=500)
        assert done.returncode == 1 and "nothing was changed" in done.stderr


# parquet

ENV = ENVIRONMENTS["parquet"]


def test_parquet_is_not_sent_back_over_what_it_has_stored(stack, tool, tmp_path):
    """A real worker stores all; then the objects, not the operator, decide."""
    bucket = Bucket(stack)
    keys = {"bucket": bucket.name, "endpoint": bucket.proxy.url, "path_style": "true", "aws__region": "eu-central-1"}
    worker = start_worker(stack, bucket, topics=["input"], group="sluice-parquet-r", raw_max_age_ms=500)
    wait_for(lambda: offsets(stack, "sluice-parquet-r") == {0: 10, 1: 10}, 60, "all stored")
    worker.stop()
    done = tool("reset", "sluice-parquet-r", "--to", "earliest", "--yes")
    assert done.returncode == 2 and "bucket is not set" in done.stderr
    done = tool("reset", "sluice-parquet-r", "--to", "earliest", "--yes", env=ENV, **keys)
    assert done.returncode == 2 and "are stored already" in done.stderr
    assert "rows from 0 on would come twice" in done.stderr and "parquet restore" in done.stderr
    # As if a process had died between intent and objects.
    intent = json.dumps({"first": 10, "last": 12, "layout": {}, "rows": 1, "topic_id": "x"}, separators=(",", ":"))
    commit(stack, "sluice-parquet-r", "input", {0: 10}, intent)
    done = tool("reset", "sluice-parquet-r", "--to", "earliest", "--yes", env=ENV, **keys)
    assert done.returncode == 2 and "its intent is open" in done.stderr and "start them" in done.stderr
    commit(stack, "sluice-parquet-r", "input", {0: 10, 1: 10})
    # An empty place: nothing is in the way.
    done = tool("reset", "sluice-parquet-r", "--to", "earliest", "--yes", env=ENV, **{**keys, "prefix": "elsewhere"})
    assert done.returncode == 0 and offsets(stack, "sluice-parquet-r") == {0: 0, 1: 0}, done.stderr
    done = tool("reset", "sluice-parquet-r", "--to", "5", "--yes", env=ENV,
                **{**keys, "prefix": "elsewhere"})
    assert done.returncode == 2 and "would be read by nobody" in done.stderr
    done = tool("reset", "sluice-parquet-r", "--to", "0", "--yes", env=ENV, **{**keys, "endpoint": "http://127.0.0.1:1"})
    assert done.returncode != 0 and offsets(stack, "sluice-parquet-r") == {0: 0, 1: 0}
