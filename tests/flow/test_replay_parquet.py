"""Replays into S3: `sluice-offsets plan replay --stage parquet` finds what is missing of a stretch of a topic, apply stores
just that, and what it may not touch it refuses, with a word on what to do instead."""
import datetime
import json

import pytest
from confluent_kafka import TopicPartition

from deploy.local import kafka
from deploy.local.workers import ENVIRONMENTS
from tests.fault.counter import metric
from tests.flow.offsets_tool import commit
from tests.flow.replay_tool import Operator, adds_up, signed
from tests.flow.stack import StackUnderTest, wait_for
from tests.flow.test_parquet import PARTITIONS, Site, wait_empty


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    stack = StackUnderTest(tmp_path_factory.mktemp("replay"))
    stack.kafka.start()
    stack.create_topic("sluice.replay", 1, cleanup_policy="compact")
    yield stack
    stack.stop()


class ReplaySite(Site):
    """A topic that was stored in many ranges by a worker that has ended."""

    def store(self, n=120, **keys):
        self.send(n)
        worker = self.start(file_max_rows=150, raw_max_age_ms=500, **keys)
        self.wait_stored()
        worker.stop()
        wait_empty(self)
        self.worker = worker
        return worker

    def operator(self, build=None, **more):
        return Operator(self.stack.places, self.worker.config_path, "parquet", self.topic, ENVIRONMENTS["parquet"], build,
                        **more)

    def delete(self, *keys):
        for key in keys:
            self.bucket.boto.delete_object(Bucket=self.bucket.name, Key=key)

    def range_of(self, key):
        """(partition, first, last)"""
        return tuple(int(n) for n in key.removesuffix(".parquet").rsplit("-", 3)[1:])

    def commit(self, offset):
        """Of all partitions; None: what it was when all was stored."""
        ends = self.stack.ends(self.topic)
        commit(self.stack, self.group, self.topic, {p: end if offset is None else offset for p, end in ends.items()})

    def contents(self):
        return {key: self.bucket.read(key) for key in self.bucket.keys()}


@pytest.fixture
def site(shared, request):
    made = ReplaySite(shared, len(shared.workers))
    yield made
    for worker in shared.workers:
        worker.process.kill()
    if getattr(request.node, "failed_in_call", False):
        print("\n".join(shared.log_tails()))


@pytest.fixture(scope="module")
def stored(shared):
    """One for all who find something to refuse; its objects are there again at the end of each."""
    made = ReplaySite(shared, "stored")
    made.store(80)
    return made


def refused(told, *words, code=2):
    assert told.code == code, told
    assert all(word in told.err for word in words), told.err


def test_what_is_missing_is_stored_again_and_nothing_else(site, tmp_path, say):
    """A whole range, one object of another, and the last range are deleted: the plan names just these, and apply makes the
    very same objects, byte for byte. Everything once, and a second time nothing."""
    site.store()
    before = site.contents()
    ranges = sorted({site.range_of(key) for key in before})
    first, middle, last = [[r for r in ranges if r[0] == p] for p in range(PARTITIONS)]
    whole, part, newest = first[2], middle[1], last[-1]
    gone = [key for key in before if site.range_of(key) in (whole, newest)]
    gone.append(next(key for key in before if site.range_of(key) == part))
    site.delete(*gone)
    operator, plan = site.operator(), tmp_path / "plan.json"
    told = operator.plan(plan)
    report = told.json
    say(f"{report['effect']}, {told.seconds:.1f} s")
    assert report["effect"]["objects_missing"] == len(gone) and report["effect"]["objects_there"] == len(before) - len(gone)
    assert report["effect"]["ranges_to_store"] == 3 and report["effect"]["ranges_lacking_objects"] == 1
    pieces = json.loads(plan.read_text())["pieces"]
    assert {(p["partition"], p["first"], p["last"]) for p in pieces} == {whole, part, newest}
    assert site.contents() == {key: data for key, data in before.items() if key not in gone}  # planning changes nothing
    applied = adds_up(operator.apply(plan))
    assert applied["refused"] == 0 and applied["skipped"] > 0 and applied["samples"] == report["to_do"]
    assert site.contents() == before
    assert site.audit().problems == []
    assert adds_up(operator.apply(plan)) == applied  # it is at its end
    assert site.contents() == before
    assert operator.plan(plan).json["pieces"] == 0


