#!/usr/bin/env python3
"""Makes tests/vectors/tenant_schemas: an older and a newer tenant_metrics.avsc, and a record of each, as fastavro writes it."""
import copy
import io
import json
import pathlib

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

HERE = pathlib.Path(__file__).parent
CURRENT = json.loads((HERE.parent.parent / "schemas/tenant_metrics.avsc").read_text())
NOW_MS = 1780000000000


def fields_of(schema):
    return next(f for f in schema["fields"] if f["name"] == "points")["type"]["items"]["fields"]


def older():
    """No units, no starts; single precision."""
    schema = copy.deepcopy(CURRENT)
    fields = fields_of(schema)
    fields[:] = [f for f in fields if f["name"] not in ("unit", "start_ms")]
    next(f for f in fields if f["name"] == "value")["type"] = "float"
    return schema


def newer():
    """Fields in another order, more of them, nullable ones, and a kind that is not known here."""
    schema = copy.deepcopy(CURRENT)
    fields = fields_of(schema)
    next(f for f in fields if f["name"] == "kind")["type"]["symbols"].append("HISTOGRAM")
    next(f for f in fields if f["name"] == "unit").update(type=["null", "string"], default=None)
    fields.append({"name": "exemplar", "type": {"type": "record", "name": "Exemplar", "fields": [
        {"name": "trace", "type": "string"}, {"name": "values", "type": {"type": "array", "items": "double"}}]}})
    fields.reverse()
    schema["fields"].insert(0, {"name": "host", "type": "string"})
    return schema


def put(name, schema, record):
    parsed = fastavro.parse_schema(copy.deepcopy(schema))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, record)
    head = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(parsed), "CRC-64-AVRO"))
    (HERE / "tenant_schemas" / f"{name}.bin").write_bytes(head + out.getvalue())


def main():
    point = {"metric": "game_logins_total", "kind": "COUNTER", "labels": {"queue": "ranked"}, "value": 2.5, "time_ms": NOW_MS}
    more = {"unit": "s", "start_ms": NOW_MS - 1000, "exemplar": {"trace": "t", "values": [1.0]}}
    common = {"source": "server-1", "labels": {"shard_id": "1"}}
    for name, schema in (("older", older()), ("newer", newer())):
        (HERE / "tenant_schemas" / f"{name}.avsc").write_text(json.dumps(schema, indent=1) + "\n")
    put("older", older(), {**common, "points": [point]})
    put("newer", newer(), {**common, "host": "h", "points": [{**point, **more}, {**point, **more, "metric": "game_logouts_total", "unit": None}]})
    put("newer_kind", newer(), {**common, "host": "h", "points": [{**point, **more, "kind": "HISTOGRAM"}]})


main()
