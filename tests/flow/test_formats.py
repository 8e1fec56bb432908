"""The internal format as others read it: what our encoder writes stock Avro libraries (fastavro, avro) read with the
schemas' files, and what they write our decoder reads. build/release/tests/unit/batch/batch-tool is our side."""
import io
import json
import math
import os
import random
import struct
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import avro.io
import avro.schema
import fastavro
import pytest
import xxhash
from fastavro.schema import fingerprint, to_parsing_canonical_form

from deploy.local.places import ROOT

TOOL = Path(os.environ.get("SLUICE_BIN") or ROOT / "build/bin") / "tests/unit/batch/batch-tool"
NAMES = ("batch", "shape")
TEXTS = {name: (ROOT / f"schemas/{name}.avsc").read_text(encoding="utf-8") for name in NAMES}
SCHEMAS = {name: fastavro.parse_schema(json.loads(text)) for name, text in TEXTS.items()}
AVRO = {name: avro.schema.parse(text) for name, text in TEXTS.items()}
HEADS = {name: b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
         for name, schema in SCHEMAS.items()}
KINDS = ("counter", "gauge", "exponential_histogram", "classic_histogram")
CLASSES = ("critical", "standard", "verbose")
VALUES = [0.0, -0.0, 1.5, -1e300, 5e-324, math.inf, -math.inf, struct.unpack("<d", bytes.fromhex("020000000000f07f"))[0]]


def bits(value):
    return struct.pack(">d", value).hex()


def run(command, data):
    done = subprocess.run([TOOL, command], input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def encode(batches):
    """Ours: the batches' bytes."""
    out, records = run("encode", json.dumps(batches).encode()), []
    while out:
        length = int.from_bytes(out[:4], "little")
        records.append(out[4:4 + length])
        out = out[4 + length:]
    assert len(records) == len(batches)
    return records


def decode(records):
    """Ours: the batches as JSON has them."""
    return json.loads(run("decode", b"".join(len(r).to_bytes(4, "little") + r for r in records)))


def fastavro_read(name, data):
    assert data[:10] == HEADS[name]
    stream = io.BytesIO(data[10:])
    record = fastavro.schemaless_reader(stream, SCHEMAS[name])
    assert stream.read() == b""
    return record


def avro_read(name, data):
    assert data[:10] == HEADS[name]
    return avro.io.DatumReader(AVRO[name]).read(avro.io.BinaryDecoder(io.BytesIO(data[10:])))


def fastavro_write(name, record):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMAS[name], record)
    return HEADS[name] + out.getvalue()


def avro_write(name, record):
    out = io.BytesIO()
    avro.io.DatumWriter(AVRO[name]).write(record, avro.io.BinaryEncoder(out))
    return HEADS[name] + out.getvalue()


def varint(v):
    out = bytearray()
    while v >= 0x80:
        out.append(v & 0x7F | 0x80)
        v >>= 7
    return bytes(out + bytes([v]))


def canonical_key(s):
    """shape.avsc: the series' order."""
    return (s["metric"].encode(), KINDS.index(s["kind"]), s["temporality"] == "delta", s["unit"].encode(),
            [struct.unpack(">d", bytes.fromhex(b))[0] for b in s["bounds"]],
            [(n.encode(), v.encode()) for n, v in s["labels"]])