def test_a_plan_has_what_was_asked_for(site, tmp_path):
    """Partitions, offsets, times; the worker's own cuts; a table for people."""
    site.store()
    site.delete(*site.contents())
    operator, plan = site.operator(), tmp_path / "plan.json"
    report = operator.plan(plan, "--partitions", "0,2", "--rate", "500").json
    assert [s["partition"] for s in report["partitions"]] == [0, 2]
    assert report["effect"]["rows_to_store"] == report["to_do"] == report["samples"]
    assert report["seconds"] == pytest.approx(report["to_do"] / 500) and set(report["tenants"]) == {"demo", "studio-b"}
    assert report["sources"] <= 40 and sum(report["tenants"].values()) == report["samples"]
    cut = operator.plan(plan, "--to", "30", "--partitions", "1", from_="10").json
    assert [(s["from"], s["to"]) for s in cut["partitions"]] == [(10, 30)] and 15 < cut["records"] <= 20
    assert all(10 <= p["first"] <= p["last"] < 30 for p in json.loads(plan.read_text())["pieces"])
    middle = site.stack.read_committed(site.topic)[60].timestamp()[1]
    by_time = operator.plan(plan, from_=datetime.datetime.fromtimestamp(middle / 1000, datetime.timezone.utc).isoformat()).json
    assert all(s["to"] == site.stack.ends(site.topic)[s["partition"]] for s in by_time["partitions"])
    assert 0 < by_time["records"] == sum(r.timestamp()[1] >= middle for r in site.stack.read_committed(site.topic))
    assert operator.plan(plan, from_="-1d").json["records"] == 120
    assert operator.plan(plan, "--to", "-1d", from_="-2d").json["records"] == 0
    told = operator.run("plan", "replay", "--stage", "parquet", "--topic", site.topic, "--from", "earliest")
    assert told.code == 0 and all(word in told.out for word in ("objects missing", "studio-b", "risks", "not written")), told
    adds_up(operator.apply(tmp_path / "plan.json"))  # of nothing
    operator.plan(plan)
    adds_up(operator.apply(plan))
    assert site.audit().problems == []


def test_the_live_group_is_left_alone(site, tmp_path):
    """Planned and applied while the worker stores what comes: what is its own is not planned, and it loses no partition."""
    site.store()
    site.delete(*list(site.contents())[::3])
    worker = site.start(raw_max_age_ms=86_400_000)
    site.send(60, seed=7)
    operator, plan = site.operator(), tmp_path / "plan.json"
    report = operator.plan(plan).json
    ends, committed = site.stack.ends(site.topic), site.committed()
    assert any("live group stores by itself" in risk for risk in report["risks"])
    assert all(p["last"] < committed[p["partition"]][0] < ends[p["partition"]] for p in json.loads(plan.read_text())["pieces"])
    adds_up(operator.apply(plan))
    assert metric(worker, "sluice_rebalances_total") == 1
    worker.stop()
    wait_empty(site)
    site.start()
    site.wait_stored()
    assert site.audit().problems == []


def test_what_cannot_be_planned(stored, tmp_path):
    """Each refusal says what to do instead, and writes no file."""
    site = stored
    operator, plan = site.operator(), tmp_path / "plan.json"
    refused(operator.plan(plan, topic="nowhere"), "nowhere", "none of those", site.topic)
    refused(operator.plan(plan, topic="nowhere", topics="nowhere"), "does not exist", "topics apply")
    refused(operator.plan(plan, "--to", "5", from_="9"), "lies before the start")
    refused(operator.plan(plan, "--to", "-2h", from_="-1h"), "lies before the start")
    refused(operator.plan(plan, from_="tomorrow"), "--from tomorrow", "2026-")
    refused(operator.plan(plan, from_="9000"), "is not there yet", "--partitions")
    refused(operator.plan(plan, "--partitions", "7"), "has 3")
    refused(operator.plan(plan, "--partitions", "x"), "neither a list")
    refused(operator.plan(plan, "--rate", "fast"), "--rate fast")
    refused(operator.plan(plan, "--tenant", "demo"), "leave them out")
    refused(operator.plan(plan, stages="x"), "stages")
    assert not plan.exists()


def forged(plan, path, change):
    """The plan with a change, and a digest that fits."""
    content = json.loads(plan.read_text())
    change(content)
    path.write_text(json.dumps(signed(content)))
    return path


