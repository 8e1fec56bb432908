"""sluice-offsets parquet restore and skip, with a real worker and S3Proxy: offsets that were lost come back from the
objects, what retention has eaten is passed over and told; the worker goes on, each row is there once."""
import itertools
import json

import confluent_kafka
import pytest

from deploy.local.workers import ENVIRONMENTS
from tests.flow import batches, offsets_tool
from tests.flow.offsets_tool import commit, create_topic, lines, produce, run
from tests.flow.parquet_audit import Audit, Bucket, start_worker
from tests.flow.stack import wait_for

HOUR_MS = 3_600_000
T0 = 1_790_000_000_000
numbers = itertools.count()


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with offsets_tool.cluster(tmp_path_factory, "repair") as stack:
        create_topic(stack, "sluice.gaps", 1)
        yield stack


class Site:
    """A topic, a group and a bucket of a test's own; two ranges are stored."""

    def __init__(self, stack, folder):
        n = next(numbers)
        self.stack, self.folder = stack, folder
        self.topic, self.group, self.bucket = f"series-{n}", f"sluice-parquet-{n}", Bucket(stack, f"bucket-{n}")
        create_topic(stack, self.topic, 2)
        self.worker = start_worker(stack, self.bucket, self.group, topics=[self.topic], group=self.group, raw_max_age_ms=300)
        for i in range(2):
            self.send(2, i)
            self.wait_stored(2 * (i + 1))
        self.worker.stop()

    def send(self, n, seed=0):
        """seed 1: an hour apart, so that the range has an object for each."""
        produce(self.stack, self.topic, [
            batches.batch("gs-1", [batches.counter("hits_total", i)], T0 + 10 * seed + i * (HOUR_MS if seed == 1 else 1))
            for i in range(n)])

    def wait_stored(self, offset):
        wait_for(lambda: self.committed().get(0, (0, ""))[0] >= offset, 60, f"offset {offset}")

    def committed(self):
        return self.stack.committed(self.group, self.topic)

    def lose_offsets(self):
        self.stack.admin.delete_consumer_groups([self.group])[self.group].result()

    def tool(self, *arguments, **keys):
        where = {"bucket": self.bucket.name, "endpoint": self.bucket.proxy.url, "path_style": "true",
                 "aws__region": "eu-central-1", "snapshot_dir": self.folder}
        return run(self.stack, "parquet", arguments[0], self.group, "--topic", self.topic, *arguments[1:],
                   env=ENVIRONMENTS["parquet"], **{**where, **keys})

    def eat(self, offset):
        """Retention takes all below."""
        place = confluent_kafka.TopicPartition(self.topic, 0, offset)
        self.stack.admin.delete_records([place])[place].result()

    def gaps(self):
        return [r["value"] for r in lines(run(self.stack, "cat", "sluice.gaps")) if r["value"]["sink"] == self.group]

    def goes_on(self, offset):
        self.worker.start()
        self.wait_stored(offset)
        self.worker.stop()


def assert_stored_once(site):
    assert Audit(site.stack, site.bucket, site.topic).problems == []


@pytest.fixture
def site(stack, tmp_path):
    return Site(stack, tmp_path)


def test_lost_offsets_come_back_from_whole_ranges(site):
    site.lose_offsets()
    site.send(2, 5)
    done = site.tool("restore", "--from-objects", "--dry-run")
    assert done.returncode == 0 and f"{site.topic}[0] -1 -> 4" in done.stdout and site.committed() == {}
    done = site.tool("restore", "--from-objects", "--yes", "--json")
    assert json.loads(done.stdout) == {"group": site.group, "done": True, "snapshot": None, "moves": [
        {"topic": site.topic, "partition": 0, "from": -1, "to": 4}]}
    assert f"{site.topic}[1] has no objects" in done.stderr and site.committed() == {0: (4, "")}
    site.goes_on(6)
    assert_stored_once(site)
    done = site.tool("restore", "--from-objects", "--yes")
    assert done.returncode == 2 and "has its offset, 6: it stays" in done.stdout and "nothing to restore" in done.stderr


