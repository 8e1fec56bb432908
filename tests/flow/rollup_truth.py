"""Metrics whose truth is known, and what PromQL must say of their rollups, whoever made them.

    world = Resets(seed); world.in_order() → rows; store(prometheus, rows); then world.problems(prometheus)"""
import collections
import math
import random

import requests

from tests.flow import batches, histograms, prometheus
from tests.flow.rollup_logs import Message
from tests.flow.rollup_values import Sample, Series
from tests.receiver import client

T0_MS = 1_789_999_200_000                    # a whole hour
SCRAPE_MS = 10_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LEAD_MS = 5 * MINUTE_MS                      # what is asked for begins here
TENANT = "demo"
MAX_SCHEMA = 4


# ---- rows into the store, as amp would name them


def labels_of(series, row):
    pairs = dict(zip(series.labels[::2], series.labels[1::2]))
    return {**pairs, "__name__": f"{series.metric}:{row.window_ms // MINUTE_MS}m", "source": str(row.stream.source)}


def _request(row):
    out = []
    for series, c in row.series.items():
        if series.kind == "exponential_histogram":
            packed = histograms.pack(c.total) + client.number_field(15, row.end_ms)
            out.append(client.series(labels_of(series, row), histograms=[packed]))
        else:
            out.append(client.series(labels_of(series, row), [(row.end_ms, c.total)]))
    return out


def store(url, rows):
    """Sends totals in order of time."""
    by_end = collections.defaultdict(list)
    for row in rows:
        if not row.is_amend:
            by_end[row.end_ms] += _request(row)
    for _, found in sorted(by_end.items()):
        body = client.snappy_block(client.request(*found))
        answer = requests.post(url, data=body, headers=client.HEADERS, timeout=60)
        assert answer.status_code // 100 == 2, answer.text


# ---- queries


def query(url, promql, at_ms):
    """{labels as a frozenset, the name aside: value}"""
    answer = requests.post(f"{url}/api/v1/query", data={"query": promql, "time": at_ms / 1000}, timeout=60)
    assert answer.status_code == 200, answer.text
    return {frozenset((k, v) for k, v in row["metric"].items() if k != "__name__"): float(row["value"][1])
            for row in answer.json()["data"]["result"]}


def value_at(url, selector, at_ms):
    """The stored points at a time, exactly: {labels: value}"""
    found = prometheus.series(url, selector, at_ms / 1000, 1)
    return {frozenset((k, v) for k, v in labels if k != "__name__"): dict(points)[at_ms]
            for labels, points in found.items() if at_ms in dict(points)}


# ---- worlds


class World:
    """messages: by arrival. One source; every message has all series of its time."""

    def __init__(self):
        self.messages = []

    def say(self, ts, source, points, rng=None):
        delay_ms = rng.choice([0, 0, 0, 7000, 14000]) if rng else 0    # out of order, and in time
        self.messages.append(Message(0, ts + delay_ms, TENANT, source, "standard", points))

    def heartbeats(self, from_ms, to_ms):
        self.messages += [Message(0, t) for t in range(from_ms, to_ms, SCRAPE_MS)]

    def in_order(self):
        return sorted(self.messages, key=lambda m: m.received_ms)


def labels(source, i):
    source_id = batches.as_long(batches.source_id(source, TENANT))
    return frozenset({("shard_id", source), ("i", str(i)), ("source", str(source_id))})


