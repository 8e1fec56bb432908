"""The cases of the public Prometheus remote write sender compliance suite (1.0), driven through the whole pipeline: a page
of metrics → scrape → ingest topic → validate (mode open) → amp → the receiver double. What the suite asks of the scraper
(Up, Invalid, RepeatedLabels, HonorLabels, InstanceLabel) is the shim's; it is tested here since the others rest on it."""
import http.server
import json
import math
import subprocess
import threading
import time

import pytest

from deploy.local.places import ROOT
from tests.flow.scraping import Scraper, run
from tests.flow.stack import StackUnderTest, wait_for
from tests.receiver.client import Receiver, bits_of

STALE = 0x7FF0000000000002
TOPIC = "metrics.ingest.demo"

# case: page of the n-th scrape (None: the target answers 500)
PAGES = {
    "counter": lambda n: f"# TYPE counter counter\ncounter_total {n}\n",
    "gauge": lambda n: f"gauge {n % 3 - 1.5}\nnot_a_number NaN\nendless +Inf\nbelow -Inf\n",
    "histogram": lambda n: "".join(f'rpc_bucket{{le="{le}"}} {n * (i + 1)}\n' for i, le in enumerate(("0.1", "2.5", "+Inf")))
                           + f"rpc_sum {n * 0.5}\nrpc_count {n * 3}\n",
    "summary": lambda n: f'rpc{{quantile="0.5"}} {n}\nrpc{{quantile="0.99"}} {n * 2}\nrpc_sum {n * 3}\nrpc_count {n}\n',
    "invalid": lambda n: 'test{a="1} 5\n' if n < 3 else 'test{a="1"} 5\n',
    "sorted": lambda n: 'test{foo="bar", baz="blob", A="upper", z="last"} 1\n',
    "repeated": lambda n: 'test{a="1",a="2"} 1\nother 5\n',
    "empty": lambda n: 'test{nothing="",something="x"} 1\n',
    "honor": lambda n: 'test{instance="original",job="original"} 1\n',
    "staleness": lambda n: "stays 1\n" + ("goes 1\n" if n < 2 else ""),
    "timestamp": lambda n: f"now 1\nthen 1 {(int(time.time()) - 30) * 1000}\n",
    "down": lambda n: "test 1\n" if n < 2 else None,
}


class Target:
    """A /metrics page on a free port; page(n) for the n-th scrape."""

    def __init__(self, page):
        self.n = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = page(outer.n)
                outer.n += 1
                body = (text or "").encode()
                self.send_response(500 if text is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.instance = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.instance}/metrics"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Pipeline:
    """validate in mode open, and an amp per test with a receiver of its own."""

    def __init__(self, folder):
        self.stack = StackUnderTest(folder / "stack")
        self.stack.kafka.start()
        self.stack.create_all_topics()
        policy = folder / "policy.json"
        policy.write_text(json.dumps({"mode": "open", "tenants": {"demo": {}}}))
        self.stack.worker("validate", policy=str(policy))
        self.producer = self.stack.producer()

    def amp(self, receiver, group, **keys):
        keys = {"min_backoff_ms": 30, "batch_deadline_ms": 100, **keys}
        return self.stack.worker("amp", url=receiver.write_url, topics=["metrics.valid"], group=group, **keys)

    def scrape(self, page, n):
        """The instance, after n scrapes a second apart and the end."""
        target = Target(page)
        ending = threading.Event()
        thread = threading.Thread(target=run, args=(Scraper(target.url, "test", self.producer, TOPIC), ending))
        thread.start()
        wait_for(lambda: target.n >= n, n + 30, f"{n} scrapes")
        ending.set()
        thread.join()
        target.stop()
        assert self.producer.flush(30) == 0
        return target.instance

    def wait_delivered(self, group):
        def done():
            for topic, who in ((TOPIC, "sluice-validate"), ("metrics.valid", group)):
                committed = self.stack.committed(who, topic)
                if any(committed.get(p, (0, ""))[0] < end for p, end in self.stack.ends(topic).items() if end > 0):
                    return False
            return True
        wait_for(done, 60, f"{group} to deliver all")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    made = Pipeline(tmp_path_factory.mktemp("compliance"))
    yield made
    made.stack.stop()


