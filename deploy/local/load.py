"""The load generator beside a stack, and its own verification of what arrived."""
import json
import subprocess

from deploy.local.places import StackError
from deploy.local.process import Process

TOPIC = "metrics.ingest.demo"
SERIES_PER_SERVER = 300
INTERVAL_S = 10


class Load:
    """rate: samples per second, rounded up to whole servers. seconds 0: until it is stopped."""

    def __init__(self, stack, rate, seconds, seed=1):
        self.stack = stack
        self.rate = rate
        self.seconds = seconds
        self.seed = seed
        self.process = Process("loadgen", stack.places.run, stack.places.logs / "loadgen.log")
        self.manifest = stack.places.data / "loadgen.manifest"

    def start(self):
        self.process.log_path.unlink(missing_ok=True)
        self.manifest.unlink(missing_ok=True)
        self.process.start(
            [self.stack.places.binary("sluice-loadgen"), "send", "--brokers", self.stack.kafka.bootstrap,
             "--topic", TOPIC, "--rate", str(self.rate), "--series", str(SERIES_PER_SERVER),
             "--interval-s", str(INTERVAL_S), "--seconds", str(self.seconds), "--seed", str(self.seed),
             "--manifest", str(self.manifest), "--json"],
            self.stack.kafka.die_with_parent)

    def running(self):
        return self.process.alive()

    def sent(self):
        """Samples that the brokers have, by the generator's closing line."""
        if self.process.exit_code() != 0:
            raise StackError(self.process.death())
        for line in reversed(self.process.log_text().splitlines()):
            try:
                return int(json.loads(line)["samples"])
            except (ValueError, KeyError, TypeError):
                continue
        raise StackError(f"loadgen told no number of samples (log: {self.process.log_path})")

    def verify(self):
        """(all there?, what the generator's verification says)."""
        done = subprocess.run(
            [self.stack.places.binary("sluice-loadgen"), "verify", "--manifest", str(self.manifest),
             "--prometheus", self.stack.prometheus.url], capture_output=True, text=True, check=False)
        return done.returncode == 0, (done.stdout + done.stderr).strip()

    def stop(self):
        self.process.stop()
