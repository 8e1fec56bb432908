"""Logs of metrics.admitted for the rollup's tests, from a seed: servers of two tenants whose messages come late, twice,
out of order or not at all, whose processes restart with and without telling when, whose clocks stand or run ahead; NaN,
infinities, stale markers, histograms of changing resolution; silences of sources, of partitions and beyond every
horizon; heartbeats.

    python -m tests.flow.rollup_logs --seed N --out FILE     # one line a record, for reading"""
import argparse
import heapq
import math
import random
import sys
from collections import namedtuple
from dataclasses import replace

from tests.flow import batches, histograms
from tests.flow.rollup_oracle import Entry, Stream
from tests.flow.rollup_values import Classic, Sample, Series

T0_MS = 1_790_000_000_000
TENANTS = ("demo", "studio-b")
BOUNDS = (0.005, 0.25, 1.0, 30.0)
# How much later than it was measured a message comes, in seconds.
DELAYS = [0] * 40 + [1, 5, 20, 20, 70, 70, 200, 400, 3000, 12000]
SILENCES = (100, 300, 300, 1500, 9000)
LONG_SILENCE = 9000
JUMPS = (100, 200, 1000, 4000)

# source_name: None for a heartbeat. points: [(series, Sample)], one per series.
Message = namedtuple("Message", "partition received_ms tenant source_name class_ points",
                     defaults=(None, None, None, ()))


def seconds(n):
    return round(n * 1000)


# ---- series and how their values go on


class Value:
    """One series of one process."""

    def __init__(self, series, rng):
        self.series, self.rng = series, rng
        self.is_delta = series.temporality == "delta"
        self.reset()

    def reset(self):
        raise NotImplementedError

    def next(self):
        raise NotImplementedError


class Number(Value):
    def reset(self):
        self.value = self.rng.choice([0.0, self.rng.random() * 100])

    def next(self):
        rng, step = self.rng, self.rng.choice([0.0, 1.0, self.rng.random() * 10])
        if rng.random() < 0.01:
            return rng.choice([math.nan, math.inf, -math.inf])
        if self.series.kind == "gauge":
            return rng.uniform(-50, 50)
        self.value = step if self.is_delta else self.value + step
        return self.value


class Exponential(Value):
    """wide: reaches over more buckets than a row may have. A reset may start at another schema and zero threshold."""

    def __init__(self, series, rng, is_wide):
        self.is_wide = is_wide
        super().__init__(series, rng)

    def reset(self):
        rng = self.rng
        schema = 8 if self.is_wide else rng.choice([-1, 0, 2, 3, 3, 4])
        self.value = histograms.Histogram(schema, rng.choice([0.0, 2.0**-128, 2.0**-4]))
        self._observe()

    def _observe(self):
        rng, h = self.rng, self.value
        sides = tuple(dict(side) for side in h.sides)
        for _ in range(rng.choice([0, 1, 2, 4])):
            side, n = sides[rng.random() < 0.8], rng.choice([1, 1, 2, 50])
            first = rng.randint(-60, 260) if self.is_wide else rng.randint(-8, 12)
            for index in range(first, first + rng.choice([1, 3, 30 if self.is_wide else 4])):
                side[index] = side.get(index, 0) + n
        zero = h.zero + rng.choice([0, 0, 1])
        count = zero + sum(sum(side.values()) for side in sides)
        total = h.sum + rng.uniform(-1, 9) if math.isfinite(h.sum) else h.sum
        self.value = histograms.Histogram(h.schema, h.threshold, zero, count, total, sides)

    def next(self):
        rng = self.rng
        if self.is_delta:
            self.reset()
            return self.value
        self._observe()
        if rng.random() < 0.03:                          # the producer's library lowers its resolution
            schema, threshold = self.value.schema - 1, self.value.threshold
            wider = histograms.Histogram(max(schema, -4), max(threshold, rng.choice([0.0, 2.0**-3, 2.0])))
            lowered = histograms.plus(self.value, wider, 10**9)
            self.value = lowered
        if rng.random() < 0.01:
            return replace(self.value, sum=rng.choice([math.inf, math.nan]))
        return self.value


