"""sluice-amp over TLS to a server that offers HTTP/2: nghttpx, with the receiver double behind it, which knows what came in order and
what was under way at a time."""
import collections
import subprocess
import time

import pytest

from deploy.local.certificates import Authority
from deploy.local.places import HOST, free_ports
from tests.flow.amp_setting import NOTHING, accounts_close, differences, expected, got, metric, now_ms, scrape, setting  # noqa: F401 (a fixture)
from tests.flow.stack import wait_for

SHARDS = 8


class FrontEnd:
    """nghttpx. streams: so many requests on a connection at a time. alpn: what it offers."""

    def __init__(self, directory, target_port, streams, alpn):
        self.authority = Authority(directory)
        certificate, key = self.authority.issue("front")
        self.port, self.directory = free_ports(1), directory
        self.command = ["nghttpx", "--conf=/dev/null", f"--frontend={HOST},{self.port}", f"--backend={HOST},{target_port}", "--workers=1",
                        "--single-process", f"--npn-list={alpn}", f"--frontend-http2-max-concurrent-streams={streams}",
                        f"--accesslog-file={directory / 'access'}", "--accesslog-format=$alpn $remote_port $status",
                        f"--errorlog-file={directory / 'errors'}", str(key), str(certificate)]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def answers(self):
        """[(protocol, connection, status)]"""
        path = self.directory / "access"
        return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def front_end(setting, tmp_path):
    made = []

    def make(streams=100, alpn="h2,http/1.1"):
        made.append(FrontEnd(tmp_path / "front", setting.receiver.port, streams, alpn))
        made[-1].start()
        return made[-1]

    yield make
    for front in made:
        front.kill()


def run(setting, front, disturb=lambda i: None):
    """Twelve servers' scrapes while the sender runs."""
    setting.receiver.set_rules(latency_ms=50)
    amp = setting.amp(url=f"https://{HOST}:{front.port}/api/v1/write", ca_file=str(front.authority.path), shards=SHARDS,
                      max_samples=50)
    servers = [f"gs-{i}" for i in range(12)]
    times = [now_ms() - 30_000 + 500 * i for i in range(30)]
    for i, t in enumerate(times):
        for server in servers:
            setting.put(server, scrape(server, i), t)
        setting.flush()
        disturb(i)
        time.sleep(0.03)
    setting.wait_caught_up()
    assert differences(expected(servers, times), got(setting.receiver)) == NOTHING
    assert accounts_close(amp)
    return amp


@pytest.mark.parametrize("streams, alpn, protocol, connections", [
    (100, "h2,http/1.1", "h2", (1, 1)), (2, "h2,http/1.1", "h2", (2, SHARDS)), (100, "http/1.1", "http/1.1", (2, SHARDS))],
    ids=["one connection is enough", "two requests a connection", "HTTP/1.1 only"])
def test_requests_share_connections(setting, front_end, say, streams, alpn, protocol, connections):
    front = front_end(streams, alpn)
    run(setting, front)
    stats = setting.receiver.stats()
    assert stats["violations_total"] == 0
    by_connection = collections.Counter(port for _, port, _ in front.answers())
    say(f"{stats['requests']} requests by {protocol} on {len(by_connection)} connections")
    assert {(alpn, status) for alpn, _, status in front.answers()} == {(protocol, "200")}
    assert connections[0] <= len(by_connection) <= connections[1]


def test_a_connection_that_breaks_with_requests_on_it(setting, front_end):
    """Whatever was on it goes again; no series gets ahead of itself."""
    front = front_end()

    def disturb(i):
        if i in (10, 20):
            wait_for(front.answers, 30, "the first answers")
            front.kill()
            front.start()

    amp = run(setting, front, disturb)
    assert {alpn for alpn, _, _ in front.answers()} == {"h2"}
    assert len({port for _, port, _ in front.answers()}) >= 3
    assert setting.n_violations("samples_unsorted", "late", "header", "labels", "retry_too_early") == {}
    assert metric(amp, "sluice_remote_write_requests_total", outcome="error") > 0
