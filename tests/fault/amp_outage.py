"""An outage of the store under load, and what comes after: short in CI, long in soak."""
import time

from deploy.local.places import ROOT
from tests.fault.counter import metric
from tests.fault.formats import read_gaps, read_letters
from tests.fault.load import Load, wait_caught_up
from tests.flow.stack import wait_for
from tests.receiver.client import Receiver

GROUP = "sluice-amp"
SERIES = 200
DOWN = [{"status": 503, "times": -1}]


def behind(stack):
    """Records that are not delivered: from the committed offset to the end."""
    done = stack.committed(GROUP, "metrics.valid")
    return sum(end - max(done.get(p, (0, ""))[0], 0) for p, end in stack.ends("metrics.valid").items())


def outage(stack, folder, say, seconds, rate):
    """The store answers 503 for so long; the load goes on all the while."""
    stack.create_all_topics()
    binary = str(ROOT / "build/release/tests/receiver/sluice-test-receiver")
    with Receiver(profile="amp", binary=binary) as receiver:
        stack.worker("validate")
        amp = stack.worker("amp", url=receiver.write_url, topics=["metrics.valid"], max_backoff_ms=2000,
                           max_queued_samples=200_000)
        load = Load(stack, folder, rate=rate, interval_s=5, series=SERIES, seed=3)
        wait_for(lambda: metric(amp, "sluice_samples_out_total") > rate, 60, "samples to flow")
        receiver.set_plan(DOWN)
        time.sleep(seconds)
        records = behind(stack)
        held = metric(amp, "sluice_samples_out_total")
        assert records * SERIES > seconds * rate / 2, "the outage left no lag"
        receiver.set_plan([])
        began = time.monotonic()
        # Fresh again while the load goes on: no more is behind than a second brings (and its markers).
        wait_for(lambda: behind(stack) * SERIES < rate * 2, 240, "the lag to drain")
        took = time.monotonic() - began
        drained = metric(amp, "sluice_samples_out_total") - held
        sent = load.stop()
        wait_caught_up(stack, "sluice-validate", ["metrics.ingest.demo"])
        wait_caught_up(stack, GROUP, ["metrics.valid"])
        code, report = load.verify("--receiver", receiver.url)
        say(f"{seconds} s without the store at {rate} samples/s: {records:.0f} records behind, drained in {took:.1f} s, "
            f"{drained / took:,.0f} samples/s, {drained / took / rate:.1f} times what came in [3]")
        assert code == 0, report
        assert report["lost"] == 0 and sent["samples"] > seconds * rate * 0.9
        assert read_letters(stack, "metrics.dlq") == []
        assert read_gaps(stack) == []
        assert receiver.stats()["violations_total"] == 0, receiver.violations()