class Buckets(Value):
    def reset(self):
        self.value = Classic(0, (0,) * (len(self.series.bounds) + 1), 0.0, self.rng.random() < 0.8)

    def next(self):
        rng, v = self.rng, self.value
        if self.is_delta:
            v = replace_counts(v, (0,) * len(v.counts), 0.0)
        more = tuple(c + rng.choice([0, 0, 1, 7]) for c in v.counts)
        self.value = replace_counts(v, more, v.sum + rng.random() if v.has_sum else 0.0)
        return self.value


def replace_counts(v, counts, total):
    return Classic(sum(counts), counts, total, v.has_sum)


def new_value(series, rng):
    if series.kind == "exponential_histogram":
        return Exponential(series, rng, series.metric.startswith("wide"))
    return Buckets(series, rng) if series.kind == "classic_histogram" else Number(series, rng)


def series_of(rng, name):
    """What one server has from the start."""
    found = [Series(f"c{i}_total", "counter", labels=("shard_id", name)) for i in range(rng.randint(1, 3))]
    found += [Series("players", "gauge", labels=("shard_id", name)),
              Series("kills_total", "counter", "delta", "", ("shard_id", name))]
    found += [Series("latency", "exponential_histogram", unit="ms"), Series("tick", "classic_histogram", bounds=BOUNDS)]
    if rng.random() < 0.5:
        found += [Series("wide", "exponential_histogram"), Series("packets", "exponential_histogram", "delta"),
                  Series("frames", "classic_histogram", "delta", "", (), BOUNDS[:2])]
    return found


# ---- servers


class Server:
    def __init__(self, i, rng, now_ms):
        self.rng, self.tenant, self.name = rng, rng.choice(TENANTS), f"gs-{i}"
        self.classes = ("standard", rng.choice(("standard", "critical", "verbose")))
        self.skew_ms = seconds(rng.choice([0, 0, 0, -40, 30, 600]))
        self.values = [new_value(s, rng) for s in series_of(rng, self.name)]
        self.start_ms = rng.choice([0, now_ms - seconds(9000), now_ms - seconds(120)])
        self.tells_start = rng.random() < 0.7
        self.silent_until_ms = self.stands_until_ms = self.stands_at_ms = 0
        self.n_new, self.last = 0, None
        self.step_ms = rng.choice([1, 1, 1000, 10_000])  # its scrapes lie on whole ones of these

    def _disturb(self, now_ms):
        rng = self.rng
        if rng.random() < 0.006:
            self.silent_until_ms = now_ms + seconds(rng.choice(SILENCES))
        if rng.random() < 0.004:
            self.stands_at_ms, self.stands_until_ms = now_ms, now_ms + seconds(400)
        if rng.random() < 0.01:                          # the process restarts
            self.start_ms = now_ms - seconds(rng.choice([0, 0, 5])) + self.skew_ms
            for v in self.values:
                v.reset()
        if rng.random() < 0.03:
            self.n_new += 1
            labels = ("map", f"m{self.n_new}", "shard_id", self.name)
            series = Series(f"new{self.n_new % 7}_total", "counter", labels=labels)
            self.values.append(new_value(series, rng))

    def messages(self, now_ms):
        """[(class, points)] measured now."""
        rng = self.rng
        self._disturb(now_ms)
        if now_ms < self.silent_until_ms:
            return []
        ts = (self.stands_at_ms if now_ms < self.stands_until_ms else now_ms) + self.skew_ms
        ts -= ts % self.step_ms
        if self.last and rng.random() < 0.04:            # once more: the very same, or other values at the same times
            return self.last if rng.random() < 0.4 else [
                (class_, [(s, self._point(s, p.ts, p.start)) for s, p in points]) for class_, points in self.last]
        split, out = rng.random() < 0.3, []
        kept = [v for v in self.values if rng.random() < 0.85]
        for class_ in sorted(set(self.classes)):
            mine = [v for i, v in enumerate(kept) if self.classes[i % 2] == class_]
            points = [(v.series, self._point(v.series, ts - (rng.choice([0, 3, 900]) if split else 0), None))
                      for v in mine]
            out += [(class_, points)] if points else []
        self.last = out
        return out

    def _point(self, series, ts, start):
        rng = self.rng
        value = next(v for v in self.values if v.series == series)
        if start is None:
            start = self.start_ms if self.tells_start and series.kind != "gauge" else 0
        if rng.random() < 0.004:
            value.reset()                                # this one alone, and nobody says when
        if rng.random() < 0.002:
            ts -= seconds(rng.choice([30, 100, 13000]))  # the value of now, said to be of then
        return Sample(ts, min(start, ts), None if rng.random() < 0.01 else value.next())


