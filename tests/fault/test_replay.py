"""apply under kill -9: killed at any instant and called again, a replay has the effect of one that was left alone. Objects
byte for byte, the store's contents sample for sample, and the report's sums. A fault of the test build, which notes a piece
before it is done, must show.

REPLAY_KILLS (10) and REPLAY_SEED for soak."""
import os
import random
import subprocess
import time

from deploy.local.workers import ENVIRONMENTS
from tests.flow.amp_setting import NOTHING, PARTITIONS as AMP_PARTITIONS, Setting, differences, expected, got, now_ms
from tests.flow.replay_tool import Operator, adds_up
from tests.flow.test_parquet import Site, wait_empty
from tests.flow.test_replay_amp import MINUTE_MS, SERVERS, deliver, put
from tests.flow.test_replay_parquet import shared  # noqa: F401 (a fixture)
from tests.receiver.client import Receiver

KILLS = int(os.environ.get("REPLAY_KILLS", "10"))
SEED = int(os.environ.get("REPLAY_SEED", "5"))


def apply_with_kills(operator, plan, n_there, **keys):
    """Kills apply KILLS times: every other time a random while after its start, else a random while after it had an effect;
    the last one runs to its end. n_there: how much the sink has."""
    rng, parts = random.Random(SEED), [n_there()]
    for i in range(KILLS):
        process = operator.start("apply", str(plan), "--json", **keys)
        while i % 2 == 1 and n_there() == parts[-1] and process.poll() is None:
            time.sleep(0.01)
        try:
            process.wait(rng.uniform(0.0, 0.4))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        parts.append(n_there())
    told = operator.apply(plan, **keys)
    assert any(0 < n < n_there() for n in parts), parts
    return parts, told


def store(site):
    """Many small ranges, by a worker that has ended."""
    site.send(150)
    worker = site.start(file_max_rows=60, raw_max_age_ms=500)
    site.wait_stored()
    worker.stop()
    wait_empty(site)
    return Operator(site.stack.places, worker.config_path, "parquet", site.topic, ENVIRONMENTS["parquet"])


def empty(bucket):
    for key in bucket.keys():
        bucket.boto.delete_object(Bucket=bucket.name, Key=key)


def test_into_parquet(shared, tmp_path, say):
    site = Site(shared, 1)
    operator, plan = store(site), tmp_path / "plan.json"
    empty(site.bucket)
    operator.plan(plan, "--to", "20")
    assert adds_up(operator.apply(plan))["skipped"] == 0
    undisturbed = {key: site.bucket.read(key) for key in site.bucket.keys()}
    empty(site.bucket)
    report = operator.plan(plan, "--to", "20", "--rate", "1000").json
    parts, told = apply_with_kills(operator, plan, lambda: len(site.bucket.keys()))
    applied = adds_up(told)
    say(f"objects after each kill: {parts} of {len(undisturbed)}, {report['pieces']} pieces; {applied}")
    assert applied["refused"] == 0 and applied["samples"] == report["to_do"]
    assert {key: site.bucket.read(key) for key in site.bucket.keys()} == undisturbed
    operator.plan(plan)
    adds_up(operator.apply(plan))
    assert site.audit().problems == []  # with the rest, all of the topic


def amp_site(shared, receiver, name):
    setting = Setting.__new__(Setting)
    setting.stack, setting.receiver, setting.producer, setting.n_samples = shared, receiver, shared.producer(), 0
    for topic, n in ((f"series-{name}", AMP_PARTITIONS), ("metrics.dlq", 1), ("sluice.gaps", 1)):
        if topic not in shared.admin.list_topics(timeout=10).topics:
            shared.create_topic(topic, n)
    return setting, f"series-{name}", f"amp-{name}"


def skipped_by_amp(shared, receiver, name, build=None):
    """A topic of which the live amp has skipped all."""
    setting, topic, group = amp_site(shared, receiver, name)
    times = [now_ms() - 5 * MINUTE_MS + i * 1000 for i in range(100)]
    put(setting, topic, times)
    amp = deliver(setting, topic, group, max_sample_age_ms=1)
    amp.stop()
    operator = Operator(shared.places, amp.config_path, "amp", topic, build=build)
    return operator, times


KEYS = {"max_sample_age_ms": 60 * MINUTE_MS}


def test_into_the_store(shared, tmp_path, say):
    with Receiver(keep_histograms=True, rules={"out_of_order_ms": 10 * MINUTE_MS}) as receiver:
        operator, times = skipped_by_amp(shared, receiver, "kills")
        plan = tmp_path / "plan.json"
        report = operator.plan(plan, "--rate", "3000", **KEYS).json
        receiver.set_plan([{"skip": 3, "times": 2, "status": 500, "store": True, "body": "lost answer"}])
        parts, told = apply_with_kills(operator, plan, lambda: sum(map(len, got(receiver).values())), **KEYS)
        applied = adds_up(told)
        say(f"samples after each kill: {parts}, {report['pieces']} pieces; {applied}")
        assert applied["done"] == applied["samples"] == report["to_do"], applied
        assert differences(expected(SERVERS, times), got(receiver)) == NOTHING
        assert not any(receiver.stats()["refused"].values())


def test_a_note_before_the_piece_is_found_out(shared, tmp_path):
    """The control: with that fault a kill loses a piece, and the comparison sees it."""
    with Receiver(keep_histograms=True, rules={"out_of_order_ms": 10 * MINUTE_MS}) as receiver:
        operator, times = skipped_by_amp(shared, receiver, "control", build="faults")
        plan = tmp_path / "plan.json"
        operator.plan(plan, "--rate", "4000", **KEYS)
        receiver.set_plan([{"skip": 1, "times": 1000, "action": "hang", "hang_ms": 60_000}])
        process = operator.start("apply", str(plan), "--json", fault__replay_note_first="true", **KEYS)
        deadline = time.monotonic() + 30
        while receiver.stats()["requests"] < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        process.communicate()
        receiver.set_plan([])
        operator.apply(plan, **KEYS)
        assert differences(expected(SERVERS, times), got(receiver))["n_lost"] > 0
