"""sluice-amp between real Kafka and the receiver double: what arrives, what is refused, what misbehaves."""
import random
import signal
import threading
import time

import pytest

from tests.fault.formats import read_letters
from tests.flow import batches, prometheus
from tests.flow.stack import wait_for
from tests.flow.amp_setting import (NOTHING, TOPIC, accounts_close, differences, expected, got, metric, now_ms, scrape,
                                    setting)  # noqa: F401 (a fixture)


def test_everything_arrives_once_and_in_order(setting):
    servers = [f"gs-{i}" for i in range(5)]
    start = now_ms() - 30_000
    times = [start + 1000 * i for i in range(20)]
    for i, t in enumerate(times):
        for server in servers:
            setting.put(server, scrape(server, i), t)
    setting.producer.produce(TOPIC, batches.heartbeat(now_ms()), partition=0)
    amp = setting.amp()
    setting.wait_caught_up()
    assert differences(expected(servers, times), got(setting.receiver)) == NOTHING
    assert all(p.times == 1 for points in setting.receiver.dump().values() for p in points.values())
    assert setting.receiver.stats()["violations_total"] == 0
    assert setting.receiver.stats()["metadata"] >= 13  # type and unit of each metric
    histogram = setting.receiver.samples(match='__name__="tick_seconds"')[0]["histogram"]
    assert histogram["schema"] == 3
    assert metric(amp, "sluice_samples_out_total", tenant="demo") == setting.n_samples
    assert accounts_close(amp)
    assert metric(amp, "sluice_freshness_seconds_count") == setting.n_samples


def test_culprits_go_to_the_dlq_and_the_rest_arrives(setting):
    amp = setting.amp(batch_deadline_ms=300)
    t = now_ms() - 10_000
    setting.put("gs-1", scrape("gs-1", 0), t)
    setting.wait_caught_up()
    points = scrape("gs-1", 1)
    times = [t + 1000] * len(points)
    times[4] = t - 400_000  # behind its series' newest and out of the window
    setting.put("gs-1", points, t + 1000, times=times)
    setting.wait_caught_up()
    setting.put("gs-1", scrape("gs-1", 2) + [batches.counter("0bad", 1.0, shard_id="gs-1")], t + 2000)
    setting.producer.produce(TOPIC, b"garbage", partition=1)
    setting.wait_caught_up()
    want = expected(["gs-1"], [t, t + 1000, t + 2000])
    del want[(("__name__", "logins_4_total"), ("shard_id", "gs-1"))][t + 1000]
    assert differences(want, got(setting.receiver)) == NOTHING
    letters = read_letters(setting.stack, "metrics.dlq")
    assert sorted((x["reason"], x["metric"]) for x in letters) == [
        ("store_invalid", "0bad"), ("store_too_old", "logins_4_total"), ("undecodable", "")]
    late = next(x for x in letters if x["reason"] == "store_too_old")
    assert late["points"][0]["time_ms"] == t - 400_000 and len(late["points"][0]["series"]) == 16
    assert late["origin"]["topic"] == "metrics.ingest.demo" and "too old" in late["text"]
    assert (late["stage"], late["tenant"], late["samples"]) == ("amp", "demo", 1)
    assert accounts_close(amp)


@pytest.mark.parametrize("prefix", ["poison", "0poison"], ids=["a store without words", "a store that names them"])
def test_few_requests_find_the_culprits(setting, say, prefix):
    """Of a request of 200: n * log2 and a few; 2 n + 1 by name. All requests count (tests/unit/amp/search_test.c: why no fewer)."""
    names = prefix == "0poison"  # not a name, says the store then
    setting.receiver.set_plan([] if names else [{"match": "poison_", "status": 400, "times": -1, "body": "no"}])
    setting.amp(check_names=False, max_samples=1000)
    n_requests, found = 0, set()
    for n_bad in (1, 4, 25):
        places = set(random.Random(n_bad).sample(range(200), n_bad))
        found |= {f"{prefix}_{n_bad}_{k}" for k in places}
        points = [batches.counter(f"{prefix if k in places else 'good'}_{n_bad}_{k}", 1.0, shard_id="gs-1") for k in range(200)]
        setting.put("gs-1", points, now_ms() - 1000)
        setting.wait_caught_up()
        n, n_requests = setting.receiver.stats()["requests"] - n_requests, setting.receiver.stats()["requests"]
        say(f"{n_bad} of 200 found by {n} requests")
        assert n <= (2 * n_bad + 1 if names else 8 * n_bad + (3 if n_bad == 1 else 8))
    assert {x["metric"] for x in read_letters(setting.stack, "metrics.dlq")} == found
    assert sum(len(points) for points in setting.receiver.dump().values()) == 3 * 200 - len(found)