class Found:
    """What the receiver has of one instance: {name: [(labels, [(t_ms, bits)])]}"""

    def __init__(self, dump, instance):
        self.series = {}
        for key, points in dump.items():
            labels = dict(key)
            if labels.get("instance") == instance:
                self.series.setdefault(labels["__name__"], []).append(
                    (labels, sorted((t, p.bits) for t, p in points.items())))

    def one(self, name):
        (labels, points), = self.series[name]
        return labels, points

    def values(self, name):
        """Of the only series of that name, without the stale marker."""
        return [bits for _, bits in self.one(name)[1] if bits != STALE]


@pytest.fixture(scope="module")
def found(pipeline):
    """All pages, scraped at the same time, in one undisturbed receiver."""
    with Receiver() as receiver:
        pipeline.amp(receiver, "undisturbed", max_sample_age_ms=0)
        instances = {}
        threads = [threading.Thread(target=lambda c=case: instances.update({c: pipeline.scrape(PAGES[c], 4)}))
                   for case in PAGES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pipeline.wait_delivered("undisturbed")
        dump = receiver.dump()
        made = {case: Found(dump, instance) for case, instance in instances.items()}
        made["instances"], made["dump"], made["stats"] = instances, dump, receiver.stats()
        yield made


def test_counter_and_gauge_values(found):
    assert found["counter"].values("counter_total")[:4] == [bits_of(float(n)) for n in range(4)]
    gauge = found["gauge"]
    assert gauge.values("gauge")[:3] == [bits_of(n % 3 - 1.5) for n in range(3)]
    assert set(gauge.values("endless")) == {bits_of(math.inf)} and set(gauge.values("below")) == {bits_of(-math.inf)}
    assert all(bits & 0x7FF0000000000000 == 0x7FF0000000000000 for bits in gauge.values("not_a_number"))


def test_histogram_and_summary(found):
    by_le = {labels["le"]: [b for _, b in points if b != STALE] for labels, points in found["histogram"].series["rpc_bucket"]}
    assert {le: values[2] for le, values in by_le.items()} == {
        "0.1": bits_of(2.0), "2.5": bits_of(4.0), "+Inf": bits_of(6.0)}
    assert found["histogram"].values("rpc_count")[2] == bits_of(6.0)
    by_quantile = {labels["quantile"]: [b for _, b in points if b != STALE]
                   for labels, points in found["summary"].series["rpc"]}
    assert {q: values[2] for q, values in by_quantile.items()} == {"0.5": bits_of(2.0), "0.99": bits_of(4.0)}
    assert found["summary"].values("rpc_sum")[2] == bits_of(6.0)


def test_up_and_invalid_pages(found):
    assert set(found["counter"].values("up")) == {bits_of(1.0)}
    assert found["invalid"].values("up")[:4] == [bits_of(v) for v in (0.0, 0.0, 0.0, 1.0)]
    assert len(found["invalid"].values("test")) >= 1
    assert set(found["repeated"].values("up")) == {bits_of(0.0)} and set(found["repeated"].series) == {"up"}
    assert found["down"].values("up")[:4] == [bits_of(v) for v in (1.0, 1.0, 0.0, 0.0)]


def test_job_and_instance_labels(found):
    for case, instance in found["instances"].items():
        for rows in found[case].series.values():
            assert all(labels["job"] == "test" and labels["instance"] == instance for labels, _ in rows)
    labels, _ = found["honor"].one("test")
    assert (labels["exported_job"], labels["exported_instance"]) == ("original", "original")


def test_labels_are_sorted_named_and_not_empty(found):
    labels, _ = found["sorted"].one("test")
    assert {k: labels[k] for k in ("foo", "baz", "A", "z")} == {"foo": "bar", "baz": "blob", "A": "upper", "z": "last"}
    assert "nothing" not in found["empty"].one("test")[0]
    assert all("__name__" in dict(key) for key in found["dump"])
    # The double looks at each request: order, repetition, emptiness of labels, and the headers.
    assert found["stats"]["violations"] == {}


def test_staleness(found):
    _, points = found["staleness"].one("goes")
    assert [bits for _, bits in points] == [bits_of(1.0)] * 2 + [STALE]
    _, points = found["down"].one("test")
    assert [bits for _, bits in points] == [bits_of(1.0)] * 2 + [STALE]
    _, stays = found["staleness"].one("stays")
    assert all(bits != STALE for _, bits in stays[:-1]) and stays[-1][1] == STALE  # when the target ended


def test_timestamps(found):
    now_ms = time.time() * 1000
    _, points = found["timestamp"].one("now")
    times = [t for t, _ in points]
    assert all(now_ms - 600_000 < t <= now_ms for t in times) and times == sorted(times)
    assert all(500 < later - t < 10_000 for t, later in zip(times, times[1:4]))
    _, points = found["timestamp"].one("then")
    assert all(t % 1000 == 0 and bits == bits_of(1.0) for t, bits in points)


def test_ordering_under_random_delays(pipeline):
    """1,000 series, each answer up to some seconds late: the double looks at the order of each series."""
    delays = [{"action": "pass", "delay_ms": ms, "times": 1} for ms in (1900, 0, 700, 300, 4900, 100, 1200, 0, 500)]
    with Receiver(plan=delays) as receiver:
        pipeline.amp(receiver, "ordering", max_samples=100, shards=4)
        instance = pipeline.scrape(lambda n: "".join(f'm{i} {n}\n' for i in range(1000)), 4)
        pipeline.wait_delivered("ordering")
        stats = receiver.stats()
        assert stats["violations"] == {}, receiver.violations()
        found = Found(receiver.dump(), instance)
        assert len(found.series) == 1001
        for i in range(1000):
            assert found.values(f"m{i}")[:4] == [bits_of(float(n)) for n in range(4)]


def test_retries_on_500(pipeline):
    with Receiver(plan=[{"status": 500, "times": 3}]) as receiver:
        pipeline.amp(receiver, "on-500")
        instance = pipeline.scrape(lambda n: f"m {n}\n", 3)
        pipeline.wait_delivered("on-500")
        assert Found(receiver.dump(), instance).values("m")[:3] == [bits_of(float(n)) for n in range(3)]
        assert receiver.stats()["status"]["500"] == 3


def test_no_retry_on_400(pipeline):
    """As the suite has it, with bisect off: a refused request is not sent again in any part. (With it on, its parts are, to
    find the culprit.)"""
    match = "no_retry"
    with Receiver(plan=[{"match": match, "status": 400, "times": 1}]) as receiver:
        amp = pipeline.amp(receiver, "on-400", bisect=False)
        instance = pipeline.scrape(lambda n: f"{match} {n}\n", 3)
        pipeline.wait_delivered("on-400")
        stats = receiver.stats()
        found = Found(receiver.dump(), instance)
        assert stats["status"]["400"] == 1
        kept = found.values(match)
        assert bits_of(0.0) not in kept and len(kept) >= 2 or bits_of(2.0) in kept
        assert 'reason="store_refused"' in amp.metrics()


def test_the_shim_as_a_program(pipeline):
    target = Target(lambda n: f"by_program {n}\n")
    shim = subprocess.Popen([str(ROOT / "tests/flow/scrape_shim"), "--target", target.url, "--job", "test", "--brokers",
                             pipeline.stack.bootstrap, "--topic", TOPIC])
    try:
        wait_for(lambda: target.n >= 2, 30, "two scrapes")
        shim.send_signal(2)
        assert shim.wait(30) == 0
    finally:
        shim.kill()
        target.stop()
    values = pipeline.stack.read_committed(TOPIC)
    assert any(b"by_program" in r.value() for r in values)
