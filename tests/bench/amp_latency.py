"""How fresh samples are at a steady rate: load → ingest topic → validate → amp → a receiver that counts, all on this
machine; from the append to the ingest topic to the store's 2xx. Prints what rate was held, p50 and p99.

    PYTHONPATH=. build/venv/bin/python tests/bench/amp_latency.py [--rate 200000] [--seconds 15] [--json]"""
import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

from deploy.local.metrics import Page, quantile
from deploy.local.places import ROOT
from tests.bench.through_kafka import cpu_s
from tests.flow.stack import StackUnderTest
from tests.receiver.client import Receiver

BIN = ROOT / "build/release"
SERIES = 300
INTERVAL_S = 2
SETTLE_S = 4 * INTERVAL_S  # every series was seen before


def measure(rate, seconds):
    with tempfile.TemporaryDirectory() as folder, \
            Receiver(count_only=True, binary=str(BIN / "tests/receiver/sluice-test-receiver")) as receiver:
        stack = StackUnderTest(Path(folder) / "stack", lasting=True)
        stack.kafka.start()
        load = None
        try:
            stack.create_all_topics()
            stack.worker("validate")
            amp = stack.worker("amp", url=receiver.write_url, topics=["metrics.valid"])
            load = subprocess.Popen([str(BIN / "sluice-loadgen"), "send", "--brokers", stack.bootstrap, "--topic",
                                     "metrics.ingest.demo", "--rate", str(rate), "--interval-s", str(INTERVAL_S), "--series",
                                     str(SERIES), "--seed", "1", "--manifest", folder + "/m"], stdout=subprocess.DEVNULL)
            time.sleep(SETTLE_S)
            before, began, cpu = Page(amp.metrics()), time.monotonic(), cpu_s(amp.process.pid)
            time.sleep(seconds)
            now, took = Page(amp.metrics()), time.monotonic() - began
            n = now.total("sluice_samples_out_total") - before.total("sluice_samples_out_total")
            buckets = [page.buckets("sluice_freshness_seconds") for page in (now, before)]
            return {"name": "amp latency", "rate_asked": rate, "samples_per_s": round(n / took),
                    "p50_s": quantile(0.5, *buckets), "p99_s": quantile(0.99, *buckets),
                    "cpu_s_per_million": round((cpu_s(amp.process.pid) - cpu) / n * 1e6, 3)}
        finally:
            if load is not None:
                load.kill()
            stack.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    r = measure(args.rate, args.seconds)
    if args.json:
        print(json.dumps(r))
        return
    print(f"amp, {r['rate_asked']:,} samples/s asked: {r['samples_per_s']:,} delivered; append to the store's answer p50 "
          f"{r['p50_s']:.2f} s, p99 {r['p99_s']:.2f} s; {r['cpu_s_per_million']:.3f} CPU-s per million")


if __name__ == "__main__":
    main()
