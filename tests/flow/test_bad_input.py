"""What can be wrong with a record on an ingest topic, case by case: the answer (the dead letter's reason, or what is accepted), that the
very next record of its partition is taken, that the accounts close, and that validate's memory stays low. One stack for all."""
import re
import struct
from collections import Counter
from dataclasses import dataclass

import cramjam
import pytest

from deploy.local.places import ROOT
from tests.fault import formats
from tests.flow import messages, otlp
from tests.flow.messages import REMOTE_WRITE_1, REMOTE_WRITE_2, field, snappy, varint
from tests.flow.stack import StackUnderTest, wait_for
from tests.flow.test_pipeline import metric

TOPIC, SHARED = "metrics.ingest.demo", "metrics.ingest"
T = otlp.now_ms() - 1000
PEAK_MB = 400  # 32 of caches, and what one record may take: 64 of points, 64 of rejects, 32 of walk, 16 of judgement
STALE = struct.unpack("<d", bytes.fromhex("020000000000f07f"))[0]
POLICY = """{"kinds": {"allow": ["counter", "gauge", "exponential_histogram", "classic_histogram"]},
             "tenants": {"demo": {}}}"""


@dataclass
class Case:
    row: int
    name: str
    values: list
    want: dict  # reason: how many dead letters' samples (of a whole record: 1); over all values
    accepted: int = 0
    headers: tuple = ()
    topic: str = TOPIC
    counted: tuple = ()  # reasons without a dead letter
    bits: tuple = ()     # the accepted values, as they must be


def counter(name="a", value=1.0, t_ms=T, **labels):
    r = otlp.resource("gs-1")
    otlp.counter(r, name, value, t_ms, **labels)
    return r


def patched(old, new, **labels):
    """A counter whose label holds what protobuf's classes refuse to write; of the same length."""
    whole = otlp.message(counter(**labels))
    assert len(old) == len(new) and whole.count(old) == 1
    return whole.replace(old, new)


def nested(levels):
    """AnyValue { ArrayValue { AnyValue … } }, put in place of a label's text."""
    value = b""
    for _ in range(levels):
        value = field(5, field(1, value))
    point = field(7, field(1, b"region") + field(2, value)) + varint(3 << 3 | 1) + struct.pack("<Q", T * 1_000_000) + field(4, 1.0)
    sum_ = field(1, point) + field(2, 2) + field(3, 1)
    resource = otlp.resource("gs-1").resource.SerializeToString()
    return field(1, field(1, resource) + field(2, field(2, field(1, b"a") + field(7, sum_))))


def histogram(**fields):
    """A counter that is well, and beside it a histogram that is not."""
    r = counter()
    h = otlp.metric(r, "h").histogram
    h.aggregation_temporality = otlp.CUMULATIVE
    point = {"explicit_bounds": [1.0, 2.0], "bucket_counts": [1, 1, 1], "count": 3, "sum": 3.0, **fields}
    h.data_points.add(time_unix_nano=T * 1_000_000, **point)
    return otlp.message(r)


LARGE = (2**40, 1) * 4000  # packed in differences, six bytes each


def exponential(scale, offset, counts=(1, 2)):
    r = counter()
    otlp.exp_histogram(r, "e", T, scale, 0, (offset, counts), (offset, counts))
    return otlp.message(r)


def many_points(n):
    point = varint(3 << 3 | 1) + struct.pack("<Q", T * 1_000_000) + field(4, 1.0)
    sum_ = field(1, point) * n + field(2, 2) + field(3, 1)
    resource = otlp.resource("gs-1").resource.SerializeToString()
    return field(1, field(1, resource) + field(2, field(2, field(1, b"a") + field(7, sum_))))


def twice(first, second):
    r = counter(value=first)
    otlp.counter(r, "a", second, T)
    return otlp.message(r)


def twice_labelled():
    r = counter(region="a")
    r.scope_metrics[0].metrics[0].sum.data_points[0].attributes.extend(otlp.attributes({"region": "b"}))
    return r


def reversed_fields():
    """The metrics before the resource, and each metric's points before its kind."""
    r = counter()
    point = r.scope_metrics[0].metrics[0].sum.data_points[0].SerializeToString()
    sum_ = field(3, 1) + field(2, 2) + field(1, point)
    return field(1, field(2, field(2, field(7, sum_) + field(1, b"a"))) + field(1, r.resource.SerializeToString()))