class Resets(World):
    """≥ 300 counters that are reset every few minutes; half of them tell it by a start time, bursts included, the others
    by a fall."""

    N_SOURCES, N_SERIES = 10, 31

    def __init__(self, seed):
        super().__init__()
        rng = random.Random(seed)
        self.end_ms = T0_MS + LEAD_MS + HOUR_MS
        self.truth = {}
        for n in range(self.N_SOURCES):
            self._source(f"gs-{n}", rng)
        self.heartbeats(self.end_ms + 2 * MINUTE_MS, self.end_ms + 10 * MINUTE_MS)

    def _source(self, source, rng):
        states = [Process(rng, tells=i % 2 == 0) for i in range(self.N_SERIES)]
        increases = [0] * self.N_SERIES
        for ts in range(T0_MS + rng.randrange(SCRAPE_MS), self.end_ms + MINUTE_MS, SCRAPE_MS):
            points = []
            for i, s in enumerate(states):
                more = s.scrape(ts)
                increases[i] += more if T0_MS + LEAD_MS <= ts < self.end_ms else 0
                points.append((Series("hits_total", "counter", labels=("i", str(i), "shard_id", source)), s.sample(ts)))
            self.say(ts, source, points, rng)
        self.truth.update({labels(source, i): n for i, n in enumerate(increases)})

    def problems(self, url):
        begin, end = (value_at(url, "hits_total:1m", t) for t in (T0_MS + LEAD_MS, self.end_ms))
        found = [f"{sorted(k)}: {end.get(k)} - {begin.get(k)}, the truth is {n}" for k, n in self.truth.items()
                 if k not in begin or k not in end or end[k] - begin[k] != n]
        asked = query(url, "increase(hits_total:1m[1h])", self.end_ms)
        self.ratio = sum(asked.values()) / sum(self.truth.values())
        if asked.keys() != self.truth.keys() or abs(self.ratio - 1) > 0.002:
            found.append(f"increase(hits_total:1m[1h]) over {len(asked)} series is {self.ratio} of the truth")
        return found


class Process:
    """A counter's process, which restarts right behind a scrape, so that no increase is unseen."""

    def __init__(self, rng, tells):
        self.rng, self.tells, self.value, self.start_ms = rng, tells, rng.randrange(1000), T0_MS - HOUR_MS

    def scrape(self, ts):
        """What it counted since the last scrape."""
        rng = self.rng
        if rng.random() < 1 / 20 and (self.tells or self.value > 9):
            self.value, self.start_ms = 0, ts - SCRAPE_MS + 1
        more = rng.choice([0, 1, 5, 9, rng.randrange(5000)] if self.tells else [0, 1, 5, 9])
        if not self.tells and self.value > 9 and rng.random() < 1 / 40:
            more = rng.randrange(5000)
        self.value += more
        return more

    def sample(self, ts):
        return Sample(ts, self.start_ms if self.tells else 0, float(self.value))


class Latencies(World):
    """Native histograms of several processes, of changing schema and with resets, and every observation."""

    N_SOURCES = 6
    QUANTILES = (0.01, 0.25, 0.5, 0.9, 0.99, 0.999)

    def __init__(self, seed):
        super().__init__()
        rng = random.Random(seed)
        self.end_ms = T0_MS + LEAD_MS + HOUR_MS
        self.seen = []
        self.lowest = MAX_SCHEMA
        for n in range(self.N_SOURCES):
            self._source(f"gs-{n}", rng)
        self.seen.sort()
        self.heartbeats(self.end_ms + 2 * MINUTE_MS, self.end_ms + 10 * MINUTE_MS)

    def _source(self, source, rng):
        series = Series("latency", "exponential_histogram", labels=("i", "0", "shard_id", source))
        median, schema, start_ms, own = rng.uniform(5, 50), rng.choice([3, MAX_SCHEMA]), T0_MS - HOUR_MS, []
        for ts in range(T0_MS + rng.randrange(SCRAPE_MS), self.end_ms + MINUTE_MS, SCRAPE_MS):
            if rng.random() < 0.02:
                schema, start_ms, own = rng.choice([3, MAX_SCHEMA]), ts - SCRAPE_MS + 1, []
            n_new = rng.randrange(12) if own or rng.random() < 0.5 else 700      # as if nothing had been reset
            new = [rng.lognormvariate(math.log(median), 0.8) for _ in range(n_new)]
            own += new
            self.seen += new if T0_MS + LEAD_MS <= ts < self.end_ms else []
            self.lowest = min(self.lowest, schema)
            self.say(ts, source, [(series, Sample(ts, start_ms, histogram_of(own, schema)))], rng)

    def problems(self, url):
        found, n = [], len(self.seen)
        factor = 2 ** 2 ** -self.lowest
        count = query(url, "histogram_count(sum(increase(latency:1m[1h])))", self.end_ms)
        if not math.isclose(next(iter(count.values()), 0.0), n, rel_tol=1e-9):
            found.append(f"{count} observations, the truth is {n}")
        for q in self.QUANTILES:
            (value,) = query(url, f"histogram_quantile({q}, sum(increase(latency:1m[1h])))", self.end_ms).values()
            low, high = self.seen[max(math.floor(q * n) - 1, 0)], self.seen[min(math.ceil(q * n), n - 1)]
            if not low / factor <= value <= high * factor:
                found.append(f"quantile {q} is {value}, the truth is {low} to {high}")
        return found


