"""What the double's own tests share: one metric's samples, refusals, waiting. Requests are encoded by
hand in client.py, so that neither sluice's encoder nor protobuf-c judges itself."""

import struct
import threading
import time

from tests.receiver.client import histogram, request, series

NOW = 1_800_000_000_000
HOUR = 3_600_000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def labels(name="up", **more):
    return {"__name__": name, **more}


def key(name="up", **more):
    return tuple(sorted(labels(name, **more).items()))


def put(receiver, *samples, name="up", **more):
    return receiver.write(request(series(labels(name, **more), samples)))


def refusals(receiver):
    return [(line["reason"], line["t"], line["stored"]) for line in receiver.refused()]


CONTENT = {"schema": 3, "positive": [(-2, 4), (-1, 1), (5, 7)], "negative": [(0, 2)],
           "zero_count": 3, "zero_threshold": 0.001, "total": 12.25}


def put_histogram(receiver, t_ms=NOW, name="h", **content):
    return receiver.write(request(series(labels(name), histograms=[histogram(t_ms, **content)])))


def in_background(function, *args, **kwargs):
    def run():
        try:
            function(*args, **kwargs)
        except OSError:
            pass
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_until(condition, timeout_s=5):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