def random_series(rng):
    kind = rng.choice(KINDS)
    s = {"metric": f"game_{rng.choice('abcäé')}_{rng.randrange(4)}", "unit": rng.choice(["", "ms", "°C"]), "kind": kind,
         "temporality": "delta" if kind != "gauge" and rng.random() < 0.3 else "cumulative",
         "labels": [[n, f"{rng.choice(['', 'x', 'ü', '日本'])}{rng.randrange(3)}"]
                    for n in ("arena", "mode", "région", "zone") if rng.random() < 0.5],
         "bounds": []}
    if kind == "classic_histogram":
        s["bounds"] = [bits(b) for b in sorted(rng.sample([-5.0, -0.5, 0.0, 0.25, 1.0, 10.0, 1e9], rng.randrange(8)))]
        counts = [rng.randrange(1 << rng.randrange(1, 64)) for _ in range(len(s["bounds"]) + 1)]
        s["classic"] = {"has_sum": rng.random() < 0.5, "stale": rng.random() < 0.1, "sum": bits(rng.random()),
                        "count": f"{sum(counts) % (1 << 64):016x}", "counts": [f"{c:016x}" for c in counts]}
    elif kind == "exponential_histogram":
        s["histogram"] = rng.randbytes(rng.randrange(200)).hex()
    else:
        s["value"] = bits(rng.choice(VALUES + [rng.random()]))
    return s


def random_batch(seed):
    rng = random.Random(seed)
    series = {}
    for _ in range(rng.randrange(1, 40)):
        s = random_series(rng)
        series[repr(canonical_key(s))] = s
    one_time, one_start, now = rng.random() < 0.5, rng.random() < 0.5, 1780000000000
    for s in series.values():
        s["time_ms"] = now + (0 if one_time else rng.randrange(-30000, 30000))
        s["start_ms"] = 0 if one_start else now - rng.randrange(10**9)
    topic = rng.choice(["metrics.ingest", "metrics.ingest.studio-a", ""])
    return {"tenant": rng.choice(["demo", "studio-ä"]), "class": rng.choice(CLASSES),
            "source": f"{rng.getrandbits(64):016x}", "received_ms": now + 17, "redriven": f"{rng.getrandbits(64):016x}",
            "origin": {"topic": topic, "topic_id": rng.randbytes(16).hex(), "partition": rng.randrange(2**31),
                       "offset": rng.randrange(2**63), "index": rng.randrange(9)},
            "source_name": f"server-{rng.randrange(99)}", "series": list(series.values())}


def signed(hex_id):
    return struct.unpack(">q", bytes.fromhex(hex_id))[0]


