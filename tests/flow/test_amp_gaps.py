"""After an outage: what has become too old for the store is skipped and told as gaps, the rest is delivered."""
from tests.fault.formats import read_gaps, read_letters
from tests.flow import batches
from tests.flow.amp_setting import (NOTHING, TOPIC, accounts_close, differences, expected, got, metric, now_ms, scrape,
                                    setting)  # noqa: F401 (a fixture)
from tests.flow.stack import wait_for

HOUR_MS = 3_600_000
SERVERS = [f"gs-{i}" for i in range(6)]


def put_shifted(setting, from_ms, n, step_ms):
    """A scrape of every server each step: the times that the log would hold after so long an outage."""
    times = [from_ms + step_ms * i for i in range(n)]
    for i, t in enumerate(times):
        for server in SERVERS:
            setting.put(server, scrape(server, i), t)
    setting.flush()
    return times


def covered(gaps, source, t):
    return any(g["from_ms"].timestamp() * 1000 <= t + 0.5 and t - 0.5 <= g["to_ms"].timestamp() * 1000
               for g in gaps if g["source"] == batches.as_long(batches.source_id(source)))


def test_what_is_over_an_hour_old_is_skipped_and_told(setting):
    start = now_ms() - 70 * 60_000
    times = put_shifted(setting, start, 140, 30_000)
    began_ms = now_ms()
    amp = setting.amp()
    setting.wait_caught_up()
    ended_ms = now_ms()
    # Between the two clocks either is right.
    too_old = [t for t in times if t < began_ms - HOUR_MS]
    young = [t for t in times if t >= ended_ms + 1000 - HOUR_MS]
    assert len(too_old) >= 19 and len(young) >= 110
    have = got(setting.receiver)
    want = expected(SERVERS, times)
    lost = [(key, t) for key, points in want.items() for t in young if t not in have.get(key, {})]
    assert lost == []
    gaps = read_gaps(setting.stack)
    for server in SERVERS:
        assert [t for t in too_old if not covered(gaps, server, t)] == []
        assert [t for t in young if covered(gaps, server, t)] == []
    for t in too_old:
        assert all(t not in points for points in have.values())
    refused = setting.receiver.stats()["refused"]
    assert not any(refused.values()), refused
    skipped = sum(g["samples"] for g in gaps)
    assert skipped + sum(len(points) for points in have.values()) == setting.n_samples
    assert {(g["tenant"], g["sink"], g["reason"], g["topic"]) for g in gaps} == {
        ("demo", "sluice-amp", "too_old_to_send", TOPIC)}
    assert metric(amp, "sluice_samples_rejected_total", reason="too_old_to_send") == skipped
    assert metric(amp, "sluice_gap_records_total") == len(gaps)
    assert read_letters(setting.stack, "metrics.dlq") == []
    assert accounts_close(amp)


def test_killed_while_it_skips_every_gap_is_told(setting):
    """Gaps are told before their offsets are committed, so that no kill leaves a hole that nobody knows of."""
    start = now_ms() - 70 * 60_000
    times = put_shifted(setting, start, 100, 5_000)  # all too old
    amp = setting.amp(commit_interval_ms=20, ready=False)
    wait_for(lambda: metric(amp, "sluice_samples_rejected_total") > 0, 30, "the first to be skipped")
    amp.process.kill()
    amp.start()
    setting.wait_caught_up()
    gaps = read_gaps(setting.stack)
    for server in SERVERS:
        assert [t for t in times if not covered(gaps, server, t)] == []
    assert setting.receiver.stats()["requests"] == 0


def test_what_the_store_is_sure_to_refuse_is_not_sent(setting):
    amp = setting.amp(out_of_order_ms=60_000)
    t = now_ms() - 200_000
    setting.put("gs-0", scrape("gs-0", 0), t + 100_000)
    setting.wait_caught_up()
    setting.put("gs-0", scrape("gs-0", 1), t)  # behind by 100 s
    setting.put("gs-0", scrape("gs-0", 0), t + 100_000)  # again
    setting.put("gs-0", [batches.counter("bad-name", 1.0)], t + 101_000)
    setting.wait_caught_up()
    n = len(scrape("gs-0", 0))
    letters = read_letters(setting.stack, "metrics.dlq")
    assert sorted(x["reason"] for x in letters) == ["store_invalid"] + ["store_too_old"] * n
    assert all("not sent" in x["text"] for x in letters)
    assert metric(amp, "sluice_samples_rejected_total", reason="duplicate") == n
    assert setting.receiver.stats()["requests"] == 1
    assert differences(expected(["gs-0"], [t + 100_000]), got(setting.receiver)) == NOTHING
    assert accounts_close(amp)
