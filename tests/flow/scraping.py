"""A scraper in front of an ingest topic, so that what drives a Prometheus-like sender by a /metrics page (the public
remote write sender compliance suite, our own tests) can drive the pipeline: every second the page is read, job and
instance are added, and its series go as OTLP gauges, whose names nothing changes (policy: mode open). `up` tells whether
it went well; a series that is gone ends with a stale marker (OTLP: no recorded value).

    python -m tests.flow.scraping --target URL --job test --brokers HOST:PORT [--topic T] [--interval 1]"""
import argparse
import re
import signal
import threading
import time
import urllib.parse
import urllib.request

import confluent_kafka
from opentelemetry.proto.metrics.v1 import metrics_pb2

from tests.flow import otlp

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*(,|(?=\}))')
REST = re.compile(r"\s+(\S+)(?:\s+(-?\d+))?\s*\Z")
ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}


class BadPage(ValueError):
    """The page is none of Prometheus's text format: the scrape fails as a whole."""


def _labels(line, at):
    """The labels from behind the brace, and where they end."""
    found = {}
    while line[at:at + 1] != "}":
        match = LABEL.match(line, at)
        if match is None or match[1] in found:
            raise BadPage(f"labels: {line!r}")
        found[match[1]] = re.sub(r"\\(.)", lambda m: ESCAPES.get(m[1], m[0]), match[2])
        at = match.end()
    return found, at + 1


def parse(text):
    """[(name, labels, value, time in ms or None)]"""
    rows = []
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name = NAME.match(line)
        if name is None:
            raise BadPage(f"name: {line!r}")
        at = name.end()
        spaces = len(line[at:]) - len(line[at:].lstrip())
        labels = {}
        if line[at + spaces:at + spaces + 1] == "{":
            labels, at = _labels(line, at + spaces + 1)
        rest = REST.match(line, at)
        if rest is None:
            raise BadPage(f"value: {line!r}")
        try:
            value = float(rest[1])
        except ValueError as e:
            raise BadPage(f"value: {line!r}") from e
        rows.append((name[0], labels, value, int(rest[2]) if rest[2] else None))
    return rows


class Scraper:
    """One target. scrape() reads it once and puts what it found into the topic."""

    def __init__(self, target, job, producer, topic):
        self.target, self.producer, self.topic = target, producer, topic
        self.own = {"job": job, "instance": urllib.parse.urlsplit(target).netloc}
        self.last = set()  # series of the scrape before that would become stale

    def _series(self, name, labels):
        """The target's own labels give way to ours, as with honor_labels: false."""
        kept = {(f"exported_{k}" if k in self.own else k): v for k, v in labels.items() if v != ""}
        return name, frozenset({**kept, **self.own}.items())

    def _page(self):
        try:
            with urllib.request.urlopen(self.target, timeout=5) as answer:
                return parse(answer.read().decode())
        except (OSError, ValueError):
            return None

    def scrape(self):
        t_ms = time.time_ns() // 1_000_000
        rows = self._page()
        points = {self._series(name, labels): (value, row_ms or t_ms) for name, labels, value, row_ms in rows or []}
        fresh = {self._series(name, labels) for name, labels, _, row_ms in rows or [] if row_ms is None}
        up = self._series("up", {})
        points[up] = (0.0 if rows is None else 1.0, t_ms)
        for gone in self.last - set(points):
            points[gone] = (None, t_ms)
        self.last = fresh
        self._put(points)

    def end(self):
        """The target is gone: all its series end."""
        t_ms = time.time_ns() // 1_000_000
        self._put({series: (None, t_ms) for series in self.last | {self._series("up", {})}})
        self.last = set()

    def _put(self, points):
        message = metrics_pb2.ResourceMetrics()
        message.resource.attributes.extend(otlp.attributes({"service.instance.id": self.own["instance"]}))
        scope = message.scope_metrics.add()
        for (name, labels), (value, t_ms) in points.items():
            point = scope.metrics.add(name=name).gauge.data_points.add(
                time_unix_nano=t_ms * 1_000_000, attributes=otlp.attributes(dict(sorted(labels))))
            if value is None:
                point.flags = metrics_pb2.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
            else:
                point.as_double = value
        self.producer.produce(self.topic, otlp.message(message), key=self.own["instance"].encode())
        self.producer.poll(0)


def run(scraper, ending, interval_s=1.0):
    """Scrapes at a steady pace until ending is set; then the series end."""
    due = time.monotonic()
    while not ending.is_set():
        scraper.scrape()
        due += interval_s
        ending.wait(max(0.0, due - time.monotonic()))
    scraper.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True)
    parser.add_argument("--job", default="test")
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", default="metrics.ingest.demo")
    parser.add_argument("--interval", type=float, default=1.0)
    args = parser.parse_args()
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    producer = confluent_kafka.Producer({"bootstrap.servers": args.brokers, "enable.idempotence": True, "linger.ms": 5})
    run(Scraper(args.target, args.job, producer, args.topic), ending, args.interval)
    return 0 if producer.flush(30) == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