def test_what_cannot_be_applied(stored, tmp_path, monkeypatch):
    """Changed plans, other places, other clusters, other logs: nothing is stored, and each message says what to do instead."""
    site = stored
    before = site.contents()
    site.delete(*list(before)[1::2])
    missing = site.contents()
    operator, plan, other = site.operator(), tmp_path / "plan.json", tmp_path / "other.json"
    operator.plan(plan)

    other.write_text(plan.read_text().replace('"last": ', '"last": 1'))
    refused(operator.apply(other), "was changed", "make a new plan")
    other.write_text(plan.read_text()[:200])
    refused(operator.apply(other), "line")
    refused(operator.apply(tmp_path / "none.json"), "no such file", "plan replay")
    refused(operator.apply(plan, bucket="another"), "s3://another", "the configuration that it was made with")
    refused(operator.apply(plan, group="another"), "parquet-", "says another")
    monkeypatch.setattr(kafka, "CLUSTER_ID", "YW5vdGhlci1jbHVzdGVyMQ")
    elsewhere = StackUnderTest(tmp_path / "elsewhere")
    elsewhere.kafka.start()
    try:
        refused(operator.apply(plan, kafka__bootstrap__servers=elsewhere.bootstrap), "of cluster", "apply it there")
    finally:
        elsewhere.stop()

    def another_digest(content):
        content["pieces"][0]["digest"] = "0" * 32
    refused(operator.apply(forged(plan, other, another_digest)), "nothing of the piece was done", "make a new plan")
    refused(operator.apply(plan), "is not at its end", "--abandon")  # the forged one is: it was begun
    assert operator.run("apply", str(other), "--abandon").code == 0
    refused(operator.apply(other), "given up")

    site.commit(0)
    refused(operator.apply(plan), "has gone back to offset 0", "will store", "make a new plan when it is past them")
    site.commit(None)
    assert site.contents() == missing

    def beyond(content):
        content["pieces"][-1]["last"] += 10_000
    refused(operator.apply(forged(plan, other, beyond)), "its end was lost")

    site.bucket.proxy.stop()
    away = operator.apply(plan)
    assert away.code == 1 and "S3" in away.err, away
    site.bucket.proxy.start()
    assert site.contents() == missing

    key = sorted(before.keys() - missing.keys(), key=site.range_of)[0]
    crossing = key.removesuffix(".parquet").rpartition("-")[0] + "-9999.parquet"
    site.bucket.boto.put_object(Bucket=site.bucket.name, Key=crossing, Body=b"x")
    refused(operator.apply(plan), "are in objects of the range", "make a new plan")
    refused(operator.plan(tmp_path / "overlap.json"), "overlap")
    site.delete(crossing)
    site.bucket.boto.put_object(Bucket=site.bucket.name, Key=key, Body=b"x", Metadata={"intent": "{}"})
    refused(operator.apply(plan), "another object", "left alone")
    site.delete(key)
    adds_up(operator.apply(plan))
    assert site.contents() == before

    # The control: without the digest other records would pass for the planned ones.
    site.delete(key)
    operator.plan(plan)
    adds_up(site.operator("faults").apply(forged(plan, other, another_digest), fault__replay_no_digest="true"))
    assert site.contents() == before


def test_a_plan_whose_file_is_lost(stored, tmp_path):
    """It was begun, and is in the way of all others of its offsets; its id is all that is left."""
    site = stored
    before = site.contents()
    site.delete(*list(before)[1::2])
    operator, plan, lost = site.operator(), tmp_path / "plan.json", tmp_path / "lost.json"
    operator.plan(plan)

    def another_digest(content):
        content["pieces"][0]["digest"] = "0" * 32
    refused(operator.apply(forged(plan, lost, another_digest)), "nothing of the piece was done")
    lost_id = json.loads(lost.read_text())["plan"]
    refused(operator.apply(plan), lost_id, "--instead-of")
    refused(operator.apply(plan, "--instead-of", "moon"), "no such plan")
    refused(operator.apply(plan), lost_id, "--instead-of")
    for _ in range(2):  # the same call again does no harm
        adds_up(operator.apply(plan, "--instead-of", lost_id))
        assert site.contents() == before
    refused(operator.apply(lost), "given up")


def cut_log(site, partition, offset):
    for future in site.stack.admin.delete_records([TopicPartition(site.topic, partition, offset)]).values():
        future.result()


def test_what_retention_took_since(site, tmp_path):
    """A plan whose records are gone, and a range that lacks an object but not all of whose rows the log has any more."""
    site.store()
    operator, plan = site.operator(), tmp_path / "plan.json"
    before = site.contents()
    ranges = sorted({site.range_of(key) for key in before})
    part = next(r for r in ranges if r[0] == 2 and sum(site.range_of(key) == r for key in before) > 1)
    gone = [next(key for key in before if site.range_of(key) == part)]
    gone += [key for key in before if site.range_of(key)[0] == 1]
    site.delete(*gone)
    missing = site.contents()
    operator.plan(plan)
    cut_log(site, 1, 5)
    refused(operator.apply(plan), "retention has taken some", "make a new plan")
    assert site.contents() == missing
    cut_log(site, 2, part[2])
    rest = operator.plan(plan, from_="-1d").json
    assert any("can't be made whole" in risk and f"{part[1]} to {part[2]}" in risk for risk in rest["risks"]), rest["risks"]
    pieces = json.loads(plan.read_text())["pieces"]
    assert {p["partition"] for p in pieces} == {1} and min(p["first"] for p in pieces) == 5
    refused(operator.plan(tmp_path / "none.json", from_="2"), "past retention", "begins at 5", "--from earliest")
    assert any("retention" in risk for risk in rest["risks"]) and not (tmp_path / "none.json").exists()
    adds_up(operator.apply(plan))
    assert missing.items() < site.contents().items()


def test_a_topic_that_was_made_again(shared, stored, tmp_path):
    """The last one that needs it."""
    site = stored
    site.delete(*site.contents())
    operator, plan = site.operator(), tmp_path / "plan.json"
    assert operator.plan(plan).json["to_do"] > 0
    for future in site.stack.admin.delete_topics([site.topic]).values():
        future.result()
    wait_for(lambda: site.topic not in site.stack.admin.list_topics(timeout=10).topics, what="the topic to be gone")
    refused(operator.apply(plan), "does not exist")
    site.stack.create_topic(site.topic, PARTITIONS)
    wait_for(lambda: "made again" in operator.apply(plan).err, what="the new topic to be seen")
    refused(operator.apply(plan), "made again", "make a new plan")
    assert site.contents() == {}
