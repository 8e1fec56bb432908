"""Replays into the store: what amp has skipped of a topic lands after all when the store takes it; what can't land is foretold
by the plan and accounted for by apply; one tenant or metric; refusals of the store and their threshold."""
import json

import pytest

from tests.flow import batches
from tests.flow.amp_setting import (NOTHING, PARTITIONS, TOPIC, differences, expected, got, metric, now_ms,
                                    scrape)
from tests.flow.amp_setting import Setting
from tests.flow.replay_tool import Operator, adds_up
from tests.flow.stack import StackUnderTest, wait_for
from tests.receiver.client import Receiver

MINUTE_MS = 60_000
RULES = {}  # the double's, as they were
SERVERS = [f"gs-{i}" for i in range(6)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    stack = StackUnderTest(tmp_path_factory.mktemp("replay"))
    stack.kafka.start()
    stack.create_topic("sluice.replay", 1, cleanup_policy="compact")
    with Receiver(keep_histograms=True) as receiver:
        RULES.update(receiver.rules())
        yield Setting(stack, receiver)
    stack.stop()


def site(shared, name):
    """Topic, group and store of a test's own."""
    topic = f"series-{name}"
    shared.stack.create_topic(topic, PARTITIONS)
    shared.receiver.reset()
    shared.receiver.set_plan([])
    shared.receiver.set_rules(**{**RULES, "out_of_order_ms": 10 * MINUTE_MS})
    return topic, f"amp-{name}"


def put(shared, topic, times, servers=SERVERS, first=0, **more):
    for i, t in enumerate(times, first):
        for server in servers:
            shared.producer.produce(topic, batches.batch(server, scrape(server, i), t, **more),
                                    partition=batches.partition_of(server, PARTITIONS, more.get("tenant", "demo")))
    shared.flush()


def deliver(shared, topic, group, **keys):
    """By a live amp that ends then."""
    amp = shared.amp(topics=[topic], group=group, **keys)

    def caught_up():
        done = shared.stack.committed(group, topic)
        return all(done.get(p, (0, ""))[0] >= end for p, end in shared.stack.ends(topic).items() if end > 0)
    wait_for(caught_up, 60, "the live group")
    return amp


def operator(shared, amp, topic):
    return Operator(shared.stack.places, amp.config_path, "amp", topic)


def test_what_amp_skipped_lands_when_the_store_takes_it(shared, tmp_path, say):
    """The live amp took only what is younger than 2 minutes. The plan says how much that was, apply sends it, the store has
    it all then; the live group stays where it is, and once more changes nothing."""
    topic, group = site(shared, "gap")
    times = [now_ms() - 5 * MINUTE_MS + i * 10_000 for i in range(30)]
    put(shared, topic, times)
    amp = deliver(shared, topic, group, max_sample_age_ms=2 * MINUTE_MS)
    n_skipped = metric(amp, "sluice_samples_rejected_total", reason="too_old_to_send")
    committed = shared.stack.committed(group, topic)
    assert n_skipped > 1000
    tool, plan = operator(shared, amp, topic), tmp_path / "plan.json"
    as_it_is = tool.plan(plan).json["effect"]
    assert as_it_is["too_old_by_their_turn"] >= n_skipped == as_it_is["told_as_gaps"]
    report = tool.plan(plan, max_sample_age_ms=60 * MINUTE_MS).json
    say(f"{report['effect']}")
    effect, n_samples = report["effect"], len(times) * len(SERVERS) * 13
    assert effect["told_as_gaps"] == n_skipped and effect["samples_that_can_land"] == report["to_do"] == n_samples
    assert effect["of_them_there_already"] == n_samples - n_skipped
    told = tool.apply(plan, max_sample_age_ms=60 * MINUTE_MS)
    applied = adds_up(told)
    assert (applied["done"], applied["skipped"], applied["refused"]) == (n_samples, 0, 0)
    assert differences(expected(SERVERS, times), got(shared.receiver)) == NOTHING
    assert shared.stack.committed(group, topic) == committed and metric(amp, "sluice_rebalances_total") == 1
    n_requests = shared.receiver.stats()["requests"]
    assert adds_up(tool.apply(plan, max_sample_age_ms=60 * MINUTE_MS)) == applied
    assert shared.receiver.stats()["requests"] == n_requests
    refused = shared.receiver.stats()["refused"]
    assert not any(refused.values()), refused


def test_what_cannot_land_is_foretold_and_skipped(shared, tmp_path):
    """Too old, too far behind what the store has by now, twice in the range: as many as the plan says, and unsent."""
    topic, group = site(shared, "cannot")
    old = [now_ms() - 90 * MINUTE_MS + i * 10_000 for i in range(5)]
    behind = [now_ms() - 30 * MINUTE_MS + i * 10_000 for i in range(5)]
    young = [now_ms() - 2 * MINUTE_MS + i * 10_000 for i in range(5)]
    put(shared, topic, old + behind + young)
    put(shared, topic, young[-1:], first=14)  # the same once more
    ends = shared.stack.ends(topic)
    newest = [now_ms()]
    put(shared, topic, newest)
    amp = deliver(shared, topic, group, out_of_order_ms=0)
    shared.receiver.reset()
    tool, plan = operator(shared, amp, topic), tmp_path / "plan.json"
    # The replay is of the part before the newest ones, which the store has: partition by partition, since --to is an offset.
    n_each = 13 * len(SERVERS)
    effect = tool.plan(plan, out_of_order_ms=10 * MINUTE_MS).json["effect"]
    assert effect["too_old_by_their_turn"] == 5 * n_each and effect["twice_in_the_range"] == n_each, effect
    p = max(ends, key=ends.get)
    n_servers = sum(batches.partition_of(s, PARTITIONS) == p for s in SERVERS)
    report = tool.plan(plan, "--partitions", str(p), "--to", str(ends[p]), out_of_order_ms=10 * MINUTE_MS).json
    effect = report["effect"]
    assert effect["too_far_behind_their_series"] == effect["too_old_by_their_turn"] == 5 * 13 * n_servers
    assert effect["samples_that_can_land"] == 6 * 13 * n_servers and report["to_do"] == 16 * 13 * n_servers
    applied = adds_up(tool.apply(plan, out_of_order_ms=10 * MINUTE_MS))
    # The double was emptied, so that what was too far behind is not now, and twice in a request it takes in silence.
    assert (applied["done"], applied["skipped"], applied["refused"]) == (11 * 13 * n_servers, 5 * 13 * n_servers, 0)
    have = got(shared.receiver)
    assert {t for points in have.values() for t in points} == set(behind + young)


def test_one_tenant_and_one_metric(shared, tmp_path):
    topic, group = site(shared, "filter")
    times = [now_ms() - MINUTE_MS + i * 5_000 for i in range(6)]
    put(shared, topic, times)
    put(shared, topic, times, servers=["other-1"], tenant="studio-b")
    amp = deliver(shared, topic, group)
    shared.receiver.reset()
    tool, plan = operator(shared, amp, topic), tmp_path / "plan.json"
    told = tool.plan(plan, "--tenant", "nobody")
    assert told.code == 2 and "no record of tenant nobody" in told.err and "demo" in told.err and "studio-b" in told.err
    assert not plan.exists()
    report = tool.plan(plan, "--tenant", "demo", "--metric", "logins_1*").json
    assert report["to_do"] == report["effect"]["samples_that_can_land"] == len(times) * len(SERVERS) * 3  # 1, 10, 11
    applied = adds_up(tool.apply(plan))
    assert applied["done"] == report["to_do"] and applied["skipped"] == 0
    have = got(shared.receiver)
    names = {dict(key)["__name__"] for key in have}
    assert names == {"logins_1_total", "logins_10_total", "logins_11_total"}
    assert {dict(key)["shard_id"] for key in have} == set(SERVERS)
    assert sum(len(points) for points in have.values()) == report["to_do"]


@pytest.mark.parametrize("key", ["tenants", "not_tenants"])
def test_a_tenant_of_another_store_is_refused(shared, tmp_path, key):
    """The live worker would never send its samples there."""
    topic, group = site(shared, f"routed-{key}")
    put(shared, topic, [now_ms()])
    put(shared, topic, [now_ms()], servers=["other-1"], tenant="studio-b")
    amp = deliver(shared, topic, group, **{key: ["demo"]})
    tool, plan = operator(shared, amp, topic), tmp_path / "plan.json"
    here, elsewhere = ("demo", "studio-b") if key == "tenants" else ("studio-b", "demo")
    told = tool.plan(plan, "--tenant", elsewhere)
    assert told.code == 2 and "does not send that tenant's samples there" in told.err and not plan.exists()
    assert tool.plan(plan, "--tenant", here).json["to_do"] > 0
    shared.receiver.reset()
    tool.plan(plan)
    told = tool.apply(plan, **{key: "studio-c"})
    assert told.code == 2 and "the configuration that it was made with" in told.err and got(shared.receiver) == {}
    adds_up(tool.apply(plan))
    assert {dict(key)["shard_id"] for key in got(shared.receiver)} == (set(SERVERS) if here == "demo" else {"other-1"})


def test_refusals_of_the_store_stop_it(shared, tmp_path):
    """Samples that the store refuses are told with its words and counted; above --max-refused it stops behind a piece, and goes
    on with a higher one. The DLQ hears nothing: the log has them."""
    topic, group = site(shared, "refused")
    times = [now_ms() - MINUTE_MS + i * 100 for i in range(60)]
    put(shared, topic, times)
    amp = deliver(shared, topic, group, max_sample_age_ms=1)  # nothing: all are gaps
    tool, plan = operator(shared, amp, topic), tmp_path / "plan.json"
    keys = {"max_sample_age_ms": 60 * MINUTE_MS, "check_names": "false"}
    report = tool.plan(plan, "--rate", "2000", **keys).json
    assert report["pieces"] > 2
    shared.receiver.set_rules(max_label_name_bytes=7)  # "shard_id" has 8
    stopped = tool.apply(plan, **keys)
    assert stopped.code == 1 and "more than --max-refused 100" in stopped.err and "store_invalid" in stopped.err, stopped
    part = json.loads(stopped.out)
    assert part["state"] == "open" and part["refused"] > 100 and part["pieces_done"] == 1
    assert tool.apply(plan, **keys).code == 1
    done = adds_up(tool.apply(plan, "--max-refused", "1000000", **keys))
    assert done["refused"] == done["samples"] == report["to_do"]
    assert shared.stack.read_committed("metrics.dlq") == []


def planned(shared, name, tmp_path):
    """Samples of ten times that the store has lost, a plan of them, and a store that is away."""
    topic, group = site(shared, name)
    times = [now_ms() - MINUTE_MS + i * 1000 for i in range(10)]
    put(shared, topic, times)
    amp = deliver(shared, topic, group)
    shared.receiver.reset()
    tool, plan = operator(shared, amp, topic), tmp_path / "plan.json"
    tool.plan(plan)
    shared.receiver.set_plan([{"times": 100_000, "status": 503}])
    return times, tool, plan


def test_the_store_is_away(shared, tmp_path):
    """Retried as ever; given up by a signal, the same call goes on."""
    times, tool, plan = planned(shared, "away", tmp_path)
    process = tool.start("apply", str(plan), "--json")
    wait_for(lambda: shared.receiver.stats()["requests"] > 2, 30, "some tries")
    process.terminate()
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1 and "apply the plan again" in err, (out, err)
    shared.receiver.set_plan([])
    assert adds_up(tool.apply(plan))["done"] == len(times) * len(SERVERS) * 13
    assert differences(expected(SERVERS, times), got(shared.receiver)) == NOTHING


def test_the_later_of_two_goes_on(shared, tmp_path):
    """Whoever applies last has it: the one before is told so when it comes to note what it has done, and nothing is lost."""
    times, tool, plan = planned(shared, "two", tmp_path)

    def n_notes():
        return len(shared.stack.read_committed("sluice.replay"))
    before, both = n_notes(), []
    for i in (1, 2):
        both.append(tool.start("apply", str(plan), "--json"))
        wait_for(lambda: n_notes() == before + i, 30, "its claim")
    shared.receiver.set_plan([])
    told = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [3, 0], told
    report = json.loads(told[1][0])
    assert report["state"] == "done" and report["done"] == len(times) * len(SERVERS) * 13
    assert differences(expected(SERVERS, times), got(shared.receiver)) == NOTHING
    over = tool.apply(plan, "--abandon")
    assert over.code == 2 and "nothing to give up" in over.err


def test_amp_s_own_refusals(shared, tmp_path):
    topic, group = site(shared, "words")
    put(shared, topic, [now_ms()])
    amp = deliver(shared, topic, group)
    tool, plan = operator(shared, amp, topic), tmp_path / "plan.json"
    told = tool.plan(plan, topic=TOPIC)
    assert told.code == 2 and "none of those" in told.err
    tool.plan(plan)
    told = tool.apply(plan, url="http://127.0.0.1:9/elsewhere")
    assert told.code == 2 and "the configuration that it was made with" in told.err
