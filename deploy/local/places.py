"""Where a local stack keeps its files, and on which ports its parts listen."""
import os
import random
import socket
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"

# part: its default port; SLUICE_PORT_<PART> overrides it. Broker i listens on kafka + i, its
# controller on kafka_controller + i. All lie below the range that systems give to clients.
DEFAULT_PORTS = {
    "kafka": 19391,
    "kafka_controller": 19395,
    "prometheus": 19490,
    "validate": 19481,
    "amp": 19482,
    "limit": 19483,
    "parquet": 19484,
    "rollup": 19485,
    "rollup_1h": 19486,
    "amp_warm": 19487,
    "prometheus_warm": 19492,
    "s3proxy": 19491,
    "gateway": 19488,
    "gateway_http": 19478,
    "gateway_mtls": 19479,
}


class StackError(Exception):
    """What went wrong, in one line for the user."""


class Places:
    """The folder of one stack, its ports, and the programs that it runs."""

    def __init__(self, directory=None, ports=None, binaries=None):
        self.dir = Path(directory or os.environ.get("SLUICE_LOCAL_DIR") or ROOT / "build/local")
        self.dir = self.dir.resolve()
        self.binaries = Path(binaries or os.environ.get("SLUICE_BIN") or ROOT / "build/bin")
        self.deps = ROOT / "build/deps"
        self._ports = ports

    @property
    def logs(self):
        return self.dir / "logs"

    @property
    def run(self):
        return self.dir / "run"

    @property
    def config(self):
        return self.dir / "config"

    @property
    def data(self):
        return self.dir / "data"

    @property
    def endpoints(self):
        return self.dir / "endpoints.json"

    def make(self):
        for folder in (self.logs, self.run, self.config, self.data):
            folder.mkdir(parents=True, exist_ok=True)

    def port(self, part):
        if self._ports is not None:
            return self._ports[part]
        variable = f"SLUICE_PORT_{part.upper()}"
        text = os.environ.get(variable, str(DEFAULT_PORTS[part]))
        if not text.isdigit() or not 1 <= int(text) <= 65535:
            raise StackError(f"{variable}: '{text}' is not a port")
        return int(text)

    def hint(self, part):
        """What to say when the port of a part is taken."""
        return f"set SLUICE_PORT_{part.upper()} to another one"

    def binary(self, name):
        path = self.binaries / name
        if not os.access(path, os.X_OK):
            raise StackError(f"{path} is missing; deploy/build makes it")
        return str(path)


def port_is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((HOST, port))
        except OSError:
            return False
    return True


class FreePorts:
    """Hands out ports below the ephemeral range, so that no client connection takes one; each once before any again: a port that was
    handed out may not be bound yet. SLUICE_FREE_PORTS (first-last): from there alone, so that test runs side by side keep apart."""

    def __init__(self):
        self.low, self.high = map(int, os.environ.get("SLUICE_FREE_PORTS", "20000-31999").split("-"))
        self.next = random.randint(self.low, self.high)

    def take(self, n):
        """The first of n consecutive ones."""
        for _ in range(self.high - self.low + 1):
            first = self.next if self.next + n - 1 <= self.high else self.low
            if all(port_is_free(p) for p in range(first, first + n)):
                self.next = first + n
                return first
            self.next = first + 1
        raise StackError(f"found no {n} free ports between {self.low} and {self.high}")


free_ports = FreePorts().take


def private_places(directory, binaries=None):
    """Places of a stack beside others: everything in directory, on free ports."""
    first = free_ports(24)
    ports = {"kafka": first, "kafka_controller": first + 3, "prometheus": first + 6}
    rest = [part for part in DEFAULT_PORTS if part not in ports]
    ports.update({part: first + 7 + i for i, part in enumerate(rest)})
    return Places(directory, ports, binaries)