# ---- logs


def generate(seed, n_messages=600, n_servers=6, n_partitions=1):
    """[Message] in the order of their appends; offsets count per partition."""
    rng, now_ms, on_the_way, out, n = random.Random(seed), T0_MS, [], [], 0
    jumps, last_append_ms = rng.choice([0.0, 0.002, 0.01, 0.04]), [T0_MS] * n_partitions
    servers, leaves = [Server(i, rng, now_ms) for i in range(n_servers)], rng.random() < 0.3
    while len(out) < n_messages:
        step_ms = seconds(rng.expovariate(n_servers / 9))
        if leaves and len(out) > n_messages // 3:        # one server is away for longer than the horizon
            servers[0].silent_until_ms, leaves = now_ms + seconds(LONG_SILENCE), False
        if rng.random() < (0.1 if servers[0].silent_until_ms > now_ms + seconds(2000) else jumps):
            step_ms += seconds(rng.choice(JUMPS))
        now_ms += step_ms
        server = rng.choice(servers)
        partition = batches.partition_of(server.name, n_partitions, server.tenant)
        for class_, points in server.messages(now_ms):
            n += 1
            message = Message(partition, 0, server.tenant, server.name, class_, points)
            heapq.heappush(on_the_way, (now_ms + seconds(rng.choice(DELAYS)), n, message))
        while on_the_way and on_the_way[0][0] <= now_ms:
            at_ms, _, message = heapq.heappop(on_the_way)
            out += _heartbeats(rng, last_append_ms, at_ms)
            out.append(message._replace(received_ms=at_ms - seconds(rng.choice([0, 0, 0, 5]))))
            last_append_ms[message.partition] = at_ms
    return out[:n_messages]


def _heartbeats(rng, last_append_ms, at_ms):
    """Every 10 s of a partition's silence; or just a few of them, as when the limiter was away."""
    out, step_ms = [], rng.choice([10_000, 10_000, 150_000])
    for partition, last_ms in enumerate(last_append_ms):
        while last_ms + step_ms < at_ms and rng.random() < 0.97:
            last_ms += step_ms
            out.append(Message(partition, last_ms))
        last_append_ms[partition] = last_ms
    return out


def stream_of(message):
    source = batches.as_long(batches.source_id(message.source_name, message.tenant))
    return Stream(message.tenant, source, message.class_)


def entries(messages):
    """{partition: [Entry]}, offsets from 0 as in a topic without markers."""
    found = {}
    for m in messages:
        own = found.setdefault(m.partition, [])
        said = (stream_of(m), m.points) if m.source_name else ()
        own.append(Entry(len(own), m.received_ms, *said))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--messages", type=int, default=600)
    parser.add_argument("--servers", type=int, default=6)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--out", default="-")
    options = parser.parse_args()
    found = generate(options.seed, options.messages, options.servers, options.partitions)
    with open(options.out, "w", encoding="utf-8") if options.out != "-" else sys.stdout as out:
        for partition, own in sorted(entries(found).items()):
            for e in own:
                print(partition, e.offset, e.log_ms, *(e.stream or ("heartbeat",)), file=out)
                for series, p in e.points:
                    print("   ", p.ts, p.start, series.metric, *series.labels, p.value, file=out)


if __name__ == "__main__":
    main()
