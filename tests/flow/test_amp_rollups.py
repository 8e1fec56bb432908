"""Rollups in a real Prometheus: sluice-rollup's own rows of 1 m, 5 m and 1 h, sent by sluice-amp, value by value."""
import random
import subprocess

import pytest

from deploy.local.places import ROOT
from tests.fault.formats import read_letters
from tests.flow import amp_rollups, batches, histograms, prometheus, rollup_check, rollup_records
from tests.flow.amp_setting import accounts_close, metric, now_ms
from tests.flow.rollup_logs import Message
from tests.flow.rollup_oracle import Row, Stream
from tests.flow.rollup_values import Classic, Gauge, Increase, Sample, Series
from tests.flow.stack import wait_for
from tests.receiver.client import Receiver

T0_MS = 1_789_999_200_000                    # a whole hour
FROM_MS, TO_MS = T0_MS + 20 * 60_000, T0_MS + 60 * 60_000    # within the hour that Prometheus's head takes at once
GONE_MS = T0_MS + 40 * 60_000                # when some of the series end
STEP_MS = 20_000
SOURCES = ("gs-0", "gs-1", "gs-2")
PARTITIONS = 2
BOUNDS = (0.25, 1.0, 30.0)


def series_of(source):
    own = ("shard_id", source)
    return {"hits": Series("hits_total", "counter", labels=own),
            "spent": Series("spent_total", "counter", "delta", labels=own),
            "players": Series("players", "gauge", labels=own),
            "rooms": Series("rooms", "gauge", labels=own),
            "tick": Series("tick_seconds", "exponential_histogram", labels=own),
            "lag": Series("lag_seconds", "classic_histogram", bounds=BOUNDS, labels=own)}


def messages_of(source, rng):
    """Scrapes of one server; a third of its series end with a stale marker, with samples in that minute or without."""
    of, hits, lag, tick = series_of(source), 0.0, [0] * 4, {}
    for ts in range(FROM_MS, TO_MS, STEP_MS):
        hits = rng.randrange(5) + (0.0 if rng.random() < 0.02 else hits)
        lag[rng.randrange(4)] += 1
        k = rng.randrange(9)
        tick[k] = tick.get(k, 0) + 1
        n = sum(tick.values())
        values = {"hits": hits, "spent": float(rng.randrange(4)), "players": float(rng.randrange(100)),
                  "tick": histograms.Histogram(3, 0.0, 0, n, n * 0.5, ({}, dict(tick))),
                  "lag": Classic(sum(lag), tuple(lag), sum(lag) * 0.5, True)}
        if ts < GONE_MS:
            values["rooms"] = float(rng.randrange(10))
        elif ts < GONE_MS + STEP_MS:
            values["rooms"] = None
        if ts >= GONE_MS + STEP_MS:
            del values["lag"]
        elif ts >= GONE_MS:
            values["lag"] = None
        points = [(of[name], Sample(ts, 0, value)) for name, value in values.items()]
        partition = batches.partition_of(source, PARTITIONS)
        yield Message(partition, ts, "demo", source, "standard", points)


@pytest.fixture
def rows(stack):
    """sluice-rollup's, of all windows."""
    rollup_check.create_topics(stack, PARTITIONS)
    stack.create_topic("metrics.dlq", 1)
    stack.create_topic("sluice.gaps", 1)
    rng = random.Random(7)
    messages = sorted((m for source in SOURCES for m in messages_of(source, rng)), key=lambda m: m.received_ms)
    rollup_check.put(stack, messages, PARTITIONS, end_s=7200)
    stack.worker("rollup", name="minutes", ready=False)
    stack.worker("rollup", name="hours", ready=False, window="1h", topics=["metrics.rollup.5m"])
    wait_for(lambda: rollup_check.is_through(stack), 60, "the minutes")
    wait_for(lambda: len(amp_rollups.rows_of(stack, ["metrics.rollup.1h"])) >= len(SOURCES), 60, "the hours")
    return amp_rollups.rows_of(stack)


def amp(stack, name, **keys):
    """For a log that is older than any store would take, in an empty store."""
    return stack.worker("amp", name=name, url=stack.prometheus.write_url, shards=1, max_sample_age_ms=0,
                        batch_deadline_ms=50, **keys)


def settled(url, rows, plain=False):
    """The problems, once there are none or time is up."""
    found = []

    def fine():
        found.append(amp_rollups.problems(url, rows, plain))
        return found[-1] == []

    try:
        wait_for(fine, 40)
    except AssertionError:
        pass
    return found[-1]


