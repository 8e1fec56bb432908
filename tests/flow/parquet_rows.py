"""Objects as sluice-parquet writes them of a range, by range-tool, and what must be in them, reckoned here."""
import datetime
import json
import os
import struct
import subprocess
from dataclasses import dataclass, field

import xxhash

from deploy.local.places import ROOT
from tests.flow import batches, parquet_files

BIN = os.environ.get("SLUICE_BIN") or ROOT / "build/bin"
TOOL = f"{BIN}/tests/unit/parquet/range-tool"
HOUR_MS = 3_600_000
LABEL_COLUMNS = ["region", "az", "cluster", "shard_id", "instance_type", "build_id", "queue", "asn_bucket", "le"]
STALE = struct.pack("<Q", 0x7FF0000000000002)


class RangeFailed(Exception):
    pass


def run_tool(directory, records=(), **options):
    """The objects' descriptions; they lie below directory."""
    head = json.dumps({"dir": str(directory), "scratch": str(directory), "labels": LABEL_COLUMNS, **options}).encode()
    body = b"".join(struct.pack("<QI", offset, len(data)) + data for offset, data in records)
    done = subprocess.run([TOOL], input=struct.pack("<I", len(head)) + head + body, capture_output=True, timeout=300, check=False)
    if done.returncode == 1:
        raise RangeFailed(json.loads(done.stdout)["error"])
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def produce(directory, records, **options):
    """The same, each file verified."""
    objects = run_tool(directory, records, **options)
    if objects:
        verified = parquet_files.sluice_parquet("verify", *(f"{directory}/{o['key']}" for o in objects))
        assert verified.returncode == 0, verified.stderr
    return objects


def series_id(tenant, metric, labels):
    texts = [tenant, metric, *(text for pair in sorted(labels.items()) for text in pair)]
    return xxhash.xxh3_128_hexdigest(b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts))


@dataclass
class Load:
    """Records of a partition as batches.batch encodes them, and their rows."""
    partition: int = 0
    records: list = field(default_factory=list)
    rows: list = field(default_factory=list)

    def scrape(self, source, points, t_ms, times=None, tenant="demo", class_="standard"):
        """points: [(batches' point, the columns of its value)]; times: a time per point."""
        offset = 2 * len(self.records) + 10  # offsets are sparse
        self.records.append((offset, batches.batch(source, [p for p, _ in points], t_ms, times=times, tenant=tenant,
                                                   class_=class_, offset=offset)))
        for i, (point, value) in enumerate(points):
            metric, kind, labels = point[:3]
            self.rows.append({
                "tenant": tenant, "metric": metric, "kind": kind, "temporality": None if kind == "gauge" else "cumulative",
                "unit": "", "class": class_, "series": series_id(tenant, metric, labels), "source": source,
                "labels": sorted(labels.items()), "ts": times[i] if times else t_ms, "ts_ms": times[i] if times else t_ms,
                "kafka_partition": self.partition, "kafka_offset": offset, **NO_VALUE, **value,
                **{name: labels.get(name) for name in LABEL_COLUMNS}})


NO_VALUE = {name: None for name in (
    "value", "count", "sum", "exp_schema", "exp_zero_threshold", "exp_zero_count", "exp_positive_index", "exp_positive_count",
    "exp_negative_index", "exp_negative_count", "bucket_bounds", "bucket_counts")} | {"stale": False}


def scalar(make, metric, bits, **labels):
    """bits: the double, or its 8 bytes."""
    data = bits if isinstance(bits, bytes) else struct.pack("<d", bits)
    point = make(metric, 0.0, **labels)[:3] + (data,)
    return point, {"value": data, "stale": data == STALE}


def native(metric, positive, total, **labels):
    return batches.native(metric, positive, total, **labels), {
        "count": sum(n for _, n in positive), "sum": struct.pack("<d", total), "exp_schema": 3,
        "exp_zero_threshold": struct.pack("<d", 1e-128), "exp_zero_count": 0,
        "exp_positive_index": [i for i, _ in positive], "exp_positive_count": [n for _, n in positive],
        "exp_negative_index": [], "exp_negative_count": []}


def classic(metric, bounds, counts, total, **labels):
    return batches.classic(metric, bounds, counts, total, **labels), {
        "count": sum(counts), "sum": struct.pack("<d", total), "bucket_bounds": [struct.pack("<d", b) for b in bounds],
        "bucket_counts": list(counts)}


def folder(row, hours=1, prefix="", tenant_level=False):
    """Where a row belongs."""
    start = datetime.datetime.fromtimestamp(row["ts_ms"] // (hours * HOUR_MS) * hours * HOUR_MS // 1000, datetime.timezone.utc)
    tenant = f"tenant={row['tenant']}/" if tenant_level else ""
    return f"{prefix}samples/{tenant}dt={start:%Y-%m-%d}/hour={start:%H}"


def in_order(rows):
    return sorted(rows, key=lambda r: (r["tenant"].encode(), r["metric"].encode(), r["series"], r["ts_ms"], r["kafka_offset"]))
