"""An HTTP proxy in front of S3 that misbehaves: it refuses with 503, stores and then breaks the connection, takes its
time, or keeps requests back. Requests go on as they came, signature and Host header too."""
import contextlib
import http.client
import http.server
import random
import threading
import time

HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


class HttpProxy:
    """fault(method, path) → None: as it should be; "refuse": 503; "lose": it is done, and no answer comes; a number:
    so many seconds later; an Event: when it is set."""

    def __init__(self, port, target_port):
        self.port, self.target_port = port, target_port
        self.fault = lambda method, path: None
        self.n_writing = 0  # under way, about
        self.counts = {}
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def handle_any(self):
                with contextlib.suppress(OSError):
                    proxy._handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients that are killed
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def _handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        fault = self.fault(request.command, request.path)
        writes = request.command in ("PUT", "POST")
        self.n_writing += writes
        try:
            if fault is not None:
                name = fault if isinstance(fault, str) else "slow" if isinstance(fault, (int, float)) else "hold"
                self.counts[name] = self.counts.get(name, 0) + 1
            if fault == "refuse":
                return self._answer(request, 503, [], b"<Error><Code>SlowDown</Code></Error>")
            if isinstance(fault, (int, float)):
                time.sleep(fault)
            elif fault is not None and fault != "lose":
                fault.wait()
            answer = self._forward(request, body)
            if fault == "lose" or answer is None:
                request.close_connection = True
                return None
            return self._answer(request, *answer)
        finally:
            self.n_writing -= writes

    def _forward(self, request, body):
        """(status, headers, body); None: there is no S3."""
        try:
            to = http.client.HTTPConnection("127.0.0.1", self.target_port, timeout=60)
            to.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in HOP:
                    to.putheader(name, value)
            to.endheaders(body)
            got = to.getresponse()
            answer = got.status, got.getheaders(), got.read()
            to.close()
            return answer
        except (OSError, http.client.HTTPException):
            return None

    def _answer(self, request, status, headers, body):
        request.send_response_only(status)
        length = len(body)
        for name, value in headers:
            if name.lower() == "content-length" and request.command == "HEAD":
                length = value
            if name.lower() not in HOP | {"content-length"}:
                request.send_header(name, value)
        request.send_header("Content-Length", str(length))
        request.end_headers()
        request.wfile.write(body)


def some_of(rng: random.Random, fault, share):
    """The fault for a share of the writing requests."""
    return lambda method, path: fault if method in ("PUT", "POST") and rng.random() < share else None
