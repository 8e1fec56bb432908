"""Batches for metrics.valid as many validates would write them over hours, in seconds: new, returning and refused
series, jumping log time, duplicates, redriven ones. The same seed gives the same batches; how many is up to the clock."""
import random
import threading
import time

from tests.flow import batches

N_INGEST_PARTITIONS = 5


class Server:
    """One source: a few series that are always there, some that come and go."""

    def __init__(self, name, rng):
        self.name = name
        self.tenant = rng.choice(("demo", "studio-b"))
        self.ingest_partition = rng.randrange(N_INGEST_PARTITIONS)
        self.base = [f"base_{i}_total" for i in range(rng.randrange(3, 8))]
        self.n_named = 0
        self.known = []

    def points(self, rng):
        for _ in range(rng.choice((0, 0, 0, 1, 2, 4))):
            self.known.append(f"new_{self.n_named}")
            self.n_named += 1
        names = self.base + rng.sample(self.known[-20:], min(len(self.known[-20:]), rng.randrange(0, 9)))
        return [self._point(name, rng) for name in names]

    @staticmethod
    def _point(name, rng):
        kind = hash_of(name) % 5
        if kind == 0:
            return batches.classic(name, [0.5, 1.0, 5.0], [rng.randrange(400) for _ in range(4)], rng.random())
        if kind == 1:
            return batches.native(name, [(0, rng.randrange(1, 300)), (2, 1)], rng.random())
        return batches.counter(name, float(rng.randrange(1000)), shard_id="s1")


def hash_of(name):
    return sum(name.encode()) * 31


class LimitLoad(threading.Thread):
    """Feeds until ending is set. Log time goes a hundred times as fast as the clock's, with leaps beyond active_ms."""

    def __init__(self, stack, partitions, active_ms, seed, n_servers=40, rate=160):
        super().__init__(daemon=True)
        self.stack, self.partitions, self.active_ms, self.rate = stack, partitions, active_ms, rate
        self.rng = random.Random(seed)
        self.servers = [Server(f"gs-{i}", self.rng) for i in range(n_servers)]
        self.offsets = [0] * N_INGEST_PARTITIONS
        self.time_ms = 1_790_000_000_000
        self.recent = []
        self.n_sent = self.n_again = 0
        self.ending = threading.Event()

    def batch(self):
        """(server, bytes), the next one."""
        rng = self.rng
        if self.recent and rng.random() < 0.02:  # what a validate that was set back would write
            self.n_again += 1
            return rng.choice(self.recent)
        self.time_ms += rng.randrange(0, self.active_ms // 400)
        if rng.random() < 0.001:
            self.time_ms += rng.choice((self.active_ms // 2, self.active_ms * 2))
        server = rng.choice(self.servers)
        if rng.random() < 0.6:
            self.offsets[server.ingest_partition] += 1
            index, offset = 0, self.offsets[server.ingest_partition]
        else:
            index, offset = rng.randrange(1, 4), self.offsets[server.ingest_partition]
        points = server.points(rng)
        received_ms = self.time_ms - rng.choice((0, 0, 0, self.active_ms // 5))
        times = [received_ms - rng.randrange(5000) for _ in points] if rng.random() < 0.3 else None
        value = batches.batch(server.name, points, received_ms, received_ms, times, tenant=server.tenant, offset=offset,
                              index=index, origin_partition=server.ingest_partition,
                              class_=rng.choice(("critical", "standard", "verbose")),
                              redriven=rng.choice((0,) * 30 + (5,)))
        self.recent = self.recent[-200:] + [(server, value)]
        return server, value

    def put(self, producer, n):
        for _ in range(n):
            server, value = self.batch()
            producer.produce("metrics.valid", value, key=server.name.encode(),
                             partition=batches.partition_of(server.name, self.partitions, server.tenant))
            self.n_sent += 1
            producer.poll(0)

    def run(self):
        producer = self.stack.producer(message_timeout_ms=0)
        while not self.ending.is_set():
            self.put(producer, self.rate // 20)
            time.sleep(0.05)
        assert producer.flush(120) == 0

    def stop(self):
        self.ending.set()
        self.join(150)