def temporality(value, start_ms=0):
    r = counter()
    otlp.counter(r, "b", 1.0, T, start_ms=start_ms)
    r.scope_metrics[0].metrics[1].sum.aggregation_temporality = value
    return otlp.message(r)


def write(samples=((1.0, T),), labels=None):
    return snappy(messages.write_1([({"__name__": "a", "shard_id": "1", **(labels or {})}, list(samples))]))


def vector(folder, name):
    return (ROOT / "tests/vectors" / folder / f"{name}.bin").read_bytes()


def avro(**fields):
    return messages.tenant_record([{"metric": "a", "kind": "COUNTER", "value": 1.0, "time_ms": T, **fields}],
                                  labels={"shard_id": "1"})


def special_values():
    values = [float("nan"), STALE, float("inf"), float("-inf"), -0.0, 5e-324]
    r = otlp.resource("gs-1")
    for i, value in enumerate(values):
        otlp.gauge(r, f"g{i}", value, T)
    return otlp.message(r), tuple(sorted(struct.pack("<d", v).hex() for v in values))


WHOLE = otlp.message(counter())
FIRST = otlp.message(counter(value=1.0))
REVERSED = reversed_fields()
SPECIAL, SPECIAL_BITS = special_values()
MANY = otlp.resource("gs-1")
otlp.counter(MANY, "a", 1.0, T, **{f"l{i}": "x" for i in range(10_000)})
UNSORTED = field(1, field(1, field(1, b"shard_id") + field(2, b"1")) + field(1, field(1, b"__name__") + field(2, b"a")) +
                 field(2, field(1, 1.0) + field(2, T)))
NO_TENANT, NOBODY = (), (("sluice-tenant", b"nobody"),)

