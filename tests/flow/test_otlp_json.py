"""OTLP in JSON against Google's own translation (protobuf's json_format over opentelemetry-proto): what both take is the same
message."""

import json
import math
import random
import struct
import subprocess
from pathlib import Path

import pytest
from google.protobuf import json_format
from opentelemetry.proto.metrics.v1 import metrics_pb2

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "build/release/tests/unit/wire/otlp-json-tool"
VECTORS = ROOT / "tests/vectors/otlp_json"


def translate(texts):
    """Each text on a line → bytes of a MetricsData, or the error's text."""
    lines = b"".join(t.replace("\n", " ").encode() + b"\n" for t in texts)
    out = subprocess.run([TOOL], input=lines, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    return [bytes.fromhex(line[3:]) if line.startswith("ok ") else line for line in out[:-1]]


def without_exemplars(message):
    for resource in message.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                data = metric.WhichOneof("data")
                for point in getattr(metric, data).data_points if data else []:
                    if data != "summary":
                        del point.exemplars[:]
    return message


def canonical(message):
    return without_exemplars(message).SerializeToString(deterministic=True)


class Maker:
    """A random message, as protobuf has it."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def text(self):
        return "".join(self.r.choice('ab._/"\\\n\t\u00e9\u20ac\U0001f600\x7f') for _ in range(self.r.randrange(8)))

    def double(self):
        bits = struct.unpack("<d", self.r.randbytes(8))[0]
        return self.r.choice([0.0, -0.0, 1.5, -7.0, 1e300, 5e-324, math.inf, -math.inf, math.nan, bits if not math.isnan(bits) else 1])

    def u64(self):
        return self.r.choice([0, 1, 300, 2**53 + 1, 2**63, 2**64 - 1, self.r.getrandbits(64)])

    def value(self, v, depth=0):
        kind = self.r.randrange(9 if depth < 3 else 6)
        if kind == 0:
            v.bool_value = self.r.random() < 0.5
        elif kind == 1:
            v.int_value = self.u64() - 2**63
        elif kind == 2:
            v.double_value = self.double()
        elif kind == 3:
            v.bytes_value = self.r.randbytes(self.r.randrange(6))
        elif kind < 6:
            v.string_value = self.text()
        elif kind == 6:
            v.array_value.SetInParent()
            for _ in range(self.r.randrange(3)):
                self.value(v.array_value.values.add(), depth + 1)
        elif kind == 7:
            v.kvlist_value.SetInParent()
            self.attributes(v.kvlist_value.values, depth + 1)

    def attributes(self, out, depth=0):
        for _ in range(self.r.randrange(4)):
            a = out.add()
            a.key = self.text()
            self.value(a.value, depth)

    def times(self, p):
        self.attributes(p.attributes)
        p.time_unix_nano = self.u64()
        p.start_time_unix_nano = self.u64()
        p.flags = self.r.choice([0, 0, 1, 2**32 - 1])

    def number(self, p):
        self.times(p)
        if self.r.random() < 0.5:
            p.as_double = self.double()
        elif self.r.random() < 0.8:
            p.as_int = self.u64() - 2**63
        if self.r.random() < 0.1:
            p.exemplars.add().as_int = 1

    def histogram(self, p):
        self.times(p)
        p.count = self.u64()
        if self.r.random() < 0.7:
            p.sum, p.min, p.max = self.double(), self.double(), self.double()
        p.bucket_counts.extend(self.u64() for _ in range(self.r.randrange(4)))
        p.explicit_bounds.extend(self.double() for _ in range(self.r.randrange(4)))

    def exponential(self, p):
        self.times(p)
        p.count, p.zero_count, p.sum, p.zero_threshold = self.u64(), self.u64(), self.double(), self.double()
        p.scale = self.r.randint(-2**31, 2**31 - 1)
        for side in (p.positive, p.negative):
            if self.r.random() < 0.6:
                side.offset = self.r.randint(-2**31, 2**31 - 1)
                side.bucket_counts.extend(self.u64() for _ in range(self.r.randrange(5)))

    def summary(self, p):
        self.times(p)
        p.count, p.sum = self.u64(), self.double()
        for _ in range(self.r.randrange(3)):
            p.quantile_values.add(quantile=self.double(), value=self.double())

    def metric(self, m):
        m.name, m.unit, m.description = self.text(), self.text(), self.text()
        self.attributes(m.metadata)
        data, fill = self.r.choice([(m.gauge, self.number), (m.sum, self.number), (m.histogram, self.histogram),
                                    (m.exponential_histogram, self.exponential), (m.summary, self.summary)])
        data.SetInParent()
        if hasattr(data, "aggregation_temporality"):
            data.aggregation_temporality = self.r.choice([0, 1, 2])
        if hasattr(data, "is_monotonic"):
            data.is_monotonic = self.r.random() < 0.5
        for _ in range(self.r.randrange(4)):
            fill(data.data_points.add())

    def message(self):
        message = metrics_pb2.MetricsData()
        for _ in range(self.r.randrange(3)):
            resource = message.resource_metrics.add(schema_url=self.text())
            self.attributes(resource.resource.attributes)
            resource.resource.dropped_attributes_count = self.r.randrange(3)
            for _ in range(self.r.randrange(3)):
                scope = resource.scope_metrics.add()
                scope.scope.name, scope.scope.version = self.text(), self.text()
                for _ in range(self.r.randrange(4)):
                    self.metric(scope.metrics.add())
        return message

    def restyle(self, tree):
        """The same JSON in other words: members in another order, numbers as strings or not, nulls, unknown keys."""
        if isinstance(tree, list):
            return [self.restyle(x) for x in tree]
        if isinstance(tree, dict):
            members = [(k, self.restyle(self.reword(k, v))) for k, v in tree.items()]
            self.r.shuffle(members)
            if self.r.random() < 0.2:
                members.append((self.text() + "?", [None, {"x": 1}]))
            return dict(members)
        return tree

    def reword(self, key, v):
        words = ["AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE"]
        if v in words and self.r.random() < 0.5:
            return words.index(v)
        if key in ("timeUnixNano", "count", "asInt", "intValue", "zeroCount") and self.r.random() < 0.5:
            return int(v)
        if key == "bucketCounts":
            return [int(x) if self.r.random() < 0.5 else x for x in v]
        if key in ("scale", "offset", "flags") and self.r.random() < 0.5:
            return str(v)
        return v


def test_random_messages_are_read_as_protobuf_reads_them():
    maker = Maker(7)
    messages = [maker.message() for _ in range(1500)]
    texts = [json.dumps(maker.restyle(json.loads(json_format.MessageToJson(m))), ensure_ascii=maker.r.random() < 0.5,
                        separators=maker.r.choice([(",", ":"), (" , ", " :\t")])) for m in messages]
    for message, text, got in zip(messages, texts, translate(texts), strict=True):
        assert isinstance(got, bytes), (got, text)
        ours = metrics_pb2.MetricsData.FromString(got)
        theirs = json_format.Parse(text, metrics_pb2.MetricsData(), ignore_unknown_fields=True)
        assert ours.SerializeToString(deterministic=True) == canonical(theirs) == canonical(message), text


@pytest.mark.parametrize("path", sorted(p for p in VECTORS.glob("*.json") if not p.name.startswith("bad_")), ids=lambda p: p.stem)
def test_vectors(path):
    text = path.read_text()
    if path.stem == "stale":  # its exemplar's trace id is in hex, as OTLP has it, which is no base64
        text = text.replace("5b8efff798038103d269b633813fc60c", "5b8efff798038103d269b633813fc60=")
    [got] = translate([text])
    theirs = json_format.Parse(text, metrics_pb2.MetricsData(), ignore_unknown_fields=True)
    assert metrics_pb2.MetricsData.FromString(got).SerializeToString(deterministic=True) == canonical(theirs)


def test_what_is_cut_or_changed_never_becomes_another_message():
    """Texts with one byte changed: where both take one, they take the same."""
    maker = Maker(11)
    texts = []
    for _ in range(300):
        text = json.dumps(maker.restyle(json.loads(json_format.MessageToJson(maker.message()))))
        for _ in range(5):
            at = maker.r.randrange(len(text))
            texts.append(text[:at] + maker.r.choice('{}[]",:0123456789eE+-.ntfu\\ a_') + text[at + 1:])
    n_both = 0
    for text, got in zip(texts, translate(texts), strict=True):
        if not isinstance(got, bytes):
            continue
        try:
            theirs = json_format.Parse(text, metrics_pb2.MetricsData(), ignore_unknown_fields=True)
        except json_format.ParseError:
            continue
        n_both += 1
        assert metrics_pb2.MetricsData.FromString(got).SerializeToString(deterministic=True) == canonical(theirs), text
    assert n_both > 300
