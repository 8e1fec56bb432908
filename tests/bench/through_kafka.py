"""Benches through real Kafka: CPU seconds per million samples and peak memory of validate and amp, in one run
beside a bare librdkafka consume → produce of the same bytes with the same commit interval.

    PYTHONPATH=. build/venv/bin/python tests/bench/through_kafka.py [--messages N] [--json]"""
import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from deploy.local.places import ROOT, free_ports
from tests.flow.stack import StackUnderTest, wait_for
from tests.receiver.client import Receiver

SERIES = 300
TICKS = os.sysconf("SC_CLK_TCK")
BIN = ROOT / "build/release"


def cpu_s(pid):
    """User and system time of a process, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def row(name, samples, cpu, wall, rss):
    return {"name": name, "samples": samples, "cpu_s_per_million": round(cpu / samples * 1e6, 3),
            "samples_per_s": round(samples / wall), "rss_mb": round(rss)}


def measure_passthrough(stack, messages, codec):
    stack.create_topic("copy-" + codec, 12, compression_type=codec)
    began = time.monotonic()
    out = subprocess.run([str(BIN / "tests/bench/bench-passthrough"), stack.bootstrap, "metrics.ingest.demo",
                          "copy-" + codec, str(messages), "200", codec], stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    return row(f"bare consume → produce, {codec}", messages * SERIES, json.loads(out.stdout)["cpu_s"],
               time.monotonic() - began, 0)


def measure_worker(stack, worker, name, group, topic, samples):
    began = time.monotonic()
    worker.start()
    ends = stack.ends(topic)

    def caught_up():
        committed = stack.committed(group, topic)
        return all(committed.get(p, (0, ""))[0] >= end for p, end in ends.items() if end > 0)

    wait_for(caught_up, 600, f"{name} to catch up")
    wall = time.monotonic() - began
    result = row(name, samples, cpu_s(worker.process.pid), wall, peak_mb(worker.process.pid))
    worker.stop()
    return result


def run(messages, servers):
    with tempfile.TemporaryDirectory() as folder:
        stack = StackUnderTest(Path(folder) / "stack")
        stack.kafka.start()
        receiver = None
        try:
            stack.create_all_topics()
            manifest = Path(folder) / "manifest.json"
            subprocess.run([str(BIN / "sluice-loadgen"), "send", "--brokers", stack.bootstrap, "--topic",
                            "metrics.ingest.demo", "--servers", str(servers), "--series", str(SERIES), "--fast",
                            "--messages", str(messages), "--seed", "1", "--manifest", str(manifest)], check=True,
                           stdout=subprocess.DEVNULL)
            samples = messages * SERIES
            rows = [measure_passthrough(stack, messages, codec) for codec in ("zstd", "lz4")]
            validate = stack.new_worker("validate")
            rows.append(measure_worker(stack, validate, "validate", "sluice-validate", "metrics.ingest.demo", samples))
            receiver = Receiver(count_only=True, binary=str(BIN / "tests/receiver/sluice-test-receiver"))
            amp = stack.new_worker("amp", url=receiver.write_url)
            rows.append(measure_worker(stack, amp, "amp → counting receiver", "sluice-amp", "metrics.valid", samples))
            return rows
        finally:
            if receiver is not None:
                receiver.stop()
            stack.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20000)
    parser.add_argument("--servers", type=int, default=500, help="each sends messages / servers scrapes")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = run(args.messages, args.servers)
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    print(f"{'through real Kafka':34} {'CPU-s/1M':>9} {'samples/s':>11} {'RSS MB':>7}")
    for r in rows:
        print(f"{r['name']:34} {r['cpu_s_per_million']:9.3f} {r['samples_per_s']:11,} {r['rss_mb']:7}")


if __name__ == "__main__":
    main()
