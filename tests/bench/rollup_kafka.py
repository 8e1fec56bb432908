"""sluice-rollup through real Kafka: samples/s and CPU seconds per million samples as the number of series grows (the cost of
a sample must stay near flat), and how long a partition with many series takes to be taken over: its own rows read back.
Backlogs of loadgen's scrapes, every tenth series a histogram, by way of validate; at least two windows close.

    PYTHONPATH=. build/venv/bin/python tests/bench/rollup_kafka.py [--series 10000,100000,1000000] [--samples N]
                                                                   [--recovery-series N] [--minutes N] [--json]"""
import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

from deploy.local.metrics import Page
from tests.bench.through_kafka import BIN, SERIES, cpu_s, measure_worker, peak_mb, row
from tests.flow import rollup_runs
from tests.flow.stack import StackUnderTest, wait_for

LEAST_SCRAPES = 13  # two minutes and the 15 s of lateness
PARTITIONS = 12


def backlog(stack, folder, name, servers, scrapes, interval_s, partitions):
    """A topic of batches, written by validate: (its name, samples)."""
    ingest, valid = f"ingest-{name}.demo", f"valid-{name}"
    for topic in (ingest, valid):
        stack.create_topic(topic, partitions)
    subprocess.run([str(BIN / "sluice-loadgen"), "send", "--brokers", stack.bootstrap, "--topic", ingest, "--servers",
                    str(servers), "--series", str(SERIES), "--fast", "--messages", str(servers * scrapes), "--seed", "1",
                    "--interval-s", str(interval_s), "--manifest", str(Path(folder) / name)], check=True,
                   stdout=subprocess.DEVNULL)
    worker = stack.new_worker("validate", f"validate-{name}", topics=[ingest], shared_topic=f"ingest-{name}", valid_topic=valid,
                              group=f"validate-{name}", instance=f"validate-{name}")
    measure_worker(stack, worker, "validate", f"validate-{name}", ingest, 1)
    return valid, servers * scrapes * SERIES


def rollup(stack, name, topic, partitions):
    rollup_runs.create_topics(stack, name, partitions)
    keys = {**rollup_runs.keys_of(name), "commit_interval_ms": 200, "topics": [topic], "memory_limit_mb": 4096}
    return stack.new_worker("rollup", f"rollup-{name}", instance=f"rollup-{name}", **keys)


def measure_growth(stack, folder, n_series, samples):
    servers = max(1, round(n_series / SERIES))
    name = f"s{n_series}"
    topic, samples = backlog(stack, folder, name, servers, max(LEAST_SCRAPES, round(samples / servers / SERIES)), 10,
                             PARTITIONS)
    return measure_worker(stack, rollup(stack, name, topic, PARTITIONS), f"rollup, {servers * SERIES:,} series", name,
                          topic, samples, position_of=rollup_runs.position_of)


def measure_recovery(stack, folder, n_series, minutes):
    """A partition's rows of so many minutes, one sample a minute, read back by who takes it over."""
    servers = max(1, round(n_series / SERIES))
    topic, samples = backlog(stack, folder, "recovery", servers, minutes + 2, 60, 1)
    worker = rollup(stack, "recovery", topic, 1)
    measure_worker(stack, worker, "rollup", "recovery", topic, samples, position_of=rollup_runs.position_of)
    worker.start()
    wait_for(lambda: "sluice_rollup_restored_records_total" in worker.metrics() and
             Page(worker.metrics()).total("sluice_rollup_restored_records_total") > 0, 300, "the recovery")
    time.sleep(1)
    page, pid = Page(worker.metrics()), worker.process.pid
    restored = page.total("sluice_rollup_restored_records_total")
    seconds = page.total("sluice_rollup_restore_seconds")
    made = row(f"taken over: {servers * SERIES:,} series, rows of {restored / servers:.0f} min", restored * SERIES, cpu_s(pid),
               restored * SERIES / seconds, peak_mb(pid))
    worker.stop()
    return {**made, "seconds": round(seconds, 2)}


def run(args):
    with tempfile.TemporaryDirectory() as folder:
        stack = StackUnderTest(Path(folder) / "stack", lasting=True)
        stack.kafka.start()
        try:
            stack.create_all_topics()
            rows = [measure_growth(stack, folder, n, args.samples) for n in args.series]
            if args.recovery_series > 0:
                rows.append(measure_recovery(stack, folder, args.recovery_series, args.minutes))
            return rows
        finally:
            stack.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=lambda s: [int(n) for n in s.split(",")], default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--samples", type=int, default=12_000_000, help="of each backlog, at least")
    parser.add_argument("--recovery-series", type=int, default=500_000)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = run(args)
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'through real Kafka':52} {'CPU-s/1M':>9} {'samples/s':>11} {'RSS MB':>7} {'seconds':>8}")
    for r in rows:
        print(f"{r['name']:52} {r['cpu_s_per_million']:9.3f} {r['samples_per_s']:11,} {r['rss_mb']:7} "
              f"{r.get('seconds', ''):>8}")


if __name__ == "__main__":
    main()