CASES = [
    Case(1, "an empty value", [b""], {}, counted=("empty",)),
    Case(1, "a tombstone", [None], {}, counted=("empty",)),
    Case(1, "an empty remote write", [snappy(b"")], {}, headers=REMOTE_WRITE_1),
    Case(2, "cut at every byte", [WHOLE[:n] for n in range(1, len(WHOLE))], {"malformed": len(WHOLE) - 1}),
    Case(3, "varints of 11 bytes and beyond 64 bits", [b"\x0a" + b"\xff" * 10 + b"\x01", b"\x0a" + b"\xff" * 9 + b"\x7f"],
         {"malformed": 2}),
    Case(4, "lengths beyond the end, near 2^31 and 2^63",
         [b"\x0a" + varint(n) + b"x" for n in (2, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1)], {"malformed": 6}),
    Case(5, "field 0, a field beyond 2^29, wire types 6 and 7",
         [b"\x00\x00", varint(1 << 32) + b"\x00", b"\x0e", b"\x0f"], {"malformed": 4}),
    Case(6, "a known field of the wrong type", [b"\x08\x01", b"\x0d\x00\x00\x00\x00"], {"malformed": 2}),
    Case(7, "10,000 groups", [b"\x0b" * 10_000], {"malformed": 1}),
    Case(7, "a value nested 10,000 deep", [nested(10_000)], {"label_value_invalid": 1}),
    Case(8, "unknown fields", [field(99, b"xx") + FIRST + field(98, 7)], {}, accepted=1),
    Case(8, "fields from last to first", [REVERSED], {}, accepted=1),
    Case(9, "a packed list of 7 bytes", [vector("otlp", "packed_of_7_bytes")], {"malformed": 1}),
    Case(10, "label values that are not UTF-8, or hold a NUL",
         [patched(b"QQQQ", b"a\xff\xfeb", region="QQQQ"), patched(b"QQQQ", b"a\0bc", region="QQQQ")],
         {"label_value_invalid": 2}),
    Case(10, "a label name that is not UTF-8", [patched(b"QQQQ", b"a\xff\xfeb", QQQQ="x")], {"label_name_invalid": 1}),
    Case(10, "a label value of 1 MB", [otlp.message(counter(region="v" * 1_000_000))], {"label_value_too_long": 1}),
    Case(10, "a label name of 1 MB", [otlp.message(counter(**{"n" * 1_000_000: "v"}))], {"label_name_invalid": 1}),
    Case(11, "10,000 labels", [otlp.message(MANY)], {"point_invalid": 1}),
    Case(11, "a label twice", [otlp.message(twice_labelled())], {"label_twice": 1}),
    Case(11, "labels out of order", [snappy(UNSORTED)], {}, accepted=1, headers=REMOTE_WRITE_1),
    Case(11, "no name", [snappy(messages.write_1([({"shard_id": "1"}, [(1.0, T)])]))], {"name_invalid": 1}, headers=REMOTE_WRITE_1),
    Case(12, "NaN, the stale marker, infinities, -0 and the least value", [SPECIAL], {}, accepted=6, bits=SPECIAL_BITS),
    Case(13, "no time", [otlp.message(counter(t_ms=0))], {"time_missing": 1}),
    Case(13, "milliseconds for nanoseconds",
         [otlp.message(counter()).replace(struct.pack("<Q", T * 1_000_000), struct.pack("<Q", T))], {"too_old": 1}),
    Case(13, "times in 2262 and of 64 bits",
         [otlp.message(counter()).replace(struct.pack("<Q", T * 1_000_000), struct.pack("<Q", n)) for n in (2**63, 2**64 - 1)],
         {"too_far_ahead": 2}),
    Case(13, "a negative time", [write([(1.0, 2**64 - 5)])], {"too_old": 1}, headers=REMOTE_WRITE_1),
    Case(13, "nanoseconds for milliseconds", [write([(1.0, T * 1_000_000)])], {"too_far_ahead": 1}, headers=REMOTE_WRITE_1),
    Case(14, "the same sample twice", [twice(1.0, 1.0)], {}, accepted=1, counted=("duplicate_same",)),
    Case(14, "two values for one time", [twice(1.0, 2.0)], {"duplicate_point": 1}, accepted=1),
    Case(14, "samples out of order", [write([(2.0, T), (1.0, T - 1000)])], {}, accepted=2, headers=REMOTE_WRITE_1),
    Case(15, "histograms that contradict themselves, beside a good counter",
         [histogram(bucket_counts=[1, 2]), histogram(explicit_bounds=[2.0, 1.0]), histogram(sum=float("nan")),
          exponential(-100, 0), exponential(3, 2**31 - 1), exponential(0, 0, LARGE)], {"histogram_invalid": 6}, accepted=6),
    Case(16, "no temporality", [temporality(0)], {"temporality_missing": 1}, accepted=1),
    Case(16, "temporality delta", [temporality(otlp.DELTA)], {"delta_not_allowed": 1}, accepted=1),
    Case(16, "a start behind the time", [temporality(otlp.CUMULATIVE, T + 5000)], {"start_after_time": 1}, accepted=1),
    Case(17, "a quarter of a million points", [many_points(250_000)], {"malformed": 1}),
    Case(17, "100,000 resources", [b"\x0a\x00" * 100_000], {}),
    Case(18, "a snappy block that says 4 GiB", [varint(2**32 - 1) + b"x" * 10], {"malformed": 1}, headers=REMOTE_WRITE_1),
    Case(19, "snappy's framed format", [bytes(cramjam.snappy.compress(b"a" * 100))], {"malformed": 1}, headers=REMOTE_WRITE_1),
    Case(20, "snappy copies from nowhere, and a tag cut off", [b"\x0a\x00a\x01\x00", b"\x0a\x00a\x01\x09", b"\x0a\x3c"],
         {"malformed": 3}, headers=REMOTE_WRITE_1),
    Case(24, "a content type that is not taken", [b"{}"], {"unsupported_content_type": 1},
         headers=(("content-type", b"application/json"),)),
    Case(24, "an encoding that is not taken", [WHOLE], {"unsupported_content_type": 1},
         headers=(("content-type", b"application/x-protobuf"), ("content-encoding", b"gzip"))),
    Case(24, "one remote write under the other's type", [write()], {"malformed": 1}, headers=REMOTE_WRITE_2),
    Case(27, "Avro without its head", [avro()[10:]], {"malformed": 1}),
    Case(27, "Avro of an unknown schema", [b"\xc3\x01" + b"\x11" * 8 + avro()[10:]], {"malformed": 1}),
    Case(28, "Avro: counts and lengths that can't be",
         [vector("tenant_avro", n) for n in ("huge_count", "least_count", "negative_length", "negative_size", "length_2_to_62")],
         {"malformed": 5}),
    Case(29, "Avro: an unknown symbol", [vector("tenant_avro", "unknown_kind")], {"malformed": 1}),
    Case(29, "Avro: a label that is not UTF-8", [avro(labels={"region": "QQQQ"}).replace(b"QQQQ", b"a\xff\xfeb")],
         {"label_value_invalid": 1}),
    Case(30, "no tenant", [WHOLE], {"missing_tenant": 1}, topic=SHARED, headers=NO_TENANT),
    Case(30, "an unknown tenant", [WHOLE], {"unknown_tenant": 1}, topic=SHARED, headers=NOBODY),
    Case(30, "200 headers and one of 1 MB", [WHOLE], {}, accepted=1,
         headers=tuple((f"h{i}", b"x") for i in range(200)) + (("big", b"x" * 1_000_000),)),
]