def histogram_of(values, schema):
    side = collections.Counter(math.ceil(math.log2(v) * 2**schema) for v in values)
    return histograms.Histogram(schema, 2.0**-128, 0, len(values), math.fsum(values), ({}, dict(side)))


class Silence(World):
    """Counters that are reset, then silent for longer than every horizon, then back: without a start time, with that of the
    reset, with a recent one; and one that was not reset and tells only now when it began. Heartbeats tell the time."""

    SILENT_MS = 3 * HOUR_MS

    def __init__(self, seed):
        super().__init__()
        rng = random.Random(seed)
        self.back_ms = T0_MS + 20 * MINUTE_MS + self.SILENT_MS
        self.end_ms = self.back_ms + 20 * MINUTE_MS
        self.truth = {}
        for i, start_ms in enumerate((0, T0_MS + 20 * MINUTE_MS, self.back_ms - MINUTE_MS, T0_MS - HOUR_MS)):
            source, value, total = f"back-{i}", 50_000, 0
            series = Series("hits_total", "counter", labels=("i", str(i), "shard_id", source))
            for ts in [*range(T0_MS, T0_MS + 20 * MINUTE_MS, SCRAPE_MS), *range(self.back_ms, self.end_ms, SCRAPE_MS)]:
                more = rng.randrange(100)
                if ts == self.back_ms:                   # it counted while it was silent, too
                    value = value if i == 3 else 0
                    more += 0 if i == 2 else 3000
                value, total = value + more, total + more
                start = start_ms if ts >= self.back_ms else 0
                self.say(ts, source, [(series, Sample(ts, start, float(value)))])
            self.truth[labels(source, i)] = total
        self.heartbeats(T0_MS, self.end_ms + 10 * MINUTE_MS)

    def problems(self, url):
        """From the first row to the last: nothing to extrapolate at either end."""
        first_ms, range_s = T0_MS + MINUTE_MS, (self.end_ms - T0_MS - MINUTE_MS) // 1000
        asked = query(url, f"increase(hits_total:1m[{range_s}s])", self.end_ms)
        found = [f"{sorted(k)}: increase is {asked.get(k)}, the truth is {n}" for k, n in self.truth.items()
                 if not 0 < asked.get(k, 0.0) <= n * (1 + 1e-12)]
        if value_at(url, "hits_total:1m", first_ms).keys() != self.truth.keys():
            found.append("the first row is not where it should be")
        return found


class Birth(World):
    """A service that was born two minutes before its first sample, and says so; the log began an hour ago."""

    def __init__(self, seed):
        super().__init__()
        rng = random.Random(seed)
        born_ms, value, source = T0_MS + HOUR_MS, rng.randrange(1, 500), "young"
        self.end_ms = born_ms + 10 * MINUTE_MS
        self.heartbeats(T0_MS, self.end_ms + 10 * MINUTE_MS)
        series = Series("hits_total", "counter", labels=("i", "0", "shard_id", source))
        self.at = {}
        for ts in range(born_ms + 2 * MINUTE_MS, self.end_ms, SCRAPE_MS):
            value += rng.randrange(10)
            self.say(ts, source, [(series, Sample(ts, born_ms, float(value)))])
            self.at[ts // MINUTE_MS * MINUTE_MS + MINUTE_MS] = value

    def problems(self, url):
        return [f"at {t}: {found}, the truth is {n}" for t, n in self.at.items()
                if [*(found := value_at(url, "hits_total:1m", t)).values()] != [n]]


WORLDS = (Resets, Latencies, Silence, Birth)
