"""The gateway on a real broker, sluice-loadgen as its clients: OTLP/HTTP requests of 300 samples (a tenth exponential histograms) over
keep-alive connections, judged and passed on, plain and with client certificates. First as fast as it goes; then at 1, 3 and 5 times a
rate: 200,000 samples/s, or a sixth of what the machine has just held. Requests/s, CPU seconds per million samples and what they make of
a core, time to the first byte. Clients, broker and gateway share the machine: rates are theirs as much as the gateway's, its CPU seconds
are not.

    PYTHONPATH=. build/venv/bin/python tests/bench/gateway_http.py [--seconds N] [--edge validate|pass] [--door plain|mtls]"""
import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from deploy.local.certificates import Authority
from deploy.local.places import HOST, ROOT, free_ports
from tests.bench.through_kafka import cpu_s, peak_mb
from tests.flow.gateway import Gateway
from tests.flow.stack import StackUnderTest

SERVERS, CONNECTIONS, GOAL, FAST_MESSAGES = 200, 16, 200_000, 2000
LOADGEN = ROOT / "build/release/sluice-loadgen"
PRINCIPAL = "spiffe://games.example/demo"


class Bench:
    def __init__(self, folder, stack, seconds):
        self.folder, self.stack, self.seconds = folder, stack, seconds
        self.ca = Authority(folder / "ca")
        self.server = self.ca.issue("server")
        self.client = self.ca.issue("client", "client", f"URI:{PRINCIPAL}", "clientAuth")

    def gateway(self, edge):
        policy = json.loads((ROOT / "deploy/local/policy.json").read_text())
        certificate, key = self.server
        return Gateway(self.stack, self.folder / edge, {"demo": {"principals": [PRINCIPAL]}},
                       {k: v for k, v in policy.items() if k != "tenants"}, name=f"gateway-{edge}", edge=edge, tls_port=free_ports(1),
                       tls_certificate=str(certificate), tls_key=str(key), tls_client_ca=str(self.ca.path)).start()

    def run(self, name, gateway, door, rate=None):
        """Samples/s that went through."""
        where = ["--gateway", f"http://{HOST}:{gateway.port}", "--token-file", self.folder / "token"]
        if door == "mtls":
            where = ["--gateway", f"https://{HOST}:{gateway.keys['tls_port']}", "--ca", self.ca.path, "--cert", self.client[0],
                     "--key", self.client[1]]
        (self.folder / "token").write_text(gateway.tokens["demo"] + "\n")
        pace = ["--fast", "--messages", str(FAST_MESSAGES)]
        if rate is not None:
            pace = ["--interval-s", str(SERVERS * 300 / rate), "--seconds", str(self.seconds)]
        pid, before = gateway.worker.process.pid, cpu_s(gateway.worker.process.pid)
        out = subprocess.run([LOADGEN, "send", *where, "--servers", str(SERVERS), "--connections", str(CONNECTIONS), *pace,
                              "--manifest", self.folder / "manifest.json", "--json"],
                             stdout=subprocess.PIPE, text=True, check=True, timeout=300)
        told = json.loads(out.stdout)
        per_million = (cpu_s(pid) - before) / told["samples"] * 1e6
        print(f"{name}: {told['requests'] / told['seconds']:.0f} requests/s, {told['samples'] / told['seconds']:.0f} samples/s, "
              f"{per_million:.2f} CPU-s per million samples ({1 / per_million * 1e6:.0f} samples/s a core), first byte p50 "
              f"{told['ttfb_p50_s'] * 1000:.1f} ms, p99 {told['ttfb_p99_s'] * 1000:.1f} ms, {told['held']} times told to wait, "
              f"{peak_mb(pid):.0f} MB", flush=True)
        return told["samples"] / told["seconds"]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--edge", action="append", choices=["validate", "pass"])
    arguments.add_argument("--door", action="append", choices=["plain", "mtls"])
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = StackUnderTest(Path(folder) / "stack", lasting=True)
        stack.kafka.start()
        try:
            stack.create_topic("metrics.ingest", 12)
            stack.create_topic("sluice.control", 1, cleanup_policy="compact")
            bench = Bench(Path(folder), stack, given.seconds)
            for edge in given.edge or ["validate", "pass"]:
                gateway = bench.gateway(edge)
                for door in given.door or ["plain", "mtls"]:
                    held = bench.run(f"edge: {edge}, {door}, as fast as it goes", gateway, door)
                    for times in (1, 3, 5):
                        bench.run(f"edge: {edge}, {door}, {times}x", gateway, door, times * min(GOAL, held / 6))
                gateway.worker.process.kill()
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
