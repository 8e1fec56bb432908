"""amp against a store that does all that a store must not do, by turns, with kill -9 in between: when it has healed,
every acceptable sample is there, each series in order, and the DLQ holds what the store never takes and nothing else."""
import random
import threading
import time

import pytest

from tests.fault.formats import read_letters
from tests.flow import batches
from tests.flow.amp_setting import (NOTHING, accounts_close, differences, expected, got, metric, now_ms, scrape,
                                    setting)  # noqa: F401 (a fixture)
from tests.flow.stack import wait_for

POISON = {"match": "poison_", "status": 400, "times": -1, "body": "no"}
MISDEEDS = {
    "500s": [{"status": 500, "times": 4}],
    "500s that kept it": [{"status": 500, "times": 3, "store": True}],
    "429 with Retry-After": [{"status": 429, "retry_after_s": 1, "times": 2}],
    "hangs": [{"hang_ms": 2500, "times": 2}, {"hang_ms": 2500, "times": 1, "store": True}],
    "resets after the body": [{"reset": True, "times": 3}, {"reset": True, "times": 3, "store": True}],
    "truncated answers": [{"status": 200, "truncate": True, "times": 2},
                          {"action": "pass", "truncate": True, "times": 2}],
    "413 above a size": [{"status": 413, "min_samples": 20, "times": 12}],
    "401 and 404": [{"status": 401, "times": 2}, {"status": 404, "times": 2}],
}


class Feeder(threading.Thread):
    """Scrapes of every server, each third with a series that the store never takes; new servers now and then."""

    def __init__(self, setting, n_servers):
        super().__init__(daemon=True)
        self.setting = setting
        self.servers = [f"gs-{i}" for i in range(n_servers)]
        self.times = {}  # {server: [times]}
        self.poison = set()
        self.ending = threading.Event()

    def run(self):
        i = 0
        while not self.ending.is_set():
            t = now_ms()
            if i % 60 == 59:
                self.servers.append(f"gs-{len(self.servers)}")
            for k, server in enumerate(self.servers):
                times = self.times.setdefault(server, [])
                points = scrape(server, len(times))
                if (i + k) % 3 == 0:
                    points.append(batches.counter(f"poison_{k}_total", i, shard_id=server))
                    self.poison.add((f"poison_{k}_total", t))
                self.setting.put(server, points, t)
                times.append(t)
            self.setting.producer.poll(0)
            i += 1
            time.sleep(0.1)

    def expected(self):
        want = {}
        for server, times in self.times.items():
            want.update(expected([server], times))
        return want


def misbehave(setting, rng, workers, kills, say):
    done = []
    names = list(MISDEEDS) + ["series limit"]
    rng.shuffle(names)
    for i, name in enumerate(names):
        if name == "series limit":
            setting.receiver.set_plan([POISON])
            setting.receiver.set_rules(max_series=max(1, setting.receiver.stats()["series"]))
        else:
            setting.receiver.set_rules(max_series=0)
            setting.receiver.set_plan([POISON] + MISDEEDS[name])
            wait_for(lambda: any(step["hits"] for step in setting.receiver.plan()[1:]), 30, f"{name} to happen")
        done.append(name)
        time.sleep(rng.uniform(0.3, 1.0))
        if kills and i % 2 == 0:
            victim = rng.choice(workers)
            victim.process.kill()
            wait_for(lambda: not victim.process.alive(), 10)
            victim.start()
    say(f"in this order: {', '.join(done)}")


@pytest.mark.parametrize("kills", [False, True], ids=["alone", "and kill -9"])
def test_a_hostile_store(setting, say, kills):
    rng = random.Random(11)
    setting.receiver.set_plan([POISON])
    keys = {"max_samples": 200, "request_timeout_ms": 1000, "max_backoff_ms": 300, "batch_deadline_ms": 100}
    workers = [setting.amp(name=f"amp-{i}", **keys) for i in range(2 if kills else 1)]
    feeder = Feeder(setting, 6)
    feeder.start()
    misbehave(setting, rng, workers, kills, say)
    feeder.ending.set()
    feeder.join()
    setting.receiver.set_rules(max_series=0)
    setting.receiver.set_plan([POISON])
    setting.wait_caught_up(90)
    assert differences(feeder.expected(), got(setting.receiver)) == NOTHING
    letters = read_letters(setting.stack, "metrics.dlq")
    wrong = [x for x in letters if not x["metric"].startswith("poison_")]
    assert wrong == []
    dead = {(x["metric"], p["time_ms"]) for x in letters for p in x["points"]}
    stats = setting.receiver.stats()
    say(f"{setting.n_samples} samples, {stats['requests']} requests, {stats['status']}, {len(dead)} of {len(feeder.poison)} "
        f"bad ones in the DLQ, violations {stats['violations']}")
    assert dead and dead <= feeder.poison
    assert set(stats["violations"]) <= ({"in_flight", "late", "retry_too_early"} if kills else set())
    if not kills:
        amp = workers[0]
        there = metric(amp, "sluice_remote_write_already_there_samples_total")
        assert len(dead) + there == len(feeder.poison)
        assert metric(amp, "sluice_remote_write_bisections_total") > 0
        assert metric(amp, "sluice_remote_write_retried_samples_total") > 0
        assert accounts_close(amp)