@pytest.mark.parametrize("plan", [
    [{"status": 503, "times": 5}, {"status": 429, "retry_after_s": 1, "times": 3}],
    [{"reset": True, "times": 5}, {"reset": True, "store": True, "times": 5}],
    [{"hang_ms": 3000, "times": 2, "store": True}, {"status": 500, "store": True, "times": 4}],
    [{"status": 401, "times": 3}, {"status": 404, "times": 3}, {"status": 413, "min_samples": 20, "times": 10}],
], ids=["503 and 429", "resets", "timeouts and lost answers", "auth, 404, 413"])
def test_whatever_the_store_does_nothing_is_lost(setting, plan):
    setting.receiver.set_plan(plan)
    amp = setting.amp(request_timeout_ms=1000)
    servers = [f"gs-{i}" for i in range(6)]
    times = [now_ms() - 20_000 + 500 * i for i in range(20)]
    for i, t in enumerate(times):
        for server in servers:
            setting.put(server, scrape(server, i), t)
        setting.flush()
        time.sleep(0.05)
    setting.wait_caught_up()
    assert differences(expected(servers, times), got(setting.receiver)) == NOTHING
    assert read_letters(setting.stack, "metrics.dlq") == []
    assert setting.n_violations("retry_too_early", "samples_unsorted", "header", "labels", "late") == {}
    assert accounts_close(amp)


def test_at_the_series_limit_known_series_flow_on(setting):
    amp = setting.amp(max_backoff_ms=200)
    t = now_ms() - 20_000
    setting.put("gs-1", scrape("gs-1", 0), t)
    setting.wait_caught_up()
    setting.receiver.set_rules(max_series=13)
    for i in range(1, 6):
        setting.put("gs-1", scrape("gs-1", i), t + 1000 * i)
        setting.put("gs-2", scrape("gs-2", i), t + 1000 * i)
    setting.flush()
    known = expected(["gs-1"], [t + 1000 * i for i in range(6)])
    wait_for(lambda: differences(known, got(setting.receiver)) == NOTHING, 20, "the known series to flow on")
    wait_for(lambda: metric(amp, "sluice_remote_write_limited") == 1, 10, "the alarm")
    assert not setting.caught_up()
    setting.receiver.set_rules(max_series=0)
    setting.wait_caught_up()
    assert sum(len(points) for points in setting.receiver.dump().values()) == 13 * 11
    assert read_letters(setting.stack, "metrics.dlq") == []
    assert metric(amp, "sluice_remote_write_limited") == 0
    assert accounts_close(amp)


def test_an_orderly_end_delivers_what_was_taken_in(setting):
    amp = setting.amp(name="amp-a")
    times = [now_ms() - 20_000 + 100 * i for i in range(100)]
    for i, t in enumerate(times):
        setting.put("gs-1", scrape("gs-1", i), t)
        if i == 50:
            setting.flush()
            wait_for(lambda: metric(amp, "sluice_samples_out_total") > 0, 20)
            amp.stop()
            assert amp.process.exit_code() == 0
    setting.flush()
    amp.start()
    setting.wait_caught_up()
    assert differences(expected(["gs-1"], times), got(setting.receiver)) == NOTHING
    assert all(p.times == 1 for points in setting.receiver.dump().values() for p in points.values())


def test_prometheus_refuses_in_its_own_way(setting):
    """2.42: 500 for what is older than its window; nothing of a refused request is kept, and nothing is named. A
    store might have kept such a point, so it counts as there; the rest arrives."""
    stack = setting.stack
    start = now_ms() - 120_000
    times = [start + 1000 * i for i in range(10)]
    amp = setting.amp(url=stack.prometheus.write_url, max_sample_age_ms=0, out_of_order_ms=0)
    for i, t in enumerate(times):
        points = scrape("gs-1", i)
        late = [t] * len(points)
        if i == 5:
            late[3] = start - 3 * 3_600_000
        setting.put("gs-1", points, t, times=late)
        setting.flush()
        time.sleep(0.1)
    setting.wait_caught_up()
    found = prometheus.series(stack.prometheus.url, '{shard_id="gs-1"}', time.time())
    have = {dict(key)["__name__"]: [t for t, _ in points] for key, points in found.items()}
    without = times[:5] + times[6:]
    want = {f"logins_{k}_total": without if k == 3 else times for k in range(12)}
    assert have == {**want, "tick_seconds": times}
    assert accounts_close(amp)
    refused = metric(amp, "sluice_samples_rejected_total")
    assert refused + metric(amp, "sluice_remote_write_already_there_samples_total") == 1
    assert len(read_letters(stack, "metrics.dlq")) == refused