def test_rows_of_all_windows_are_in_the_store(stack, rows, say):
    want, stale = amp_rollups.expected(rows)
    assert {r.window_ms for r in rows} == amp_rollups.WINDOWS.keys()
    assert len(want) >= 3 * 3 * 8 and len(stale) >= 3 * 3 * 4
    worker = amp(stack, "amp-warm", topics=list(rollup_check.ROLLUPS), group="sluice-amp-warm")
    found = settled(stack.prometheus.url, rows)
    assert found == [], (len(found), found[:3])
    say(f"{len(rows)} rows: {len(want)} series, {sum(map(len, want.values()))} samples, {len(stale)} of them ended")
    assert amp_rollups.problems(stack.prometheus.url, [r for r in rows if r.window_ms != 300_000])  # it sees the others
    assert metric(worker, "sluice_samples_rejected_total") == 0
    assert read_letters(stack, "metrics.dlq") == []
    assert accounts_close(worker)
    amp(stack, "amp-plain", topics=["metrics.rollup.5m"], group="sluice-amp-plain", rollup_names="plain",
        tenant_label="tenant")
    found = settled(stack.prometheus.url, [r for r in rows if r.window_ms == 300_000], plain=True)
    assert found == [], (len(found), found[:3])


def put_hour(stack, end_ms):
    """A row of an hour, and nothing in the store's view: hits_total, and players, which has ended."""
    stack.create_topic("metrics.rollup.1h", 1, message_timestamp_type="CreateTime")
    stack.create_topic("metrics.dlq", 1)
    stack.create_topic("sluice.gaps", 1)
    of = series_of("gs-0")
    row = Row(Stream("demo", batches.as_long(batches.source_id("gs-0")), "standard"), 3_600_000, end_ms, 5,
              end_ms + 20_000,
              {of["hits"]: Increase(70.0, 7.0, None, 1007.0, end_ms - 1000, 360, False),
               of["players"]: Gauge(9.0, 3, 1.0, 5.0, 3.0, end_ms - 1000, True)}, {}, False)
    producer = stack.producer()
    producer.produce("metrics.rollup.1h", rollup_records.encoded(row, "gs-0"), timestamp=row.at_ms)
    assert producer.flush(30) == 0


def test_an_hour_is_seen_until_the_next_is_due(stack):
    """And by whoever takes the partition over: it finds in the topic what is still to be repeated."""
    end_ms = now_ms() - 17 * 60_000
    repeats = [end_ms + k * 300_000 for k in (1, 2, 3)]
    put_hour(stack, end_ms)
    url, keys = stack.prometheus.url, {"topics": ["metrics.rollup.1h"], "group": "sluice-amp-hours",
                                         "session_timeout_ms": 6000}
    worker = stack.worker("amp", name="hours", url=stack.prometheus.write_url, **keys)

    def stored(name):
        found = prometheus.series(url, name, now_ms() / 1000, 7200)
        return [p for points in found.values() for p in points]

    wait_for(lambda: len(stored('{__name__="hits_total:1h"}')) >= 4, 40, "the repeats")
    points = stored('{__name__="hits_total:1h"}')
    assert points[:4] == [(t, 70.0) for t in (end_ms, *repeats)]
    assert all((t - end_ms) % 300_000 == 0 and value == 70.0 for t, value in points)
    assert stored('{__name__="players:1h"}') == [(end_ms, 3.0)]
    # An instant query just before the next repeat sees it, and does not see what has ended.
    labels = {"shard_id": "gs-0"}.items()
    assert amp_rollups.lives(url, frozenset({*labels, ("__name__", "hits_total:1h")}), repeats[-1] + 299_000)
    assert not amp_rollups.lives(url, frozenset({*labels, ("__name__", "players:1h")}), end_ms + 1)
    wait_for(lambda: stack.committed("sluice-amp-hours", "metrics.rollup.1h").get(0, (0, ""))[0] >= 1, 30, "the commit")
    worker.process.kill()
    with Receiver() as other:
        stack.worker("amp", name="hours", url=other.write_url, **keys)
        wait_for(lambda: sum(map(len, other.dump().values())) >= 3, 60, "the repeats by the next one")
        ((name, times),) = [(dict(key)["__name__"], sorted(points)) for key, points in other.dump().items()]
    assert name == "hits_total:1h" and times[:3] == repeats
    assert read_letters(stack, "metrics.dlq") == []


@pytest.mark.parametrize("keys, words", [
    (["rollup_names=short"], "suffix or plain"), (["rollup_columns=min,mean"], '"mean" is not delta'),
    (["rollup_names=plain", "topics=metrics.rollup.1m,metrics.rollup.5m"], "takes one topic"),
    (["tenant_label=le"], "tenant_label: "), (["tenant_label=game team"], "tenant_label: ")])
def test_what_cannot_be_is_refused(keys, words):
    keys = ["kafka.bootstrap.servers=localhost:1", "url=http://localhost:1/", *keys]
    done = subprocess.run([ROOT / "build/bin/sluice-amp", "--check", *(x for key in keys for x in ("--set", key))],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and words in done.stderr
