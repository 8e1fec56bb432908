"""Several destinations: a process and a group for each; tenants to workspaces of their own; none waits for another."""
import json
import subprocess

from deploy.local.places import ROOT
from tests.fault.formats import read_letters
from tests.flow import batches
from tests.flow.amp_setting import (NOTHING, PARTITIONS, TOPIC, accounts_close, differences, expected, got, metric, now_ms,
                                    scrape, setting)  # noqa: F401 (a fixture)
from tests.flow.stack import wait_for
from tests.receiver.client import Receiver


def put(setting, tenant, source, i, t):
    setting.producer.produce(TOPIC, batches.batch(source, scrape(source, i), t, tenant=tenant),
                             partition=batches.partition_of(source, PARTITIONS, tenant))


def at_end(setting, group):
    done = setting.stack.committed(group, TOPIC)
    return all(done.get(p, (0, ""))[0] >= end for p, end in setting.stack.ends(TOPIC).items() if end > 0)


def test_tenants_to_their_workspaces_while_one_of_them_hangs(setting):
    start = now_ms() - 30_000
    times = [start + 1000 * i for i in range(10)]
    with Receiver() as slow:
        slow.set_plan([{"hang_ms": 60_000, "times": -1}])
        own = setting.amp(name="own", group="own", tenants=["studio-a"], url=slow.write_url, request_timeout_ms=60_000,
                          shutdown_ms=500)
        rest = setting.amp(name="rest", group="rest", not_tenants=["studio-a"])
        every = setting.amp(name="every", group="every")
        for i, t in enumerate(times):
            put(setting, "studio-a", "gs-a", i, t)
            put(setting, "studio-b", "gs-b", i, t)
            put(setting, "demo", "gs-c", i, t)
        setting.flush()
        for group in ("rest", "every"):
            wait_for(lambda g=group: at_end(setting, g), 30, f"{group} to be done beside one that hangs")
        assert not at_end(setting, "own") and slow.dump() == {}
        assert metric(rest, "sluice_remote_write_elsewhere_records_total", tenant="studio-a") == 10
        assert differences(expected(["gs-a", "gs-b", "gs-c"], times), got(setting.receiver)) == NOTHING
        # "every" brought all; what "rest" brought of its tenants came twice.
        n_times = {dict(key)["shard_id"]: {p.times for p in points.values()} for key, points in setting.receiver.dump().items()}
        assert n_times == {"gs-a": {1}, "gs-b": {2}, "gs-c": {2}}
        slow.set_plan([])
        own.stop()
        own.start()
        wait_for(lambda: at_end(setting, "own"), 60, "the slow one to be done in the end")
        assert differences(expected(["gs-a"], times), got(slow)) == NOTHING
        for worker in (own, rest, every):
            assert accounts_close(worker)
        assert read_letters(setting.stack, "metrics.dlq") == []


def test_by_default_it_sends_what_passed_the_budgets():
    done = subprocess.run([str(ROOT / "build/bin/sluice-amp"), "--print-config", "--set", "url=http://x/w",
                           "--set", "kafka.bootstrap.servers=x:1"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["topics"] == ["metrics.admitted"]


def test_a_route_without_a_group_of_its_own_is_refused():
    done = subprocess.run([str(ROOT / "build/bin/sluice-amp"), "--check", "--set", "tenants=a", "--set", "url=http://x/w",
                           "--set", "kafka.bootstrap.servers=x:1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "group must be set" in done.stderr
