"""Benches through real Kafka: samples/s, CPU seconds per million samples and peak memory of validate, limit, amp and
parquet (into S3Proxy), in one run beside a bare librdkafka consume → produce of the same bytes (for amp: of what limit read) with the same
commit interval. Rates count from the first commit on: starting and joining the group are left out. The shares are of the bare one's CPU and rate.

    PYTHONPATH=. build/venv/bin/python tests/bench/through_kafka.py [--messages N] [--until validate] [--json]"""
import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from deploy.local.places import ROOT
from tests.flow.parquet_audit import Bucket
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


def row(name, samples, cpu, rate, rss, bare=None):
    made = {"name": name, "samples": samples, "cpu_s_per_million": round(cpu / samples * 1e6, 3),
            "samples_per_s": round(rate), "rss_mb": round(rss)}
    if bare is None:
        return made
    return {**made, "share_of_bare": round(made["samples_per_s"] / bare["samples_per_s"], 2),
            "cpu_of_bare": round(made["cpu_s_per_million"] / bare["cpu_s_per_million"], 2)}


def measure_passthrough(stack, topic, samples, codec):
    copy = f"copy-{topic}-{codec}"
    stack.create_topic(copy, 12, compression_type=codec)
    out = subprocess.run([str(BIN / "tests/bench/bench-passthrough"), stack.bootstrap, topic, copy, "200", codec],
                         stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    told = json.loads(out.stdout)
    per_record = samples / told["records"]
    return row(f"bare {topic} → copy, {codec}", samples, told["cpu_s"], told["records_per_s"] * per_record, 0)


def offset_of(commit):
    """Of (offset, metadata)."""
    return commit[0]


class Progress:
    """How far a group has come, and how fast since its first commit was seen. position_of: what a commit, (offset,
    metadata), says of that."""

    def __init__(self, stack, group, topic, position_of=offset_of):
        self.stack, self.group, self.topic, self.position_of = stack, group, topic, position_of
        # Behind the last record: a transaction's marker, which stands after it, is not to be waited for.
        last = stack.read_committed(topic, {p: max(end - 10, 0) for p, end in stack.ends(topic).items()})
        self.ends = {m.partition(): m.offset() + 1 for m in last}
        self.first = None  # (time, offsets)

    def at_end(self):
        committed = self.stack.committed(self.group, self.topic)
        done = [min(self.position_of(committed[p]) if p in committed else 0, end) for p, end in self.ends.items()]
        if sum(done) > 0 and self.first is None:
            self.first = time.monotonic(), sum(done)
        return done == list(self.ends.values())

    def rate(self, samples):
        seconds = time.monotonic() - self.first[0]
        total = sum(self.ends.values())
        return samples * (total - self.first[1]) / total / seconds


def measure_worker(stack, worker, name, group, topic, samples, bare=None, position_of=offset_of):
    progress = Progress(stack, group, topic, position_of)
    worker.start()
    wait_for(progress.at_end, 600, f"{name} to catch up")
    rate = progress.rate(samples)
    result = row(name, samples, cpu_s(worker.process.pid), rate, peak_mb(worker.process.pid), bare)
    worker.stop()
    return result


def run(messages, servers, until):
    with tempfile.TemporaryDirectory() as folder:
        stack = StackUnderTest(Path(folder) / "stack", lasting=True)
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
            rows = [measure_passthrough(stack, "metrics.ingest.demo", samples, codec) for codec in ("zstd", "lz4")]
            validate = stack.new_worker("validate")
            rows.append(measure_worker(stack, validate, "validate", "sluice-validate", "metrics.ingest.demo", samples,
                                       rows[0]))
            if until == "validate":
                return rows
            rows.append(measure_passthrough(stack, "metrics.valid", samples, "zstd"))
            limit = stack.new_worker("limit")
            bare = rows[-1]
            rows.append(measure_worker(stack, limit, "limit", "sluice-limit", "metrics.valid", samples, bare))
            receiver = Receiver(count_only=True, binary=str(BIN / "tests/receiver/sluice-test-receiver"))
            amp = stack.new_worker("amp", url=receiver.write_url)
            rows.append(measure_worker(stack, amp, "amp → counting receiver", "sluice-amp", "metrics.admitted", samples, bare))
            Bucket(stack)
            parquet = stack.new_worker("parquet", file_max_rows=samples // 12 // 8)
            rows.append(measure_worker(stack, parquet, "parquet → S3Proxy", "sluice-parquet", "metrics.admitted", samples))
            return rows
        finally:
            if receiver is not None:
                receiver.stop()
            stack.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20000)
    parser.add_argument("--servers", type=int, default=500, help="each sends messages / servers scrapes")
    parser.add_argument("--until", choices=["validate"], help="leave the stages behind it out")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = run(args.messages, args.servers, args.until)
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    print(f"{'through real Kafka':38} {'CPU-s/1M':>9} {'of bare':>8} {'samples/s':>11} {'of bare':>8} {'RSS MB':>7}")
    for r in rows:
        cpu, share = (f"{r[key]:.0%}" if key in r else "" for key in ("cpu_of_bare", "share_of_bare"))
        print(f"{r['name']:38} {r['cpu_s_per_million']:9.3f} {cpu:>8} {r['samples_per_s']:11,} {share:>8} {r['rss_mb']:7}")


if __name__ == "__main__":
    main()
