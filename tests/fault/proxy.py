"""A TCP proxy that knows Kafka's framing: requests can be held back by API key and let go later, also
after the client has closed its connection. Protocol: a frame is a 4-byte length, then api_key int16,
api_version int16, correlation_id int32 (request), or correlation_id int32 (answer)."""
import socket
import struct
import threading

PRODUCE, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 0, 25, 26, 28


class Request:
    def __init__(self, link, frame):
        self.link = link
        self.frame = frame
        self.api_key, self.api_version, self.correlation_id = struct.unpack(">hhi", frame[4:12])
        self.answered = threading.Event()
        self.answer = b""

    def release(self):
        """Sends it on to the broker."""
        self.link.forward(self)

    def error_code(self, timeout_s=10):
        """Of an EndTxn answer (v0-2: throttle_ms int32, error int16; v3: a tagged header before)."""
        assert self.answered.wait(timeout_s), "the broker did not answer the request that was let go"
        body = self.answer[8:] if self.api_version < 3 else self.answer[9:]
        return struct.unpack(">h", body[4:6])[0]


class Link:
    """One client connection and its own connection to the broker."""

    def __init__(self, proxy, client):
        self.proxy = proxy
        self.client = client
        self.broker = socket.create_connection(("127.0.0.1", proxy.target_port))
        self.lock = threading.Lock()
        self.waiting = {}
        self.held = []
        for run in (self._requests, self._answers):
            threading.Thread(target=run, daemon=True).start()

    def forward(self, request):
        with self.lock:
            self.waiting[request.correlation_id] = request
            self.broker.sendall(request.frame)

    def _requests(self):
        while True:
            frame = _read_frame(self.client)
            if frame is None:
                break
            request = Request(self, frame)
            hold = self.proxy.hold
            if hold is not None and hold(request):
                self.held.append(request)
            else:
                try:
                    self.forward(request)
                except OSError:
                    break
        if not self.held:
            _close(self.broker)

    def _answers(self):
        while True:
            frame = _read_frame(self.broker)
            if frame is None:
                break
            request = self.waiting.pop(struct.unpack(">i", frame[4:8])[0], None)
            if request is not None:
                request.answer = frame
                request.answered.set()
            try:
                self.client.sendall(frame)
            except OSError:
                continue  # the client is gone; what was held may still be answered
        _close(self.client)

    def close(self):
        _close(self.client)
        _close(self.broker)


class Proxy:
    def __init__(self, listen_port, target_port):
        self.target_port = target_port
        self.hold = None  # hold(request) -> True: keep it back
        self.links = []
        self.server = socket.create_server(("127.0.0.1", listen_port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            try:
                self.links.append(Link(self, client))
            except OSError:
                _close(client)

    def cut(self):
        """Closes all connections; new ones are taken."""
        links, self.links = self.links, []
        for link in links:
            link.close()

    def stop(self):
        _close(self.server)
        self.cut()


def _close(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()


def _read_frame(sock):
    head = _read_exactly(sock, 4)
    if head is None:
        return None
    body = _read_exactly(sock, struct.unpack(">i", head)[0])
    return None if body is None else head + body


def _read_exactly(sock, n):
    parts = []
    while n > 0:
        try:
            part = sock.recv(min(n, 1 << 20))
        except OSError:
            return None
        if not part:
            return None
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def proxied_listener(internal_port, proxy_port, kafka_port, controller_port):
    """Broker properties for a listener whose clients go through the proxy."""
    host = "127.0.0.1"
    return (f"listeners=PLAINTEXT://{host}:{kafka_port},CONTROLLER://{host}:{controller_port},"
            f"PROXIED://{host}:{internal_port}\n"
            f"advertised.listeners=PLAINTEXT://{host}:{kafka_port},PROXIED://{host}:{proxy_port}\n"
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT\n")
