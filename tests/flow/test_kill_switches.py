"""What sluice-control writes, obeyed by sluice-limit on a real cluster: kill switches, sampling, temporary limits,
shedding; within about a second, by workers that start later, and while another worker hangs."""
import json
import os
import signal
import subprocess
import time

import pytest

from deploy.local.metrics import Page
from deploy.local.places import ROOT
from tests.flow import batches
from tests.flow.batches import counter
from tests.flow.limit_oracle import Batch
from tests.flow.stack import StackUnderTest, wait_for

CONTROL = f"{os.environ.get('SLUICE_BIN', ROOT / 'build/bin')}/sluice-control"
PARTITIONS = 12


class Limiters:
    """A cluster with its topics, and batches as validate writes them. Times are real: rules end by the clock."""

    def __init__(self, stack, folder):
        self.stack = stack
        self.folder = folder
        self.n_sent = 0
        self.n_read = 0
        self.policy = folder / "policy.json"
        self.policy.write_text(json.dumps({"tenants": {"demo": {}, "studio-b": {}}}))
        stack.create_all_topics()
        self.producer = stack.producer()

    def start(self, name):
        return self.stack.worker("limit", name=name, policy=str(self.policy), commit_interval_ms=50,
                                 heartbeat_ms=3_600_000)

    def control(self, *arguments):
        out = subprocess.run([CONTROL, *arguments, "--set", f"kafka.bootstrap.servers={self.stack.bootstrap}"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                             env={**os.environ, "USER": "ann", "SUDO_USER": ""})
        assert out.returncode == 0, out.stderr
        return out.stdout

    def rule_ids(self):
        return [rule["id"] for rule in json.loads(self.control("list", "--json"))]

    def send(self, metrics, sources=("gs-1",), tenant="demo", class_="standard"):
        """A batch of one series of each metric, from each source."""
        now_ms = int(time.time() * 1000)
        for source in sources:
            self.n_sent += 1
            value = batches.batch(source, [counter(m, 1.0, shard_id=source) for m in metrics], now_ms, tenant=tenant,
                                  class_=class_, offset=self.n_sent)
            self.producer.produce("metrics.valid", value, partition=batches.partition_of(source, PARTITIONS, tenant))
        self.producer.flush()
        return self.n_sent

    def admitted(self):
        """{offset in the ingest topic: the metrics let through}"""
        rows = {}
        for record in self.stack.read_committed("metrics.admitted"):
            batch = Batch(record)
            if not batch.is_heartbeat:
                rows[batch.origin[2]] = [s.metric for s in batch.series]
        return rows

    def send_until(self, condition, *arguments, timeout_s=30, **options):
        """Batches, until what becomes of one is as wanted; how long that took."""
        began = time.monotonic()

        def comes_true():
            n = self.send(*arguments, **options)
            self.wait_processed()
            return condition(self.admitted().get(n, []))

        wait_for(comes_true, timeout_s, "the rule's effect")
        return time.monotonic() - began

    def pages(self):
        return [Page(w.metrics()) for w in self.stack.workers if w.process.alive()]

    def total(self, name):
        return sum(page.total(name) for page in self.pages())

    def wait_processed(self):
        """A worker's count is gone with it, so what was committed is asked for."""
        ends = self.stack.ends("metrics.valid")
        wait_for(lambda: all(self.stack.committed("sluice-limit", "metrics.valid").get(p, (0, ""))[0] >= end
                             for p, end in ends.items() if end > 0), what="limit to catch up")


@pytest.fixture
def limiters(tmp_path):
    stack = StackUnderTest(tmp_path / "stack")
    try:
        stack.kafka.start()
        yield Limiters(stack, tmp_path)
    finally:
        stack.stop()


def audit(limiters):
    return [json.loads(r.value()) for r in limiters.stack.read_committed("sluice.audit")]


def test_a_kill_switch_from_effect_to_end(limiters, say):
    limiters.start("limit-1")
    assert limiters.send_until(lambda m: m == ["debug_a", "kept"], ["debug_a", "kept"]) >= 0
    rule = ["kill", "--tenant", "demo", "--metric", "debug_*", "--label", "shard_id=gs-1", "--drop", "--reason", "a flood", "--ttl"]
    limiters.control(*rule, "1h")
    began = time.monotonic()
    first, = limiters.rule_ids()
    wait_for(lambda: limiters.total("sluice_control_rules") == 1, what="the worker to know it")
    n = limiters.send(["debug_a", "kept"])
    limiters.wait_processed()
    say(f"a kill switch was in effect {time.monotonic() - began:.1f} s after it was written (goal 2 s)")
    assert limiters.admitted()[n] == ["kept"]
    # Another source and another tenant are not meant.
    n = limiters.send(["debug_a"], sources=["gs-2"])
    limiters.send(["debug_a"], tenant="studio-b")
    limiters.wait_processed()
    rows = limiters.admitted()
    assert rows[n] == ["debug_a"] and rows[n + 1] == ["debug_a"]
    # A worker that starts later obeys from its first record.
    limiters.stack.workers[0].stop()
    n = limiters.send(["debug_a", "kept"])
    limiters.start("limit-2")
    limiters.wait_processed()
    assert limiters.admitted()[n] == ["kept"]
    page = Page(limiters.stack.workers[-1].metrics())
    assert page.by("sluice_samples_rejected_total", "reason") == {"killed": 1}
    assert list(page.by("sluice_killed_samples_total", "rule").values()) == [1]
    assert page.by("sluice_control_rules", "kind")["kill"] == 1
    # Another one ends by itself; who, when and why stay on record. What it dropped is no dead letter.
    limiters.control(*rule, "3s")
    limiters.control("revoke", first, "--reason", "over")
    limiters.send_until(lambda m: m == ["debug_a", "kept"], ["debug_a", "kept"], timeout_s=60)
    assert not limiters.rule_ids()
    entry, *others = audit(limiters)
    assert [other["act"] for other in others] == ["kill", "revoke"]
    assert (entry["who"], entry["reason"]) == ("ann", "a flood") and entry["rule"]["metric"] == "debug_*"
    assert not limiters.stack.read_committed("metrics.dlq")


def test_a_rule_spreads_while_a_worker_hangs(limiters, say):
    workers = [limiters.start(f"limit-{i}") for i in range(2)]
    wait_for(lambda: all(Page(w.metrics()).total("sluice_partitions_assigned") == PARTITIONS / 2 for w in workers),
             what="both to have their half")
    sources = [f"gs-{i}" for i in range(60)]
    limiters.send(["debug_a", "kept"], sources)
    limiters.wait_processed()
    workers[0].process.signal(signal.SIGSTOP)
    try:
        limiters.control("kill", "--tenant", "demo", "--metric", "debug_*", "--drop", "--ttl", "10m", "--reason", "x")
        began = time.monotonic()
        wait_for(lambda: Page(workers[1].metrics()).total("sluice_control_rules") == 1, 5, "the other worker to know")
        say(f"known to the worker that runs {time.monotonic() - began:.1f} s after it was written, while another hangs")
        limiters.send(["debug_a", "kept"], sources)
        wait_for(lambda: Page(workers[1].metrics()).total("sluice_killed_samples_total") > 0, what="its effect")
    finally:
        workers[0].process.signal(signal.SIGCONT)
    limiters.wait_processed()
    wait_for(lambda: limiters.total("sluice_control_rules") == 2, what="the one that hung to know, too")
    first = limiters.send(["debug_a", "kept"], sources) - len(sources) + 1
    limiters.wait_processed()
    rows = limiters.admitted()
    assert all(rows[n] == ["kept"] for n in range(first, first + len(sources)))


def test_sampling_shedding_limits_and_revocation(limiters):
    limiters.start("limit-1")
    sources = [f"gs-{i}" for i in range(40)]
    limiters.send(["debug_a", "kept"], sources)
    limiters.control("kill", "--tenant", "demo", "--metric", "debug_*", "--sample", "1/4", "--ttl", "1h", "--reason", "x")
    wait_for(lambda: limiters.total("sluice_control_rules") == 1, what="the rule")
    first = limiters.n_sent + 1
    for _ in range(10):
        limiters.send(["debug_a", "kept"], sources)
    limiters.wait_processed()
    rows = limiters.admitted()
    of_rule = [rows[n] for n in range(first, limiters.n_sent + 1)]
    assert all("kept" in metrics for metrics in of_rule)
    n_passed = sum(metrics == ["debug_a", "kept"] for metrics in of_rule)
    assert 50 < n_passed < 150, "one batch in four of 400 passes whole"
    limiters.control("revoke", *limiters.rule_ids(), "--reason", "over")
    limiters.send_until(lambda m: m == ["debug_a", "kept"], ["debug_a", "kept"], sources=["gs-0"])
    # A temporary limit replaces the policy's budget: the third series of a source is refused.
    limiters.control("limit", "set", "--tenant", "demo", "--budget", "source", "--value", "2", "--ttl", "1h", "--reason", "x")
    wait_for(lambda: limiters.total('sluice_control_rules') == 1, what="the limit")
    n = limiters.send(["a", "b", "c"], sources=["fresh"])
    limiters.wait_processed()
    assert limiters.admitted()[n] == ["a", "b"]
    limiters.control("limit", "clear", "--tenant", "demo", "--reason", "over")
    limiters.send_until(lambda m: m == ["a", "b", "c"], ["a", "b", "c"], sources=["fresh"])
    # Shedding by hand: the class goes, the one above it stays.
    limiters.control("shed", "--class", "verbose", "--ttl", "1h", "--reason", "x", "--force")
    limiters.send_until(lambda m: m == [], ["a"], sources=["fresh"], class_="verbose")
    n = limiters.send(["a"], sources=["fresh"])
    limiters.wait_processed()
    assert limiters.admitted()[n] == ["a"]
    page, = limiters.pages()
    shed = page.by("sluice_samples_shed_total", "reason")
    assert shed["operator"] >= 1
    n_in, n_out = page.total("sluice_samples_in_total"), page.total("sluice_samples_out_total")
    assert n_in == n_out + page.total("sluice_samples_rejected_total") + sum(shed.values())
