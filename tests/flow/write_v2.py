"""A store that speaks remote write 2.0, 1.0 or both, decoding by hand: independent of everything in workers/amp."""
import http.server
import struct
import threading

import cramjam

V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """[(number, value)]: bytes, numbers, or 8 raw bytes"""
    at, found = 0, []
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            n, at = varint(data, at)
            assert tag & 7 == 2 and at + n <= len(data)
            value, at = data[at:at + n], at + n
        found.append((tag >> 3, value))
    return found


def only(message, number, default):
    values = [v for n, v in message if n == number]
    return values[-1] if values else default


def decode(data):
    """[(labels, [(t_ms, bits)], [(t_ms, count)], type, unit)]; asserts what the specification demands."""
    request = fields(data)
    symbols = [v.decode() for n, v in request if n == 4]
    assert symbols[0] == "" and len(set(symbols)) == len(symbols) and {n for n, _ in request} <= {4, 5}
    series = []
    for body in (v for n, v in request if n == 5):
        message = fields(body)
        refs, at, packed = [], 0, only(message, 1, b"")
        while at < len(packed):
            ref, at = varint(packed, at)
            refs.append(symbols[ref])
        names, values = refs[0::2], refs[1::2]
        assert names == sorted(set(names)) and len(names) == len(values) and "" not in names + values
        samples = [fields(v) for n, v in message if n == 2]
        histograms = [fields(v) for n, v in message if n == 3]
        assert bool(samples) != bool(histograms)
        meta = fields(only(message, 5, b""))
        series.append((dict(zip(names, values)),
                       [(only(s, 2, 0), struct.unpack("<Q", only(s, 1, b"\0" * 8))[0]) for s in samples],
                       [(only(h, 15, 0), only(h, 1, 0)) for h in histograms],
                       only(meta, 1, 0), symbols[only(meta, 4, 0)]))
    return series


class Store:
    """mode: "2.0" counts what it wrote; "415" refuses 2.0; "silent" answers 2xx without counts, and keeps nothing of 2.0."""

    def __init__(self, mode):
        self.mode, self.series, self.types = mode, {}, []
        self.metadata = {}
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers = outer.take(self.headers, body)
                self.send_response(status)
                for key, value in {**headers, "Content-Length": "0"}.items():
                    self.send_header(key, value)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/v1/write"

    def take(self, headers, body):
        plain = bytes(cramjam.snappy.decompress_raw(body))
        with self.lock:
            self.types.append((headers["Content-Type"], headers["X-Prometheus-Remote-Write-Version"]))
            if headers["Content-Type"] != V2:
                self._keep_1(plain)
                return 204, {}
            if self.mode != "2.0":
                return (415 if self.mode == "415" else 204), {}
            rows = decode(plain)
            for labels, samples, histograms, kind, unit in rows:
                points = self.series.setdefault(tuple(sorted(labels.items())), {})
                points.update({t: bits for t, bits in samples})
                points.update({t: None for t, _ in histograms})
                self.metadata[labels["__name__"]] = (kind, unit)
        return 204, {"X-Prometheus-Remote-Write-Samples-Written": str(sum(len(r[1]) for r in rows)),
                     "X-Prometheus-Remote-Write-Histograms-Written": str(sum(len(r[2]) for r in rows)),
                     "X-Prometheus-Remote-Write-Exemplars-Written": "0"}

    def _keep_1(self, plain):
        for body in (v for n, v in fields(plain) if n == 1):
            message = fields(body)
            labels = {only(fields(v), 1, b"").decode(): only(fields(v), 2, b"").decode() for n, v in message if n == 1}
            points = self.series.setdefault(tuple(sorted(labels.items())), {})
            for n, v in message:
                if n == 2:
                    points[only(fields(v), 2, 0)] = struct.unpack("<Q", only(fields(v), 1, b"\0" * 8))[0]
                elif n == 4:
                    points[only(fields(v), 15, 0)] = None

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
