"""The gateway on a real broker: OTLP/HTTP requests of 300 samples over keep-alive connections, judged and passed on, plain and TLS:
requests/s, CPU seconds per million samples, time to the answer. The clients are Python's and share the machine: rates are
theirs as much as the gateway's, the CPU seconds are not.

    PYTHONPATH=. build/venv/bin/python tests/bench/gateway_http.py [--seconds N]"""
import argparse
import multiprocessing
import socket
import ssl
import tempfile
import time
from pathlib import Path

from deploy.local.certificates import Authority
from deploy.local.places import HOST, free_ports
from tests.bench.through_kafka import cpu_s, peak_mb
from tests.flow import otlp
from tests.flow.gateway import Gateway, now_ms
from tests.flow.stack import StackUnderTest

SERIES, SERVERS, CLIENTS = 300, 40, 8


def bodies():
    made = []
    for server in range(SERVERS):
        r = otlp.resource(f"gs-{server}", region="eu-central-1", az="a", build_id="4711")
        for i in range(SERIES):
            otlp.counter(r, f"game_metric_{i // 10}", float(server * i), now_ms(), queue=f"q{i % 10}")
        made.append(otlp.message(r))
    return made


def request(body, token):
    return (f"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def client(port, ca, requests, until, times):
    """By hand, so that most of the machine is the gateway's. The answers have no body."""
    s = socket.create_connection((HOST, port), 60)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s = ssl.create_default_context(cafile=ca).wrap_socket(s, server_hostname=HOST) if ca else s
    took, n = [], 0
    while time.monotonic() < until:
        t0 = time.monotonic()
        s.sendall(requests[n % len(requests)])
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            piece = s.recv(4096)
            assert piece, answer
            answer += piece
        assert answer.startswith(b"HTTP/1.1 200"), answer
        took.append(time.monotonic() - t0)
        n += 1
    times.put(took)


def measure(name, gateway, port, ca, messages, seconds):
    times, pid = multiprocessing.Queue(), gateway.worker.process.pid
    requests = [request(m, gateway.tokens["demo"]) for m in messages]
    until, before = time.monotonic() + seconds, cpu_s(pid)
    clients = [multiprocessing.Process(target=client, args=(port, ca, requests[i::CLIENTS], until, times))
               for i in range(CLIENTS)]
    for c in clients:
        c.start()
    took = sorted(t for _ in clients for t in times.get(timeout=seconds + 60))
    for c in clients:
        c.join()
    samples = len(took) * SERIES
    print(f"{name}: {len(took) / seconds:.0f} requests/s, {samples / seconds:.0f} samples/s, "
          f"{(cpu_s(pid) - before) / samples * 1e6:.2f} CPU-s per million samples, answer p50 {took[len(took) // 2] * 1000:.1f} ms, "
          f"p99 {took[len(took) * 99 // 100] * 1000:.1f} ms, {peak_mb(pid):.0f} MB", flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=4)
    seconds = arguments.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        stack = StackUnderTest(Path(folder) / "stack")
        stack.kafka.start()
        try:
            stack.create_topic("metrics.ingest", 12)
            stack.create_topic("sluice.control", 1, cleanup_policy="compact")
            authority = Authority(Path(folder) / "ca")
            certificate, key = authority.issue("server")
            messages = bodies()
            for edge in ("validate", "pass"):
                gateway = Gateway(stack, Path(folder) / edge, name=f"gateway-{edge}", edge=edge, tls_port=free_ports(1),
                                  tls_certificate=str(certificate), tls_key=str(key)).start()
                measure(f"edge: {edge}, plain", gateway, gateway.port, None, messages, seconds)
                measure(f"edge: {edge}, TLS", gateway, gateway.keys["tls_port"], str(authority.path), messages, seconds)
                gateway.worker.process.kill()
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
