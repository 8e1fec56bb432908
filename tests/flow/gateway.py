"""A gateway under test: its policy, tokens, and how clients speak to it."""
import http.client
import json
import re
import socket
import subprocess
import time
from pathlib import Path

from deploy.local.places import HOST, free_ports
from tests.flow.stack import wait_for

OTLP = "application/x-protobuf"
JSON = "application/json"
WRITE_V1 = "application/x-protobuf"
WRITE_V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
INGEST = "metrics.ingest"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def reason(self):
        return self.headers.get("X-Sluice-Reason")

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def __repr__(self):
        return f"{self.status} {self.reason} {self.body[:300]!r}"


class Gateway:
    """tenants: {name: its part of the policy}. keys: of the configuration, with __ for dots."""

    def __init__(self, stack, directory, tenants=None, policy=None, build=None, name="gateway", **keys):
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.stack, self.policy_path, self.tokens_path = stack, directory / "policy.json", directory / "tokens"
        self.policy = {"tenants": tenants or {"demo": {}, "other": {}}, **(policy or {})}
        self.write_policy()
        self.port = free_ports(1)
        self.worker = stack.new_worker("gateway", name, build, policy=str(self.policy_path),
                                       tokens=str(self.tokens_path), port=self.port, address=HOST, drain_ms=0, **keys)
        self.keys = keys
        self.binary = str(self.worker.places.binary("sluice-gateway"))
        self.tokens = {tenant: self.token(tenant) for tenant in self.policy["tenants"]}

    def start(self):
        self.worker.start()
        self.worker.wait_ready()
        return self

    def write_policy(self):
        fresh = self.policy_path.with_suffix(".new")
        fresh.write_text(json.dumps(self.policy))
        fresh.rename(self.policy_path)

    def tool(self, *arguments):
        return subprocess.run([self.binary, "token", *arguments, "--set", f"tokens={self.tokens_path}"],
                              capture_output=True, text=True, timeout=20, check=False)

    def token(self, tenant, *arguments):
        done = self.tool("create", "--tenant", tenant, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    # requests

    def headers(self, tenant="demo", content_type=OTLP, encoding=None, **more):
        found = {"Content-Type": content_type}
        if tenant is not None:
            found["Authorization"] = f"Bearer {self.tokens.get(tenant, tenant)}"
        if encoding is not None:
            found["Content-Encoding"] = encoding
        return {**found, **{k.replace("_", "-"): v for k, v in more.items()}}

    def post(self, body, path="/v1/metrics", method="POST", headers=None, timeout=30, **kind):
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=timeout)
        try:
            return exchange(connection, method, path, body, headers or self.headers(**kind))
        finally:
            connection.close()

    def write(self, body, content_type=WRITE_V1, **kind):
        """Remote write of a body that is a snappy block already."""
        return self.post(body, "/api/v1/write", content_type=content_type, encoding="snappy", **kind)

    def raw(self, data, timeout=10, source=None):
        """Bytes on a connection; all that comes back until it is closed."""
        with self.connect(timeout, source) as s:
            s.sendall(data)
            return read_all(s)

    def connect(self, timeout=10, source=None):
        return socket.create_connection((HOST, self.port), timeout, source_address=(source, 0) if source else None)

    # what it says

    def metric(self, name, **labels):
        """The sum over all series that have these labels."""
        total = 0.0
        for line in self.worker.metrics().splitlines():
            match = re.match(rf"{name}(?:{{(.*)}})? (\S+)$", line)
            if match and all(f'{k}="{v}"' in (match[1] or "") for k, v in labels.items()):
                total += float(match[2])
        return total

    def rss(self):
        return self.metric("sluice_memory_bytes")

    def wait_metric(self, name, at_least, **labels):
        wait_for(lambda: self.metric(name, **labels) >= at_least, what=f"{name}{labels} ≥ {at_least}")

    def records(self, topic=INGEST):
        return self.stack.read_committed(topic)


def exchange(connection, method, path, body, headers):
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    return Answer(answer.status, answer.headers, answer.read())


def read_all(s):
    found = b""
    while True:
        try:
            piece = s.recv(65536)
        except ConnectionResetError:
            return found
        if not piece:
            return found
        found += piece


def now_ms():
    return int(time.time() * 1000)
