"""What was answered 2xx is in the topic, whatever dies: the clients' own ledger of acknowledged samples is a subset of
what the ingest topic holds. What was not acknowledged may be there too: at least once at the door."""
import http.client
import os
import struct
import threading
import time

from deploy.local.places import HOST
from tests.fault.formats import decode
from tests.flow import otlp
from tests.flow.gateway import Gateway, exchange, now_ms
from tests.flow.stack import wait_for

DISTURBANCES = int(os.environ.get("SLUICE_DISTURBANCES", "6"))


class Client(threading.Thread):
    """Sends numbered samples, each until it is acknowledged or given up; acknowledged: what got a 2xx."""

    def __init__(self, gateway, number):
        super().__init__(daemon=True)
        self.gateway, self.number = gateway, number
        self.acknowledged, self.failed, self.ending = set(), 0, threading.Event()

    def run(self):
        n, connection = 0, None
        while not self.ending.is_set():
            n += 1
            r = otlp.resource(f"client-{self.number}")
            otlp.counter(r, "game_hits", float(n), now_ms())
            try:
                connection = connection or http.client.HTTPConnection(HOST, self.gateway.port, timeout=30)
                if exchange(connection, "POST", "/v1/metrics", otlp.message(r), self.gateway.headers()).status == 200:
                    self.acknowledged.add(n)
                    continue
            except (OSError, http.client.HTTPException):
                connection = None
            self.failed += 1
            time.sleep(0.05)


def held(stack):
    """{client: the numbers in the ingest topic}"""
    found = {}
    for record in stack.read_committed("metrics.ingest", timeout_s=120):
        batch = decode("batch", record.value())
        source = decode("shape", batch["shape"])["source"]
        found.setdefault(source, set()).add(int(struct.unpack("<d", batch["values"])[0]))
    return found


def missing(stack, clients):
    there = held(stack)
    return {c.number: sorted(c.acknowledged - there.get(f"client-{c.number}", set()))[:5]
            for c in clients if c.acknowledged - there.get(f"client-{c.number}", set())}


def make_topics(stack):
    """No more than a gateway needs: each one makes a broker's restart longer."""
    stack.create_topic("metrics.ingest", 6)
    stack.create_topic("sluice.control", 1, cleanup_policy="compact")


def run_clients(gateway, n=4):
    clients = [Client(gateway, i) for i in range(n)]
    for c in clients:
        c.start()
    return clients


def finish(clients):
    for c in clients:
        c.ending.set()
    for c in clients:
        c.join(60)


def test_nothing_acknowledged_is_lost(stack3, tmp_path, say):
    make_topics(stack3)
    gateway = Gateway(stack3, tmp_path, name="gateway", ack_timeout_ms=5000).start()
    clients = run_clients(gateway)

    def count():
        return sum(len(c.acknowledged) for c in clients)

    for i in range(DISTURBANCES):
        before = count()
        wait_for(lambda: count() > before + 50, 60, "acknowledgements")
        if i % 2 == 0:
            gateway.worker.process.kill()
            gateway.start()
        else:
            broker = i // 2 % 3
            stack3.kafka.kill(broker)
            there = count()
            wait_for(lambda: count() > there + 20, 60, "acknowledgements without a broker")
            stack3.kafka.restart(broker)
    finish(clients)
    say(f"{count()} acknowledged, {sum(c.failed for c in clients)} not, through {DISTURBANCES} disturbances")
    assert missing(stack3, clients) == {}


def test_an_answer_before_the_brokers_would_be_found_out(stack, tmp_path):
    """The same ledger, with a gateway that does not wait: it must not be a subset."""
    make_topics(stack)
    gateway = Gateway(stack, tmp_path, name="gateway", build="faults", ack_timeout_ms=60000, kafka__linger__ms="500",
                      **{"fault__ack_early": True}).start()
    clients = run_clients(gateway)
    wait_for(lambda: sum(len(c.acknowledged) for c in clients) > 200, 60, "acknowledgements")
    gateway.worker.process.kill()
    finish(clients)
    assert missing(stack, clients) != {}
