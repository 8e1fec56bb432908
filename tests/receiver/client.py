"""Drives sluice-test-receiver from Python tests: starts it on a free port, sets its rules and plan,
reads back what it took, and sends hand-encoded remote write requests. Standard library only.

    with Receiver(rules={"max_series": 10}, plan=[{"status": 503, "times": 2}]) as receiver:
        ...point a sender at receiver.write_url...
        receiver.dump()   # {labels: {t_ms: Point}}
"""

import collections
import http.client
import json
import os
import pathlib
import socket
import struct
import subprocess
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": "receiver-client/1",
}

# bits: of the double, or a histogram's digest. times: how often it came with this value.
# request: the number of the request that brought it first. histogram: the content, when asked for.
Point = collections.namedtuple("Point", "is_histogram bits times request histogram")
Answer = collections.namedtuple("Answer", "status headers body")


def binary_path():
    """SLUICE_TEST_RECEIVER, or build/bin's, or the newest of other builds."""
    if "SLUICE_TEST_RECEIVER" in os.environ:
        return os.environ["SLUICE_TEST_RECEIVER"]
    for folder in ("build/bin", "build/bin/tests/receiver"):
        if (ROOT / folder / "sluice-test-receiver").exists():
            return str(ROOT / folder / "sluice-test-receiver")
    found = list(ROOT.glob("build/*/tests/receiver/sluice-test-receiver"))
    if not found:
        raise FileNotFoundError("sluice-test-receiver is not built (SLUICE_TEST_RECEIVER names it)")
    return str(max(found, key=lambda path: path.stat().st_mtime))


