"""A broker, the receiver double and sluice-amp between them, for the tests of amp: batches as validate writes them,
and what should be in the store."""
import struct
import time

import pytest

from tests.flow import batches
from tests.flow.stack import wait_for
from tests.receiver.client import Receiver

TOPIC = "metrics.valid"
GROUP = "sluice-amp"
PARTITIONS = 4
SESSION_MS = 6000


class Setting:
    """A broker, the double, and the batches that were put into the topic."""

    def __init__(self, stack, receiver):
        self.stack = stack
        self.receiver = receiver
        self.producer = stack.producer()
        self.n_samples = 0
        stack.create_topic(TOPIC, PARTITIONS)
        stack.create_topic("metrics.dlq", 2)
        stack.create_topic("sluice.gaps", 1)

    def amp(self, name=None, ready=True, **keys):
        keys = {"url": self.receiver.write_url, "batch_deadline_ms": 50, "min_backoff_ms": 20, "max_backoff_ms": 500,
                "session_timeout_ms": SESSION_MS, **keys}
        return self.stack.worker("amp", name=name, ready=ready, **{"topics": [TOPIC], **keys})

    def put(self, source, points, t_ms, **more):
        self.producer.produce(TOPIC, batches.batch(source, points, t_ms, **more),
                              partition=batches.partition_of(source, PARTITIONS))
        self.n_samples += len(points)

    def flush(self):
        assert self.producer.flush(30) == 0

    def caught_up(self):
        done = self.stack.committed(GROUP, TOPIC)
        return all(done.get(p, (0, ""))[0] >= end for p, end in self.stack.ends(TOPIC).items() if end > 0)

    def wait_caught_up(self, timeout_s=60):
        self.flush()
        wait_for(self.caught_up, timeout_s, "everything to be delivered and committed")

    def n_violations(self, *names):
        kinds = self.receiver.stats()["violations"]
        return {name: kinds[name] for name in names if kinds.get(name)}


@pytest.fixture
def setting(stack):
    with Receiver(keep_histograms=True) as receiver:
        yield Setting(stack, receiver)


def now_ms():
    return int(time.time() * 1000)


def metric(worker, name, **labels):
    total = 0.0
    for line in worker.metrics().splitlines():
        full, _, value = line.rpartition(" ")
        if full.partition("{")[0] == name and all(f'{k}="{v}"' in full for k, v in labels.items()):
            total += float(value)
    return total


def accounts_close(worker):
    return metric(worker, "sluice_samples_in_total") == (
        metric(worker, "sluice_samples_out_total") + metric(worker, "sluice_samples_rejected_total")
        + metric(worker, "sluice_remote_write_already_there_samples_total"))


def scrape(server, i, n=12):
    """Points of one scrape; every value tells server and i."""
    points = [batches.counter(f"logins_{k}_total", i * 1000 + k, shard_id=server) for k in range(n)]
    return points + [batches.native("tick_seconds", [(0, i + 1), (3, 5)], float(i), shard_id=server)]


def expected(servers, times, n=12):
    """{(labels): {t: bits, None for a histogram}}"""
    want = {}
    for server in servers:
        for k in range(n):
            key = tuple(sorted({"__name__": f"logins_{k}_total", "shard_id": server}.items()))
            want[key] = {t: struct.unpack("<Q", struct.pack("<d", i * 1000 + k))[0] for i, t in enumerate(times)}
        key = tuple(sorted({"__name__": "tick_seconds", "shard_id": server}.items()))
        want[key] = {t: None for t in times}
    return want


def got(receiver):
    return {key: {t: None if p.is_histogram else p.bits for t, p in points.items()}
            for key, points in receiver.dump().items()}


def differences(want, have):
    lost = [(k, t) for k, points in want.items() for t in points if t not in have.get(k, {})]
    wrong = [(k, t) for k, points in have.items() for t, v in points.items() if want.get(k, {}).get(t, "none") != v]
    return {"lost": lost[:5], "n_lost": len(lost), "wrong": wrong[:5], "n_wrong": len(wrong)}


NOTHING = {"lost": [], "n_lost": 0, "wrong": [], "n_wrong": 0}
