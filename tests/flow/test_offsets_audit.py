"""sluice-offsets audit over what a real sluice-parquet stored: all is there; then objects are deleted, their ledger is cut
off, put beside each other, and audit names exactly these."""
import base64
import json

import pytest

from deploy.local.workers import ENVIRONMENTS
from tests.flow import batches, offsets_tool
from tests.flow.offsets_tool import create_topic, produce, run
from tests.flow.parquet_audit import Bucket, start_worker
from tests.flow.replay_tool import Operator, adds_up
from tests.flow.stack import wait_for
from tests.flow.test_offsets_cat import avro_record

HOUR_MS = 3_600_000
T0 = 1_790_000_000_000 // HOUR_MS * HOUR_MS
GROUP = "sluice-parquet"


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Three ranges in partition 0, cut by their rows, each of two hours (two objects), and one in partition 1; heartbeats between
    them."""
    with offsets_tool.cluster(tmp_path_factory, "audit") as stack:
        create_topic(stack, "series", 2)
        create_topic(stack, "sluice.gaps", 1)
        create_topic(stack, "sluice.replay", 1, cleanup_policy="compact")
        stack.bucket = Bucket(stack)
        worker = start_worker(stack, stack.bucket, topics=["series"], group=GROUP, file_max_rows=4, raw_max_age_ms=2000)
        for n in range(3):
            produce(stack, "series", [batch(n, 0), batch(n, HOUR_MS), batches.heartbeat(T0)])
            if n == 0:
                produce(stack, "series", [batch(9, 0)], partition=1)
            end = 3 * (n + 1)
            wait_for(lambda: stack.committed(GROUP, "series").get(0, (0,))[0] >= end, 60, "a range")
        wait_for(lambda: stack.committed(GROUP, "series").get(1, (0,))[0] >= 1, 60, "the other's range")
        worker.stop()
        stack.config = worker.config_path
        yield stack


def batch(n, later_ms):
    return batches.batch("gs-1", [batches.counter("hits_total", n), batches.gauge("players", n)], T0 + later_ms + n)


def audit(stack, *arguments, code=0, **keys):
    bucket = stack.bucket
    where = {"bucket": bucket.name, "endpoint": bucket.proxy.url, "path_style": "true", "aws__region": "eu-central-1"}
    done = run(stack, "audit", "--topic", "series", "--json", *arguments, env=ENVIRONMENTS["parquet"], **{**where, **keys})
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout) if code < 2 else done.stderr


def objects(stack, partition=0):
    """{(first, last): [keys]}"""
    found = {}
    for key in sorted(stack.bucket.keys()):
        name = key.rsplit("/", 1)[1].removesuffix(".parquet").rsplit("-", 3)
        if int(name[1]) == partition:
            found.setdefault((int(name[2]), int(name[3])), []).append(key)
    return found


class Lost:
    """Objects taken away for the block, put back with their metadata behind it."""

    def __init__(self, stack, *keys):
        self.stack, self.keys = stack, keys

    def __enter__(self):
        bucket = self.stack.bucket
        self.kept = {key: (bucket.read(key), bucket.metadata(key)) for key in self.keys}
        for key in self.keys:
            bucket.boto.delete_object(Bucket=bucket.name, Key=key)
        return self.kept

    def __exit__(self, *_):
        bucket = self.stack.bucket
        for key, (body, metadata) in self.kept.items():
            bucket.boto.put_object(Bucket=bucket.name, Key=key, Body=body, Metadata=metadata)


def test_all_is_there_once(stack):
    answer = audit(stack)
    assert answer["n_findings"] == 0 and answer["findings"] == [] and answer["told_gaps"] == []
    assert answer["log_rows"] == 2 * 7 and answer["objects"] == len(stack.bucket.keys()) and answer["ranges"] == 4
    assert answer["pending_rows"] == 0
    assert audit(stack, "--table", "samples")["log_rows"] == 14 and audit(stack, "--table", "rollup_1m")["log_rows"] == 0
    assert audit(stack, "--from", "3", "--to", "6")["ranges"] == 1
    where = {"bucket": stack.bucket.name, "endpoint": stack.bucket.proxy.url, "path_style": "true",
             "aws__region": "eu-central-1"}
    text = run(stack, "audit", "--topic", "series", env=ENVIRONMENTS["parquet"], **where).stdout
    assert "series: 7 objects of 4 ranges, 14 rows in the log, 0 not stored yet" in text


def test_an_object_that_is_lost_is_named(stack):
    (first, last), keys = list(objects(stack).items())[1]
    with Lost(stack, keys[0]):
        finding, = audit(stack, code=1)["findings"]
        assert (finding["kind"], finding["partition"], finding["first"], finding["last"]) == ("objects", 0, first, last)
        assert "1 of its 2 objects are there" in finding["text"]
        finding, = audit(stack, "--table", "samples", code=1)["findings"]
        assert finding["kind"] == "rows" and "samples has 2 rows of these offsets, the log 4" in finding["text"]
    assert audit(stack)["n_findings"] == 0


def test_a_range_that_is_lost_as_a_whole_is_a_gap(stack):
    (first, _), keys = list(objects(stack).items())[1]
    with Lost(stack, *keys):
        finding, = audit(stack, code=1)["findings"]
        assert (finding["kind"], finding["first"], finding["last"]) == ("gap", first, first + 1)
        assert "4 rows of the log are in no object" in finding["text"]
        assert audit(stack, "--to", str(first))["n_findings"] == 0


def test_a_ledger_that_is_cut_off_is_named(stack):
    (first, last), keys = list(objects(stack).items())[2]
    with Lost(stack, keys[0]) as kept:
        body, metadata = kept[keys[0]]
        stack.bucket.boto.put_object(Bucket=stack.bucket.name, Key=keys[0], Body=body,
                                     Metadata={**metadata, "intent": metadata["intent"][:-5]})
        kinds = {(f["kind"], f["first"], f["last"]) for f in audit(stack, code=1)["findings"]}
        assert kinds == {("ledger", first, last), ("rows", first, last)}
        assert any(keys[0] in f["text"] for f in audit(stack, code=1)["findings"])
        stack.bucket.boto.put_object(Bucket=stack.bucket.name, Key=keys[0], Body=body,
                                     Metadata={**metadata, "rows": "1"})
        finding, = audit(stack, code=1)["findings"]
        assert finding["kind"] == "rows" and "samples has 3 rows of these offsets, the log 4" in finding["text"]


def cut_ledger(stack, key):
    bucket = stack.bucket
    metadata = bucket.metadata(key)
    bucket.boto.put_object(Bucket=bucket.name, Key=key, Body=bucket.read(key),
                           Metadata={**metadata, "intent": metadata["intent"][:-5]})


def contents(bucket):
    return {key: (bucket.read(key), bucket.metadata(key)) for key in bucket.keys()}


def test_the_repair_plan_restores_what_is_missing(stack, tmp_path, say):
    """Of one range an object is deleted, of another, and of one that has no more than one, the ledger is cut off: audit finds
    exactly these, --repair writes the plan, and apply makes them what they were, metadata and bytes."""
    bucket, plan = stack.bucket, tmp_path / "repair.plan"
    before = contents(bucket)
    (lacking, told_badly, _), (alone,) = objects(stack).items(), objects(stack, 1).items()
    bucket.boto.delete_object(Bucket=bucket.name, Key=lacking[1][0])
    for key in (told_badly[1][1], alone[1][0]):
        cut_ledger(stack, key)
    operator = Operator(stack.places, stack.config, "parquet", "series", ENVIRONMENTS["parquet"])
    command = ("audit", "--topic", "series", "--repair", "--out", str(plan))
    answer = operator.run(*command, "--json")
    assert answer.code == 1, answer
    answer = json.loads(answer.out)
    found = {(f["kind"], f["partition"], f["first"], f["last"]) for f in answer["findings"]}
    assert found == {("objects", 0, *lacking[0]), ("ledger", 0, *told_badly[0]), ("rows", 0, *told_badly[0]),
                     ("ledger", 1, *alone[0]), ("rows", 1, *alone[0])}
    report = answer["repair"]["plan"]
    say(f"{report['effect']}")
    assert answer["repair"]["left"] == [] and report["effect"]["objects_without_ledger"] == 2
    assert (report["effect"]["ranges_lacking_objects"], report["effect"]["ranges_to_tell_again"]) == (1, 2)
    pieces = json.loads(plan.read_text())["pieces"]
    assert [(p["partition"], p["first"], p["last"]) for p in pieces] == [(0, *lacking[0]), (0, *told_badly[0]), (1, *alone[0])]
    told = operator.run(*command)
    assert told.code == 1 and f"sluice-offsets apply {plan}" in told.out and "its metadata do not tell" in told.out, told
    applied = adds_up(operator.apply(plan))
    assert applied["samples"] == 4 + 4 + 2 and applied["done"] == 2 + 2 + 2 and applied["skipped"] == 4
    assert contents(bucket) == before
    assert audit(stack)["n_findings"] == 0


def test_what_no_plan_repairs(stack, tmp_path):
    """Overlaps and strangers are told with what to do, and stay out of the plan; without a gap there is none."""
    bucket, plan = stack.bucket, tmp_path / "repair.plan"
    operator = Operator(stack.places, stack.config, "parquet", "series", ENVIRONMENTS["parquet"])
    command = ("audit", "--topic", "series", "--repair", "--out", str(plan))
    told = operator.run(*command)
    assert told.code == 0 and "nothing that a plan could fill" in told.out and not plan.exists(), told
    (first, last), keys = list(objects(stack).items())[1]
    alone, = objects(stack, 1).values()
    twin = keys[0].replace(f"-{first}-{last}.parquet", f"-{first + 1}-{last}.parquet")
    stranger = keys[0].rsplit("/", 1)[0] + "/notes.txt"
    for key in (twin, stranger):
        bucket.boto.put_object(Bucket=bucket.name, Key=key, Body=b"x")
    try:
        with Lost(stack, *alone):
            answer = json.loads(operator.run(*command, "--json").out)["repair"]
            assert {left["kind"]: left["n"] for left in answer["left"]} == {"overlap": 1, "foreign": 1}
            assert all(left["instead"] for left in answer["left"])
            assert [span["partition"] for span in answer["plan"]["partitions"]] == [1] and answer["plan"]["pieces"] == 1
    finally:
        for key in (twin, stranger):
            bucket.boto.delete_object(Bucket=bucket.name, Key=key)
    assert "give that, too" in audit(stack, "--out", "x", code=2)
    with Lost(stack, *keys):
        refused = operator.run(*command, raw_max_age_ms=-1)
        assert refused.code == 2 and "raw_max_age_ms" in refused.err, refused


def test_overlaps_and_foreign_objects_are_named(stack):
    bucket = stack.bucket
    (first, last), keys = list(objects(stack).items())[1]
    metadata = bucket.metadata(keys[0])
    intent = json.loads(metadata["intent"])
    twin = keys[0].replace(f"-{first}-{last}.parquet", f"-{first + 1}-{last}.parquet")
    intent["first"] = first + 1
    stranger = keys[0].rsplit("/", 1)[0] + "/notes.txt"
    former = keys[0].replace(intent["topic_id"], "A" * 22)
    bucket.boto.put_object(Bucket=bucket.name, Key=twin, Body=bucket.read(keys[0]), Metadata={
        **metadata, "intent": json.dumps(intent, separators=(",", ":"))})
    bucket.boto.put_object(Bucket=bucket.name, Key=stranger, Body=b"x")
    bucket.boto.put_object(Bucket=bucket.name, Key=former, Body=b"x")
    try:
        answer = audit(stack, code=1)
        kinds = {f["kind"]: f for f in answer["findings"]}
        assert f"offsets {first} to {last} and {first + 1} to {last} are stored both" in kinds["overlap"]["text"]
        assert stranger in kinds["foreign"]["text"] and answer["objects_of_former_topics"] == 1
    finally:
        for key in (twin, stranger, former):
            bucket.boto.delete_object(Bucket=bucket.name, Key=key)
    assert audit(stack)["n_findings"] == 0


def test_what_sinks_told_that_they_skipped_is_shown(stack):
    topic_id = json.loads(stack.bucket.metadata(next(iter(stack.bucket.keys())))["intent"])["topic_id"]
    gap = {"sink": "sluice-amp", "tenant": "demo", "source": 5, "from_ms": T0, "to_ms": T0 + 9,
           "reason": "too_old_to_send", "samples": 12, "topic": "series",
           "topic_id": base64.urlsafe_b64decode(topic_id + "=="), "partition": 0, "first_offset": 3, "last_offset": 4}
    produce(stack, "sluice.gaps", [avro_record("gap", {**gap, "topic": "another"})])
    assert audit(stack)["told_gaps"] == []
    produce(stack, "sluice.gaps", [avro_record("gap", gap)])
    told, = audit(stack, code=1)["told_gaps"]
    assert told["sink"] == "sluice-amp" and told["samples"] == 12
    assert audit(stack, "--to", "3")["told_gaps"] == []


def test_rows_that_are_not_stored_yet_are_no_gap(stack):
    """Last: it adds to the log."""
    produce(stack, "series", [batch(7, 0)])
    answer = audit(stack, "--to", "99", "--from", "5", code=0)
    assert answer["pending_rows"] == 2 and answer["n_findings"] == 0


def test_refusals(stack):
    assert "--table moon is none of" in audit(stack, "--table", "moon", code=2)
    assert "has committed nothing of series" in audit(stack, "--group", "sluice-none", code=2)
    assert "bucket is not set" in audit(stack, code=2, bucket="")
    assert "audit: --topic is needed" in run(stack, "audit").stderr