def test_a_range_that_lacks_an_object_is_begun_again_with_its_intent(stack, tmp_path):
    site = Site(stack, tmp_path)
    lost, kept = (k for k in sorted(site.bucket.keys()) if k.endswith("-2-3.parquet"))
    intent = site.bucket.metadata(kept)["intent"]
    site.bucket.boto.delete_object(Bucket=site.bucket.name, Key=lost)
    site.lose_offsets()
    done = site.tool("restore", "--from-objects", "--yes")
    assert done.returncode == 0 and site.committed() == {0: (2, intent)}, done.stderr
    site.goes_on(4)
    assert lost in site.bucket.keys()
    assert_stored_once(site)


def test_a_ledger_that_does_not_tell_is_refused(site):
    key = next(k for k in site.bucket.keys() if k.endswith("-2-3.parquet"))
    site.bucket.boto.put_object(Bucket=site.bucket.name, Key=key, Body=b"x", Metadata={"intent": "no"})
    site.lose_offsets()
    done = site.tool("restore", "--from-objects", "--yes")
    assert done.returncode == 2 and "do not tell its range" in done.stderr and site.committed() == {}


def test_what_retention_has_eaten_is_skipped_and_told(site):
    site.send(4, 7)
    site.eat(6)  # of offsets 4 to 7 the first two
    done = site.tool("skip", "--dry-run")
    assert done.returncode == 0 and f"{site.topic}[0] 4 to 5: skipped" in done.stdout
    assert site.gaps() == [] and site.committed()[0] == (4, "")
    done = site.tool("skip")
    assert done.returncode == 2 and "look at it with --dry-run, then say --yes" in done.stderr and site.gaps() == []
    done = site.tool("skip", "--yes", "--json")
    assert done.returncode == 0 and site.committed()[0] == (6, ""), done.stderr
    assert json.loads(done.stdout)["moves"] == [{"topic": site.topic, "partition": 0, "from": 4, "to": 6}]
    gap, = site.gaps()
    assert (gap["topic"], gap["partition"], gap["first_offset"], gap["last_offset"]) == (site.topic, 0, 4, 5)
    assert gap["reason"] == "retention" and gap["samples"] == 0
    site.goes_on(8)
    done = site.tool("skip", "--yes")
    assert done.returncode == 2 and "there is nothing to skip" in done.stderr


def test_an_open_range_that_is_eaten_is_skipped_as_a_whole(site):
    site.send(4, 7)
    intent = site.bucket.metadata(next(iter(site.bucket.keys())))["intent"]
    text = '{"first":4,"last":6,' + intent[intent.index('"layout"'):]
    text = text[:text.index('"rows"')] + '"rows":3,' + text[text.index('"topic_id"'):]
    commit(site.stack, site.group, site.topic, {0: 4}, text)
    site.eat(5)
    done = site.tool("skip", "--yes")
    assert done.returncode == 0 and site.committed()[0] == (7, ""), (done.stdout, done.stderr)
    gap, = site.gaps()
    assert (gap["first_offset"], gap["last_offset"], gap["samples"]) == (4, 6, 3)
    site.goes_on(8)


def test_refusals(site):
    site.worker.start()
    site.worker.wait_ready()
    for verb in (["skip", "--yes"], ["restore", "--from-objects", "--yes"]):
        done = site.tool(*verb)
        assert done.returncode == 2 and "stop its workers first" in done.stderr
    site.worker.stop()
    assert "--from-objects is needed" in site.tool("restore", "--yes").stderr
    assert "bucket is not set" in site.tool("skip", "--yes", bucket="").stderr
    site.send(2, 3)
    site.eat(5)
    done = site.tool("skip", "--yes", gaps_topic="nothing")
    assert done.returncode == 2 and "topic nothing does not exist" in done.stderr and site.committed()[0] == (4, "")