class Sent:
    """All cases' records, each followed by a good one, and what came of them."""

    def __init__(self, stack, cases=CASES, **keys):
        self.stack, self.cases, self.places, self.goods = stack, cases, {}, {}
        stack.create_all_topics()
        (stack.places.dir / "bad-input.json").write_text(POLICY)
        self.validate = stack.worker("validate", policy=str(stack.places.dir / "bad-input.json"), cache_mb=32, **keys)
        producer = stack.producer()
        for number, case in enumerate(cases):
            for value in case.values:
                self._produce(producer, case.topic, value, case.headers, number, self.places)
                self._produce(producer, case.topic, WHOLE, (("sluice-tenant", b"demo"),), number, self.goods)
        assert producer.flush(120) == 0
        total = sum(map(len, self.places.values())) + sum(map(len, self.goods.values()))
        wait_for(lambda: metric(self.validate, "sluice_records_in_total") >= total, 120, "validate's way through all cases")
        self.batches = formats.read_batches(stack, "metrics.valid")
        self.letters = formats.read_letters(stack, "metrics.dlq")

    def _produce(self, producer, topic, value, headers, number, into):
        def noted(error, m):
            assert error is None, error
            into.setdefault(number, set()).add((m.topic(), m.partition(), m.offset()))
        producer.produce(topic, value, partition=0, headers=list(headers), on_delivery=noted)
        producer.poll(0)

    def of(self, records, places):
        return [r for r in records if tuple(r["origin"][k] for k in ("topic", "partition", "offset")) in places]

    def samples(self, places):
        return sum(n_samples(b) for b in self.of(self.batches, places))


def n_samples(batch):
    """One point for each series of its shape."""
    return len(formats.decode("shape", batch["shape"])["series"])


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    stack = StackUnderTest(tmp_path_factory.mktemp("bad-input"))
    try:
        stack.kafka.start()
        yield Sent(stack)
    finally:
        stack.stop()


def problems(sent, number):
    """What differs from what the case says; empty when all is well."""
    case, places, found = sent.cases[number], sent.places[number], []
    letters = Counter()
    for letter in sent.of(sent.letters, places):
        letters[letter["reason"]] += max(letter["samples"], 1)
        if not (letter["stage"] == "validate" and letter["text"] and letter["policy"]):
            found.append(f"a letter without a text: {letter}")
    if letters != Counter(case.want):
        found.append(f"dead letters {dict(letters)}, not {case.want}")
    if sent.samples(places) != case.accepted:
        found.append(f"{sent.samples(places)} samples accepted, not {case.accepted}")
    values = b"".join(b["values"] for b in sent.of(sent.batches, places))
    if case.bits and tuple(sorted(values[i:i + 8].hex() for i in range(0, len(values), 8))) != case.bits:
        found.append(f"values {values.hex()}")
    for reason in case.counted:
        if not any(metric(sent.validate, f"sluice_{of}_rejected_total", reason=reason) for of in ("samples", "records")):
            found.append(f"{reason} is not counted")
    if sent.samples(sent.goods[number]) != len(case.values):
        found.append("not each good record behind it was taken")
    return found


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"row {c.row}: {c.name}" for c in CASES])
def test_row(number, sent):
    assert len(sent.places[number]) == len(CASES[number].values)
    assert not problems(sent, number)


def test_the_accounts_close(sent):
    page = sent.validate
    assert metric(page, "sluice_samples_in_total") == \
        metric(page, "sluice_samples_out_total") + metric(page, "sluice_samples_rejected_total")
    assert metric(page, "sluice_samples_out_total") == sum(map(n_samples, sent.batches))
    assert metric(page, "sluice_dlq_records_total") == len(sent.letters)
    whole = Counter(r["reason"] for r in sent.letters if r["samples"] == 0)
    for reason, n in whole.items():
        assert metric(page, "sluice_records_rejected_total", reason=reason) == n


def test_memory_stays_below_the_ceiling(sent):
    status = open(f"/proc/{sent.validate.process.pid}/status").read()
    peak_mb = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
    print(f"validate's peak: {peak_mb:.0f} MB")
    assert peak_mb < PEAK_MB
