"""A long pause of every stage under load (15 minutes in production; here SLUICE_PAUSE_S, 120): afterwards a clean catch-up. No
sample is lost or there twice, in the store, in the rollups or in the files, and none is refused that need not be. A store that
had skipped the range for its age gets it by a plan."""
import json
import os
import time

import pytest

from deploy.local.places import ROOT
from tests.fault.formats import read_letters
from tests.fault.load import Load
from tests.flow import rollup_check
from tests.flow.amp_setting import metric
from tests.flow.offsets_tool import run
from tests.flow.parquet_audit import Audit, Bucket, start_worker
from tests.flow.replay_tool import Operator, adds_up
from tests.flow.stack import wait_for
from tests.receiver.client import Receiver

PAUSE_S = int(os.environ.get("SLUICE_PAUSE_S", "120"))
# When each stage stops, in parts of the pause; all go on together. One after the other, so that each has records behind it.
STOPS = {"sluice-rollup": 0, "sluice-amp": 0, "sluice-amp-b": 0, "sluice-parquet": 0, "sluice-limit": 0.4, "sluice-validate": 0.7}
TOPICS = {"sluice-validate": "metrics.ingest.demo", "sluice-limit": "metrics.valid"}
BINARY = str(ROOT / "build/release/tests/receiver/sluice-test-receiver")


class Site:
    def __init__(self, stack, receivers):
        stack.create_all_topics()
        self.stack, self.receivers, self.bucket = stack, receivers, Bucket(stack)
        self.workers = {f"sluice-{kind}": stack.worker(kind, ready=False) for kind in ("validate", "limit", "rollup")}
        self.workers["sluice-amp"] = stack.worker("amp", ready=False, url=receivers[0].write_url)
        self.workers["sluice-amp-b"] = stack.worker("amp", ready=False, url=receivers[1].write_url, group="sluice-amp-b",
                                                    max_sample_age_ms=PAUSE_S * 500)
        self.workers["sluice-parquet"] = start_worker(stack, self.bucket, ready=False, raw_max_age_ms=5000)
        for worker in self.workers.values():
            worker.wait_ready(60)

    def pause(self, group, seconds):
        done = run(self.stack, "pause", group, "--for", f"{seconds}s", "--reason", "the rehearsal")
        assert done.returncode == 0, done.stderr

    def resume(self, group):
        done = run(self.stack, "resume", group)
        assert done.returncode == 0, done.stderr

    def reads(self, group):
        return TOPICS.get(group, "metrics.admitted")

    def places(self, groups):
        """Where they stand, once they have committed what they had taken when their pause began."""
        for group in groups:
            wait_for(lambda g=group: self.is_paused(g), 30, f"the pause of {group}")
        time.sleep(6)
        return {group: self.stack.committed(group, self.reads(group)) for group in groups}

    def is_paused(self, group):
        return metric(self.workers[group], "sluice_partitions_paused", reason="operator") > 0

    def wait_through(self, group, timeout_s=180):
        def is_through():
            done = run(self.stack, "status", "--group", group, "--json", watch_ms=10)
            return all(p["lag_records"] == 0 for g in json.loads(done.stdout)["groups"] for p in g["partitions"])
        wait_for(is_through, timeout_s, f"{group} to catch up")


@pytest.fixture
def site(stack):
    rules = {"out_of_order_ms": 600_000}
    with Receiver(rules=rules, binary=BINARY) as store, Receiver(rules=rules, binary=BINARY) as second:
        yield Site(stack, [store, second])


def pause_all(site):
    """{group: where it stood at the beginning of its pause}"""
    began, stood = time.monotonic(), {}
    for part in sorted(set(STOPS.values())):
        time.sleep(max(0.0, began + part * PAUSE_S - time.monotonic()))
        groups = [group for group in STOPS if STOPS[group] == part]
        for group in groups:
            site.pause(group, 3 * PAUSE_S)
        stood.update(site.places(groups))
    time.sleep(max(0.0, began + PAUSE_S - time.monotonic()))
    return stood


def check_stood(site, stood):
    for group, before in stood.items():
        topic = site.reads(group)
        assert site.stack.committed(group, topic) == before, f"{group} moved"
        assert sum(site.stack.ends(topic).values()) > sum(offset for offset, _ in before.values()), f"{group} had nothing to do"
        assert len(site.stack.admin.describe_consumer_groups([group])[group].result().members) == 1


def pause_validate_alone(site):
    """The stages behind it go on: limit writes heartbeats, rollup closes windows of which more is to come."""
    site.pause("sluice-validate", 3 * PAUSE_S)
    stood = site.places(["sluice-validate"])
    time.sleep(PAUSE_S / 5)
    check_stood(site, stood)
    site.resume("sluice-validate")


def test_a_long_pause_of_all_stages(site, tmp_path, say):
    load = Load(site.stack, tmp_path, rate=900, interval_s=2, series=30, seed=4)
    time.sleep(8)
    pause_validate_alone(site)
    check_stood(site, pause_all(site))
    for group in STOPS:
        site.resume(group)
    resumed = time.monotonic()
    time.sleep(10)
    sent = load.stop()
    for group in ("sluice-validate", "sluice-limit", "sluice-amp", "sluice-amp-b", "sluice-parquet", "sluice-rollup"):
        site.wait_through(group)
    say(f"{sent['samples']} samples; caught up {time.monotonic() - resumed:.1f} s after a pause of {PAUSE_S} s")

    for topic in ("metrics.valid", "metrics.admitted"):
        code, report = load.verify("--topic", topic)
        assert code == 0, report
    code, report = load.verify("--receiver", site.receivers[0].url, "--no-repeats")
    assert code == 0, report
    assert not any(site.receivers[0].stats()["refused"].values())
    assert read_letters(site.stack, "metrics.dlq") == []

    check_rollups(site, say)
    audit = Audit(site.stack, site.bucket)
    say(f"files: {audit}")
    assert audit.problems == [] and audit.n_rows > 0
    fill_the_second_store(site, load, tmp_path, say)


def check_rollups(site, say):
    """limit ends once its heartbeats stand behind all else, so that the log stands still under the oracle."""
    wait_for(lambda: rollup_check.is_through(site.stack), 60, "heartbeats")
    site.workers["sluice-limit"].stop()
    wait_for(lambda: rollup_check.is_through(site.stack), 60, "the rollups")
    verdict = rollup_check.check_minutes(site.stack)
    say(f"rollups: {verdict}")
    assert verdict.problems == [] and verdict.n_rows > 0


def fill_the_second_store(site, load, tmp_path, say):
    amp = site.workers["sluice-amp-b"]
    skipped = metric(amp, "sluice_samples_rejected_total", reason="too_old_to_send")
    code, report = load.verify("--receiver", site.receivers[1].url)
    assert skipped > 0 and code == 1 and report["lost"] == skipped, (skipped, report)
    operator = Operator(site.stack.places, amp.config_path, "amp", "metrics.admitted")
    plan, keys = tmp_path / "plan.json", {"max_sample_age_ms": 3_600_000}
    told = operator.plan(plan, **keys)
    applied = adds_up(operator.apply(plan, **keys))
    say(f"the second store had skipped {skipped:.0f}: {applied}")
    assert told.json["to_do"] >= skipped
    code, report = load.verify("--receiver", site.receivers[1].url)
    assert code == 0, report
    assert not any(site.receivers[1].stats()["refused"].values())
