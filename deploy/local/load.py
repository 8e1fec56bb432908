"""The load generator beside a stack, and its own verification of what arrived."""
import json
import subprocess

from deploy.local.places import StackError
from deploy.local.process import Process

TENANT = "demo"
TOPIC = f"metrics.ingest.{TENANT}"
FIRST_BEHIND_THE_DOOR = 100000  # number of the first server that goes through the gateway
SERIES_PER_SERVER = 300
INTERVAL_S = 10


class Load:
    """rate: samples per second, rounded up to whole servers. seconds 0: until it is stopped. by_http: through the gateway, from servers
    of their own, not to Kafka."""

    def __init__(self, stack, rate, seconds, seed=1, by_http=False):
        self.stack = stack
        self.rate = rate
        self.seconds = seconds
        self.seed = seed
        self.by_http = by_http
        name = "loadgen_http" if by_http else "loadgen"
        self.process = Process(name, stack.places.run, stack.places.logs / f"{name}.log")
        self.manifest = stack.places.data / f"{name}.manifest"

    def start(self):
        self.process.log_path.unlink(missing_ok=True)
        self.manifest.unlink(missing_ok=True)
        self.process.start(
            [self.stack.places.binary("sluice-loadgen"), "send", *self._where(), "--rate", str(self.rate), "--series", str(SERIES_PER_SERVER),
             "--interval-s", str(INTERVAL_S), "--seconds", str(self.seconds), "--seed", str(self.seed),
             "--manifest", str(self.manifest), "--json"],
            self.stack.kafka.die_with_parent)

    def _where(self):
        if self.by_http:
            return ("--gateway", self.stack.doors.url, "--token-file", str(self.stack.doors.token_path(TENANT)),
                    "--first-server", str(FIRST_BEHIND_THE_DOOR))
        return "--brokers", self.stack.kafka.bootstrap, "--topic", TOPIC

    def running(self):
        return self.process.alive()

    def closing(self):
        """What the generator says at its end."""
        if self.process.exit_code() != 0:
            raise StackError(self.process.death())
        for line in reversed(self.process.log_text().splitlines()):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict) and "samples" in found:
                return found
        raise StackError(f"{self.process.name} told no number of samples (log: {self.process.log_path})")

    def sent(self):
        """Samples that the brokers, or the gateway, have acknowledged."""
        return int(self.closing()["samples"])

    def verify(self):
        """(all there?, what the generator's verification says)."""
        done = subprocess.run(
            [self.stack.places.binary("sluice-loadgen"), "verify", "--manifest", str(self.manifest),
             "--prometheus", self.stack.prometheus.url], capture_output=True, text=True, check=False)
        return done.returncode == 0, (done.stdout + done.stderr).strip()

    def stop(self):
        self.process.stop()
