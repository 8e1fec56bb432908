"""Remote write 2.0 by option, and the way back to 1.0 with a store that does not know it."""
import pytest

from tests.fault.formats import read_letters
from tests.flow import batches
from tests.flow.amp_setting import (NOTHING, accounts_close, differences, expected, metric, now_ms, scrape,
                                    setting)  # noqa: F401 (a fixture)
from tests.flow.stack import wait_for
from tests.flow.write_v2 import V2, Store
from tests.receiver.client import bits_of

V1 = "application/x-protobuf"
SERVERS = [f"gs-{i}" for i in range(3)]


def feed(setting, start):
    times = [start + 1000 * i for i in range(12)]
    for i, t in enumerate(times):
        for server in SERVERS:
            points = scrape(server, i)
            if server == "gs-0":
                points.append(batches.classic("wait", [0.5], [i, 2], 0.25 * i, queue="q"))
            setting.put(server, points, t)
    setting.flush()
    return times


@pytest.mark.parametrize("mode, protocol", [("2.0", "2.0"), ("2.0", "auto"), ("415", "auto"), ("silent", "auto")])
def test_versions(setting, mode, protocol):
    store = Store(mode)
    try:
        amp = setting.amp(url=store.url, protocol=protocol)
        times = feed(setting, now_ms() - 30_000)
        setting.wait_caught_up()
        want = expected(SERVERS, times)
        for name, le, value in (("wait_bucket", "0.5", lambda i: i), ("wait_bucket", "+Inf", lambda i: i + 2),
                                ("wait_sum", None, lambda i: 0.25 * i), ("wait_count", None, lambda i: i + 2)):
            labels = {"__name__": name, "queue": "q", **({"le": le} if le else {})}
            want[tuple(sorted(labels.items()))] = {t: bits_of(float(value(i))) for i, t in enumerate(times)}
        assert differences(want, store.series) == NOTHING
        versions = set(store.types)
        if mode == "2.0":
            assert versions == {(V2, "2.0.0")}
            assert store.metadata["logins_0_total"] == (1, "") and store.metadata["tick_seconds"][0] == 3
            assert store.metadata["wait_bucket"][0] == store.metadata["wait_count"][0] == 3
        else:
            assert versions == {(V2, "2.0.0"), (V1, "0.1.0")} and store.types[-1] == (V1, "0.1.0")
            first = store.types.index((V1, "0.1.0"))
            # What was under way at that moment comes back as 1.0, and nothing is 2.0 later on.
            assert (V2, "2.0.0") not in store.types[first + 16:]
        assert read_letters(setting.stack, "metrics.dlq") == []
        assert accounts_close(amp)
    finally:
        store.stop()


def test_2_0_alone_waits_with_a_store_that_knows_1_0_only(setting):
    store = Store("415")
    try:
        amp = setting.amp(url=store.url, protocol="2.0", max_backoff_ms=200, shutdown_ms=500)
        feed(setting, now_ms() - 30_000)
        wait_for(lambda: len(store.types) >= 5, 30, "it to try on")
        assert store.series == {} and not setting.caught_up()
        assert metric(amp, "sluice_samples_out_total") == 0 and metric(amp, "sluice_remote_write_denied") == 1
        assert read_letters(setting.stack, "metrics.dlq") == []
    finally:
        store.stop()