def test_prometheus_takes_all_kinds(setting):
    """Undisturbed, with its window of 60 s: every value as it was put in, classic histograms as their series, native ones
    bucket by bucket."""
    url = setting.stack.prometheus.url
    start = now_ms() - 40_000
    times = [start + 1000 * i for i in range(20)]
    amp = setting.amp(url=setting.stack.prometheus.write_url)
    for i, t in enumerate(times):
        setting.put("gs-1", [
            batches.counter("joins_total", 1e15 + i, shard_id="gs-1"), batches.gauge("load", -0.1 * i, shard_id="gs-1"),
            batches.native("tick_seconds", [(-2, i + 1), (3, 5)], 0.5 * i, shard_id="gs-1"),
            batches.classic("wait", [0.005, 2.5], [i, 2, 1], 0.25 * i, shard_id="gs-1")], t)
    setting.wait_caught_up()
    found = {(dict(key)["__name__"], dict(key).get("le")): points for key, points in
             prometheus.series(url, '{shard_id="gs-1"}', time.time()).items()}
    natives = found.pop(("tick_seconds", None))
    assert found == {
        ("joins_total", None): [(t, 1e15 + i) for i, t in enumerate(times)],
        ("load", None): [(t, -0.1 * i) for i, t in enumerate(times)],
        ("wait_bucket", "0.005"): [(t, i) for i, t in enumerate(times)],
        ("wait_bucket", "2.5"): [(t, i + 2) for i, t in enumerate(times)],
        ("wait_bucket", "+Inf"): [(t, i + 3) for i, t in enumerate(times)],
        ("wait_sum", None): [(t, 0.25 * i) for i, t in enumerate(times)],
        ("wait_count", None): [(t, i + 3) for i, t in enumerate(times)]}
    base = 2 ** 0.125
    for i, (t, h) in enumerate(natives):
        assert (t, float(h["count"]), float(h["sum"])) == (times[i], i + 6, 0.5 * i)
        want = {(base ** (k - 1), base ** k): n for k, n in ((-2, i + 1), (3, 5))}
        assert prometheus.same_buckets(prometheus.buckets(h), want)
    assert len(natives) == 20 and accounts_close(amp)


class Feeder(threading.Thread):
    def __init__(self, setting, servers):
        super().__init__(daemon=True)
        self.setting, self.servers = setting, servers
        self.times = []
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            t = now_ms()
            for server in self.servers:
                self.setting.put(server, scrape(server, len(self.times)), t)
            self.times.append(t)
            self.setting.producer.poll(0)
            time.sleep(0.05)


@pytest.mark.parametrize("rules", [{}, {"refuse_same_value": 1}, {"keep_good": 0, "out_of_order_ms": 0}],
                         ids=["amp", "refuses what it has", "all or nothing, no window"])
def test_kills_lose_nothing_and_dead_letter_nothing(setting, rules):
    rng = random.Random(5)
    setting.receiver.set_rules(**rules)
    workers = [setting.amp(name=f"amp-{i}", max_samples=100) for i in range(2)]
    feeder = Feeder(setting, [f"gs-{i}" for i in range(8)])
    feeder.start()
    for _ in range(6):
        time.sleep(rng.uniform(0.5, 2))
        victim = rng.choice(workers)
        victim.process.signal(signal.SIGKILL)
        wait_for(lambda: not victim.process.alive(), 10)
        time.sleep(rng.uniform(0, 1))
        victim.start()
    feeder.ending.set()
    feeder.join()
    setting.wait_caught_up(90)
    want = expected(feeder.servers, feeder.times)
    n_again = sum(p.times > 1 for points in setting.receiver.dump().values() for p in points.values())
    stats = setting.receiver.stats()
    print(f"{setting.n_samples} samples, {n_again} delivered again, "
          f"{stats['refused_redelivered']} of them refused; {stats['requests']} requests")
    assert differences(want, got(setting.receiver)) == NOTHING
    assert read_letters(setting.stack, "metrics.dlq") == []