def columns_of(series):
    """The three columns' bytes, as batch.avsc describes them."""
    values = b"".join(struct.pack("<Q", int(s["value"], 16)) for s in series if "value" in s)
    exp = b"".join(varint(len(s["histogram"]) // 2) + bytes.fromhex(s["histogram"]) for s in series if "histogram" in s)
    classic = b""
    for h in (s["classic"] for s in series if "classic" in s):
        classic += bytes([h["has_sum"] + 2 * h["stale"]]) + struct.pack("<Q", int(h["sum"], 16))
        classic += b"".join(varint(int(c, 16)) for c in [h["count"], *h["counts"]])
    return values, exp, classic


def times_of(values):
    deltas = [v - values[0] for v in values]
    return {"base": values[0], "deltas": deltas if any(deltas) else []}


def shape_record(batch):
    symbols = []

    def index(text):
        if text not in symbols:
            symbols.append(text)
        return symbols.index(text)

    series = [{"metric": index(s["metric"]), "unit": index(s["unit"]), "kind": s["kind"], "temporality": s["temporality"],
               "labels": [index(t) for pair in s["labels"] for t in pair],
               "bounds": [struct.unpack(">d", bytes.fromhex(b))[0] for b in s["bounds"]]}
              for s in sorted(batch["series"], key=canonical_key)]
    return {"symbols": symbols, "source": batch["source_name"], "series": series}


def batch_record(batch, shape):
    series = sorted(batch["series"], key=canonical_key)
    values, exp, classic = columns_of(series)
    origin = batch["origin"] | {"topic_id": bytes.fromhex(batch["origin"]["topic_id"])}
    return {"tenant": batch["tenant"], "class": batch["class"], "source": signed(batch["source"]),
            "received_ms": batch["received_ms"], "origin": origin, "redriven": signed(batch["redriven"]), "shape": shape,
            "times": times_of([s["time_ms"] for s in series]), "starts": times_of([s["start_ms"] for s in series]),
            "values": values, "exponential_histograms": exp, "classic_histograms": classic}


def plain(record):
    """Timestamps as numbers: libraries that know the logical type give datetimes."""
    record = dict(record)
    if not isinstance(record["received_ms"], int):
        record["received_ms"] = round(record["received_ms"].timestamp() * 1000)
    return record


def canonical_bytes(*parts):
    return b"".join(len(p).to_bytes(4, "little") + p for p in parts)


def expected_decoded(batch):
    tenant = batch["tenant"].encode()
    series = sorted(batch["series"], key=canonical_key)
    for s in series:
        labels = [t.encode() for pair in s["labels"] for t in pair]
        s["id"] = xxhash.xxh3_128_hexdigest(canonical_bytes(tenant, s["metric"].encode(), *labels))
    source = xxhash.xxh3_64_hexdigest(canonical_bytes(tenant, batch["source_name"].encode()))
    return batch | {"series": series, "shape_source": source}


BATCHES = [random_batch(seed) for seed in range(150)]


@pytest.mark.parametrize("read", [fastavro_read, avro_read])
def test_stock_libraries_read_what_we_write(read):
    for batch, data in zip(BATCHES, encode(BATCHES)):
        shape = read("shape", plain(read("batch", data))["shape"])
        assert shape == shape_record(batch)
        assert plain(read("batch", data)) == batch_record(batch, plain(read("batch", data))["shape"])


@pytest.mark.parametrize("write", [fastavro_write, avro_write])
def test_we_read_what_stock_libraries_write(write):
    records = [batch_record(b, write("shape", shape_record(b))) for b in BATCHES]
    if write is avro_write:  # it insists on the logical type's class
        for r in records:
            r["received_ms"] = datetime.fromtimestamp(r["received_ms"] / 1000, timezone.utc)
    got = decode([write("batch", r) for r in records])
    assert got == [expected_decoded(b) for b in BATCHES]


def test_bytes_are_those_of_fastavro():
    """One block per array and canonical order leave no choice: the shape's bytes can be a cache's key."""
    ours = encode(BATCHES)
    theirs = [fastavro_write("batch", batch_record(b, fastavro_write("shape", shape_record(b)))) for b in BATCHES]
    assert ours == theirs


def test_shape_does_not_depend_on_the_order_of_series():
    rng = random.Random(1)
    shuffled = [b | {"series": rng.sample(b["series"], len(b["series"]))} for b in BATCHES]
    assert encode(shuffled) == encode(BATCHES)


def test_a_heartbeat_is_read():
    none = {"base": 0, "deltas": []}
    beat = {"tenant": "", "class": "critical", "source": 0, "received_ms": 1780000000000, "redriven": 0, "shape": b"",
            "origin": {"topic": "", "topic_id": bytes(16), "partition": 0, "offset": 0, "index": 0},
            "times": none, "starts": none, "values": b"", "exponential_histograms": b"", "classic_histograms": b""}
    [got] = decode([fastavro_write("batch", beat)])
    assert (got["received_ms"], got["series"]) == (1780000000000, [])


def test_bad_batches_are_refused_one_by_one():
    [good] = encode(BATCHES[:1])
    got = decode([good[:-1], b"\xc3\x01" + bytes(8) + good[10:], good, good + b"\0"])
    assert [r.get("error", "")[:20] for r in got] == ["batch: bad or cut of", "batch: Avro schema 0", "",
                                                      "batch: 1 bytes behin"]


def every_doc(schema):
    if isinstance(schema, dict) and schema.get("type") == "record":
        for field in schema["fields"]:
            yield schema["name"] + "." + field["name"], field.get("doc", "")
            yield from every_doc(field["type"])
    elif isinstance(schema, dict):
        yield from every_doc(schema.get("items"))


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_explained(name):
    docs = dict(every_doc(json.loads(TEXTS[name])))
    assert len(docs) > 8
    assert [field for field, doc in docs.items() if len(doc) < 20] == []
