"""Reads sluice's records with a stock Avro library and the schemas' files."""
import io
import json

import fastavro

from deploy.local.places import ROOT

SCHEMAS = {name: fastavro.parse_schema(json.loads((ROOT / f"schemas/{name}.avsc").read_text()))
           for name in ("batch", "shape", "dlq", "gap") if (ROOT / f"schemas/{name}.avsc").exists()}


def decode(name, value):
    assert value[:2] == b"\xc3\x01", value[:10]
    return fastavro.schemaless_reader(io.BytesIO(value[10:]), SCHEMAS[name])


def read_batches(stack, topic):
    return [decode("batch", r.value()) for r in stack.read_committed(topic, timeout_s=120)]


def read_letters(stack, topic):
    return [decode("dlq", r.value()) for r in stack.read_committed(topic, timeout_s=120)]


def read_gaps(stack, topic="sluice.gaps"):
    return [decode("gap", r.value()) for r in stack.read_committed(topic, timeout_s=120)]
