"""The double as a process: parallel senders, its end, its arguments."""

import http.client
import json
import os
import signal
import subprocess
import threading
import time

import pytest

from tests.receiver.client import Receiver, binary_path, histogram, request, series
from tests.receiver.kit import NOW, in_background, labels, put, wait_until


@pytest.mark.parametrize("threads", [1, 2])
def test_count_mode_counts(threads):
    with Receiver(count_only=True, threads=threads) as receiver:
        body = request(series(labels(a="1"), [(1, 1), (2, 2)]),
                       series(labels(a="2"), histograms=[histogram(1, 0, positive=[(0, 1)])]))

        def send():
            for _ in range(50):
                assert receiver.write(body).status == 200

        workers = [threading.Thread(target=send) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert receiver.write(body[:-1]).status == 400
        assert receiver.post_raw(b"\x0a\xf4").status == 400
        stats = receiver.stats()
        assert (stats["requests"], stats["bad"]) == (202, 2)
        assert stats["samples_received"] == 400 and stats["histograms_received"] == 200
        assert stats["series_received"] == 400
        with pytest.raises(ValueError):
            receiver.set_plan([])
        assert receiver.stop()["samples_received"] == 400


def test_parallel_senders_lose_nothing(start):
    receiver = start(rules={"max_sample_age_ms": 0, "max_future_ms": 0})

    def send(worker):
        for i in range(50):
            body = request(*[series(labels(w=str(worker), n=str(n)), [(NOW + i, i)])
                             for n in range(20)])
            assert receiver.write(body).status == 200

    workers = [threading.Thread(target=send, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    stats = receiver.stats()
    assert stats["samples_accepted"] == 4 * 50 * 20 and stats["violations_total"] == 0
    assert all(len(points) == 50 for points in receiver.dump().values())


def test_it_ends_at_once_in_spite_of_a_hanging_request(start):
    receiver = Receiver(plan=[{"hang_ms": 60_000}])
    thread = in_background(put, receiver, (NOW, 1))
    wait_until(lambda: receiver.stats()["in_flight"] == 1)
    began = time.monotonic()
    receiver.stop()
    thread.join()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("arguments, word", [
    (["--profile", "nope"], "nope"), (["--set", "nope=1"], "nope"), (["--set", "max_series=x"], "x"),
    (["--port", "70000"], "port"), (["--nope"], "--nope"), (["stray"], "stray"),
    (["--plan", "/nonexistent"], "/nonexistent"), (["--address", "nowhere"], "nowhere"),
])
def test_bad_arguments_exit_2_with_the_reason(arguments, word):
    done = subprocess.run([binary_path(), *arguments], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and word in done.stderr and done.stdout == ""


def test_a_port_in_use_is_told(start):
    receiver = start()
    done = subprocess.run([binary_path(), "--port", str(receiver.port)], capture_output=True,
                          text=True, timeout=10)
    assert done.returncode == 2 and str(receiver.port) in done.stderr


def test_plan_and_port_files(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([{"status": 503}]))
    port = tmp_path / "port"
    process = subprocess.Popen([binary_path(), "--plan", str(plan), "--port-file", str(port)],
                               stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.strip().endswith(":" + port.read_text().strip())
        connection = http.client.HTTPConnection("127.0.0.1", int(port.read_text()), timeout=10)
        connection.request("GET", "/plan")
        assert json.loads(connection.getresponse().read())[0]["status"] == 503
        connection.close()
    finally:
        os.kill(process.pid, signal.SIGTERM)
        out, _ = process.communicate(timeout=10)
    assert process.returncode == 0 and json.loads(out)["requests"] == 0
