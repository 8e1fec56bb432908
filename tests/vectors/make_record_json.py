#!/usr/bin/env python3
"""Writes tests/vectors/record_json: a byte that chooses the head (record_json_fuzz.c), then a record's body as fastavro
writes it, or an OTLP message."""
import io
import json
from pathlib import Path

import fastavro

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/vectors/record_json"
ID = b"\x07" * 16
ORIGIN = {"topic": "metrics.ingest.demo", "topic_id": ID, "partition": 3, "offset": 4711}
RECORDS = {
    "letter": (1, "dlq", {"tenant": "demo", "stage": "validate", "reason": "label_forbidden", "metric": "hits_total",
                          "received_ms": 1_700_000_000_000, "origin": ORIGIN, "index": 0, "samples": 2,
                          "points": [{"series": ID, "time_ms": 1000}, {"series": b"", "time_ms": -5}],
                          "label": "player_id", "masked_value": ID, "text": "\x1b[31m"}),
    "gap": (2, "gap", {"sink": "sluice-amp", "tenant": "demo", "source": -5, "from_ms": 1, "to_ms": 2,
                       "reason": "too_old_to_send", "samples": 12, "topic": "metrics.admitted", "topic_id": ID,
                       "partition": 1, "first_offset": 3, "last_offset": 8}),
    "source": (3, "limit_source", {"tenant": "demo", "source": 9, "source_name": "gs-1", "groups": [
        {"metric": "hits_total", "weight": 1, "over": 0, "lapsed": 0, "seen_ms": 0, "series": ID * 3}]}),
    "partition": (4, "limit_partition", {"log_time_ms": 1, "appended_ms": 2, "highs": [
        {"topic": "metrics.ingest", "topic_id": ID, "partitions": [{"partition": 0, "offset": 1, "index": 2}]}]}),
    "lease": (5, "limit_lease", {"kind": 1, "tenant": "demo", "metric": "m", "partition": 3, "granted": 10, "returned": 2,
                                 "use": 4, "demand": 5, "need": 6}),
    "grants": (6, "limit_grants", {"kind": 0, "tenant": "demo", "metric": "", "number": 7, "value": 1000, "base": 0,
                                   "room": 2, "over": 0, "granted": [5, 0, 1 << 40]}),
}


def main():
    OUT.mkdir(exist_ok=True)
    for name, (head, schema, record) in RECORDS.items():
        out = io.BytesIO()
        fastavro.schemaless_writer(
            out, fastavro.parse_schema(json.loads((ROOT / f"schemas/{schema}.avsc").read_text())), record)
        (OUT / f"{name}.bin").write_bytes(bytes([head]) + out.getvalue())
        (OUT / f"bad_{name}_cut.bin").write_bytes(bytes([head]) + out.getvalue()[:-2])
    for name, data in {"json": b'{"kind": "kill"}', "nothing": b"", "huge_text": b"\xfe\xff\xff\xff\x0f"}.items():
        (OUT / f"{name}.bin").write_bytes(b"\0" + data)


if __name__ == "__main__":
    main()