class Receiver:
    def __init__(self, profile="amp", rules=None, plan=None, keep_histograms=False,
                 count_only=False, threads=1, port=0, binary=None):
        command = [binary or binary_path(), "--profile", profile, "--port", str(port)]
        for key, value in (rules or {}).items():
            command += ["--set", f"{key}={int(value)}"]
        if keep_histograms:
            command.append("--keep-histograms")
        if count_only:
            command += ["--count-only", "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.process.wait()
            raise RuntimeError(f"sluice-test-receiver did not start: {line!r}")
        self.host, port_text = line.split()[-1].rsplit(":", 1)
        self.port = int(port_text)
        self.url = f"http://{self.host}:{self.port}"
        self.write_url = self.url + "/api/v1/write"
        if plan is not None:
            self.set_plan(plan)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        """Ends it; its last statistics, or None when it had ended before."""
        if self.process.poll() is None:
            self.process.terminate()
        out, _ = self.process.communicate(timeout=20)
        if self.process.returncode != 0:
            raise RuntimeError(f"sluice-test-receiver ended with {self.process.returncode}")
        return json.loads(out) if out.strip() else None

    def call(self, method, path, body=None, **query):
        query = {key: value for key, value in query.items() if value is not None}
        target = path + ("?" + urllib.parse.urlencode(query) if query else "")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, target, body=body)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def _get(self, path, **query):
        answer = self.call("GET", path, **query)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {answer.body.decode()}")
        return answer.body

    def _post(self, path, value):
        answer = self.call("POST", path, body=json.dumps(value))
        if answer.status != 200:
            raise ValueError(f"POST {path}: {answer.status} {answer.body.decode()}")

    def _lines(self, path, match):
        return [json.loads(line) for line in self._get(path, match=match).splitlines()]

    def stats(self):
        return json.loads(self._get("/stats"))

    def violations(self):
        return json.loads(self._get("/violations"))

    def requests(self):
        return json.loads(self._get("/requests"))

    def rules(self):
        return json.loads(self._get("/rules"))

    def plan(self):
        return json.loads(self._get("/plan"))

    def samples(self, match=None):
        return self._lines("/samples", match)

    def refused(self, match=None):
        return self._lines("/refused", match)

    def series(self, match=None):
        return self._lines("/series", match)

    def set_rules(self, **rules):
        self._post("/rules", rules)

    def set_plan(self, steps):
        self._post("/plan", steps)

    def reset(self, timeout_s=5):
        """Forgets samples, counts and plan; waits for requests in flight."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self.call("POST", "/reset")
            if answer.status == 200:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(answer.body.decode())
            time.sleep(0.02)

    def dump(self, match=None, histograms=False):
        """{labels (sorted tuple of pairs): {t_ms: Point}}"""
        text = self._get("/dump", match=match, arrival=1, histograms="full" if histograms else None)
        result = {}
        points = {}
        for line in text.decode().splitlines():
            if line.startswith("{"):
                points = result.setdefault(tuple(sorted(json.loads(line).items())), {})
                continue
            t_ms, bits, times, request, *content = line.split(" ", 4)
            is_histogram = bits.startswith("h:")
            points[int(t_ms)] = Point(is_histogram, int(bits.removeprefix("h:"), 16), int(times),
                                      int(request), json.loads(content[0]) if content else None)
        return result

    def write(self, body, headers=None, timeout_s=30, path="/api/v1/write"):
        """Posts the protobuf bytes of a request, snappy added; see post_raw."""
        return self.post_raw(snappy_block(body), headers, timeout_s, path)

    def post_raw(self, body, headers=None, timeout_s=30, path="/api/v1/write"):
        """headers: changes to HEADERS, None removes one. OSError when there is no answer."""
        merged = {k: v for k, v in {**HEADERS, **(headers or {})}.items() if v is not None}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        try:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.putrequest("POST", path, skip_accept_encoding=True)
            for key, value in merged.items():
                connection.putheader(key, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()


# Encoding: remote write 1.0 by hand


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value):
    return varint((value << 1) ^ (value >> 63))


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def number_field(number, value):
    return varint(number << 3) + varint(value)


def double_field(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


def text(value):
    return value if isinstance(value, bytes) else value.encode()


def snappy_block(data):
    """Valid, uncompressed: literals only."""
    out = [varint(len(data))]
    for at in range(0, len(data), 1 << 16):
        piece = data[at:at + (1 << 16)]
        out += [b"\xf4", struct.pack("<H", len(piece) - 1), piece]
    return b"".join(out)


def series(labels, samples=(), histograms=()):
    """labels: dict (will be sorted) or pairs (as they stand). samples: (t_ms, value). histograms:
    what histogram() gave."""
    pairs = sorted(labels.items()) if isinstance(labels, dict) else labels
    out = [field(1, field(1, text(name)) + field(2, text(value))) for name, value in pairs]
    out += [field(2, double_field(1, value) + number_field(2, t_ms)) for t_ms, value in samples]
    out += [field(4, h) for h in histograms]
    return b"".join(out)


def request(*all_series):
    return b"".join(field(1, one) for one in all_series)


def spans(buckets):
    """buckets: sorted [(index, count)] -> [(offset, length)]"""
    out = []
    end = 0
    for index, _ in buckets:
        if out and index == end:
            out[-1][1] += 1
        else:
            out.append([index - end, 1])
        end = index + 1
    return out


def histogram(t_ms, schema, positive=(), negative=(), zero_count=0, zero_threshold=1e-128, total=0.0,
              count=None, is_float=False, custom_values=(), span_gap=None):
    """positive, negative: [(index, count)]. count: default the sum of all. span_gap: put this many
    empty buckets behind the positive ones (another layout of the same content)."""
    positive = list(positive)
    if span_gap:
        last = positive[-1][0]
        positive += [(last + 1 + i, 0) for i in range(span_gap)]
    if count is None:
        count = zero_count + sum(n for _, n in positive) + sum(n for _, n in negative)
    out = [double_field(2, count) if is_float else number_field(1, count)]
    out += [double_field(3, total), varint(4 << 3) + zigzag(schema), double_field(5, zero_threshold)]
    out.append(double_field(7, zero_count) if is_float else number_field(6, zero_count))
    for buckets, span_field, delta_field, count_field in ((negative, 8, 9, 10),
                                                          (positive, 11, 12, 13)):
        for offset, length in spans(buckets):
            out.append(field(span_field, varint(1 << 3) + zigzag(offset) + number_field(2, length)))
        if is_float and buckets:
            out.append(field(count_field, b"".join(struct.pack("<d", n) for _, n in buckets)))
        elif buckets:
            counts = [n for _, n in buckets]
            deltas = [n - before for n, before in zip(counts, [0] + counts)]
            out.append(field(delta_field, b"".join(zigzag(n) for n in deltas)))
    out.append(number_field(15, t_ms))
    if custom_values:
        out.append(field(16, b"".join(struct.pack("<d", v) for v in custom_values)))
    return b"".join(out)


def canonical(schema, positive=(), negative=(), zero_count=0, zero_threshold=1e-128, total=0.0,
              count=None, is_float=False):
    """The bytes whose XXH3-64 is a histogram's digest (histogram.h)."""
    one = "<d" if is_float else "<Q"
    if count is None:
        count = zero_count + sum(n for _, n in positive) + sum(n for _, n in negative)
    out = [struct.pack("<Bid", is_float, schema, zero_threshold), struct.pack(one, zero_count),
           struct.pack(one, count), struct.pack("<d", total)]
    for buckets in (positive, negative):
        full = [(index, n) for index, n in buckets if n != 0]
        out.append(struct.pack("<I", len(full)))
        out += [struct.pack("<i", index) + struct.pack(one, n) for index, n in full]
    return b"".join(out)
