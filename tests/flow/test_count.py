"""The demo's proof: count_samples counts each sample and native histogram in Prometheus once."""
import time
import urllib.request

import pytest

from deploy.local.verify import count_samples
from tests.receiver.client import HEADERS, histogram, request, series, snappy_block


def write(url, *all_series):
    body = snappy_block(request(*all_series))
    with urllib.request.urlopen(urllib.request.Request(url, body, HEADERS), timeout=10) as answer:
        assert answer.status == 204


@pytest.fixture
def filled(stack):
    """Prometheus with 2 x 301 floats three seconds apart, on the borders of the steps too, and 31 histograms."""
    end_ms = int(time.time()) // 60 * 60_000
    times = range(end_ms - 900_000, end_ms + 1, 3000)
    hist = [histogram(t, 3, [(1, 2), (2, 1 + i)]) for i, t in enumerate(times[::10])]
    write(stack.prometheus.write_url,
          series({"__name__": "a_total"}, [(t, 1.0) for t in times]),
          series({"__name__": "b_total"}, [(t, 2.0) for t in times]),
          series({"__name__": "h"}, (), hist))
    return stack, end_ms / 1000


def test_each_is_counted_once(filled):
    stack, end_s = filled
    for begin_s in (end_s - 1000, end_s - 3600):  # one step and several
        found = count_samples(stack.prometheus.url, begin_s, end_s + 32)
        assert found == {"a_total": 301, "b_total": 301, "h": 31}


def test_one_more_is_seen(filled):
    stack, end_s = filled
    write(stack.prometheus.write_url, series({"__name__": "h"}, [(int(end_s * 1000) + 1, 1.0)]),
          series({"__name__": "a_total", "shard_id": "2"}, [(int(end_s * 1000), 1.0)]))
    found = count_samples(stack.prometheus.url, end_s - 1000, end_s + 32)
    assert found == {"a_total": 302, "b_total": 301, "h": 32}
