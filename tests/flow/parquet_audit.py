"""What sluice-parquet must have written, and what it wrote: the rows of a topic as its records tell them, decoded by a
stock Avro library, and the rows of all objects, read by pyarrow. Both as (partition, offset, metric, labels, ts, value
bits), the value of histograms None."""
import collections
import io
import json
import os
import re
import struct
import subprocess
from pathlib import Path

import boto3
import botocore.config
import fastavro
import pyarrow.parquet

from deploy.local.places import ROOT
from deploy.local.s3proxy import BUCKET, IDENTITY, SECRET
from tests.flow import batches, parquet_files

TABLE = "samples"
SCALARS = ("counter", "gauge")


class Bucket:
    """A bucket of S3Proxy, which is started beside the stack; boto3 as the peer that looks into it."""

    def __init__(self, stack, name=BUCKET):
        subprocess.run([ROOT / "deploy/deps/s3proxy"], check=True, timeout=300)
        self.stack, self.proxy, self.name = stack, stack.s3proxy, name
        (stack.places.data / "s3" / name).mkdir(parents=True)
        if not self.proxy.process.alive():
            self.proxy.start()
            stack.at_stop.append(self.proxy.stop)
        self.boto = boto3.client("s3", endpoint_url=self.proxy.url, aws_access_key_id=IDENTITY,
                                 aws_secret_access_key=SECRET, region_name="eu-central-1",
                                 config=botocore.config.Config(s3={"addressing_style": "path"}))

    def keys(self):
        """{key: size} of the objects."""
        pages = self.boto.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {o["Key"]: o["Size"] for page in pages for o in page.get("Contents", ())}

    def metadata(self, key):
        return self.boto.head_object(Bucket=self.name, Key=key)["Metadata"]

    def unfinished(self):
        return [u["Key"] for u in self.boto.list_multipart_uploads(Bucket=self.name).get("Uploads") or ()]

    def read(self, key):
        return self.boto.get_object(Bucket=self.name, Key=key)["Body"].read()


def start_worker(stack, bucket, name="parquet", build=None, ready=True, endpoint=None, scratch=None, **keys):
    folder = Path(scratch or stack.places.dir / "scratch")
    folder.mkdir(exist_ok=True)
    base = {"bucket": bucket.name, "endpoint": endpoint or bucket.proxy.url, "path_style": True, "aws.region": "eu-central-1",
            "start": "earliest", "scratch_dir": str(folder), "session_timeout_ms": 6000, "fenced_backoff_ms": 500,
            "raw_max_age_ms": 1500, "rollup_max_age_ms": 1500, "min_backoff_ms": 50, "max_backoff_ms": 1000, "request_timeout_ms": 5000}
    worker = stack.new_worker("parquet", name, build, **{**base, **keys})
    worker.start()
    if ready:
        worker.wait_ready()
    return worker


# the topic


def _decode(name, value):
    assert value[:10] == batches.HEADS[name]
    return fastavro.schemaless_reader(io.BytesIO(value[10:]), batches.SCHEMAS[name], None)


_shapes = {}


def _series(shape_bytes):
    if shape_bytes not in _shapes:
        shape = _decode("shape", shape_bytes)
        symbols = shape["symbols"]
        rows = []
        for s in shape["series"]:
            words = [symbols[i] for i in s["labels"]]
            rows.append((symbols[s["metric"]], s["kind"], tuple(zip(words[::2], words[1::2]))))
        _shapes[shape_bytes] = rows
    return _shapes[shape_bytes]


def rows_of(partition, offset, value):
    b = _decode("batch", value)
    if not b["shape"]:
        return
    at, base, deltas = 0, b["times"]["base"], b["times"]["deltas"]
    for i, (metric, kind, labels) in enumerate(_series(b["shape"])):
        bits = None
        if kind in SCALARS:
            bits, = struct.unpack_from("<Q", b["values"], at)
            at += 8
        yield partition, offset, metric, labels, base + (deltas[i] if deltas else 0), bits


def rows_in_topic(stack, topic):
    return collections.Counter(row for r in stack.read_committed(topic) if r.value() is not None
                               for row in rows_of(r.partition(), r.offset(), r.value()))


# the objects


def rows_in_object(data):
    table = pyarrow.parquet.read_table(io.BytesIO(data))
    columns = [table.column(c).to_pylist() for c in
               ("kafka_partition", "kafka_offset", "metric", "labels", "ts_ms", "value", "kind")]
    for partition, offset, metric, labels, ts_ms, value, kind in zip(*columns):
        bits = struct.unpack("<Q", struct.pack("<d", value))[0] if kind in SCALARS else None
        yield partition, offset, metric, tuple(labels), ts_ms, bits


def rollup_rows_in(bucket):
    """{table: [row]} of the objects of rollups, as parquet_rollups has them."""
    found = collections.defaultdict(list)
    for key in bucket.keys():
        table = re.search(r"(?:^|/)(rollup_\w+)/dt=", key)
        if table:
            columns = pyarrow.parquet.read_table(io.BytesIO(bucket.read(key))).to_pylist()
            found[table.group(1)] += [{name: parquet_files.canonical(value) for name, value in row.items()} for row in columns]
    return found


class Audit:
    """problems: empty when each row of the topic lies in one object exactly, and each object is what it says.
    s3_dies: S3Proxy was stopped at any moment, or let writers race, and may have kept an object without its metadata, which
    S3 never does; then the footer, which says the same, is taken at its word."""

    def __init__(self, stack, bucket, topic="metrics.admitted", s3_dies=False):
        expected, found, self.problems = rows_in_topic(stack, topic), collections.Counter(), []
        self.keys, self.n_without_metadata = bucket.keys(), 0
        self.n_bytes = sum(self.keys.values())
        ranges = collections.defaultdict(list)
        for key in self.keys:
            data, ledger = bucket.read(key), bucket.metadata(key)
            rows = list(rows_in_object(data))
            found.update(rows)
            footer = pyarrow.parquet.ParquetFile(io.BytesIO(data)).metadata.metadata
            if s3_dies and not ledger:
                self.n_without_metadata += 1
                ledger = {k.decode(): v.decode() for k, v in footer.items()}
            self._check_ledger(key, ledger, rows, footer)
            ranges[ledger["topic"], ledger["partition"], ledger["intent"]].append(ledger)
        self.n_rows = sum(found.values())
        lost, double = expected - found, found - expected
        for name, rows in (("lost", lost), ("double or foreign", double)):
            if rows:
                self.problems.append(f"{sum(rows.values())} rows {name}, such as {next(iter(rows))}")
        self._check_ranges(ranges)
        self.problems += [f"unfinished upload {key}" for key in bucket.unfinished()]

    def _check_ledger(self, key, ledger, rows, footer):
        intent = json.loads(ledger["intent"])
        said = [int(ledger[k]) for k in ("rows", "first", "last", "min-ts-ms", "max-ts-ms")]
        offsets, times = [r[1] for r in rows], [r[4] for r in rows]
        if said != [len(rows), intent["first"], intent["last"], min(times), max(times)]:
            self.problems.append(f"{key}: its metadata say {said}")
        if not intent["first"] <= min(offsets) <= max(offsets) <= intent["last"]:
            self.problems.append(f"{key}: rows outside of its range {intent}")
        if any(footer[k.encode()].decode() != v for k, v in ledger.items()):
            self.problems.append(f"{key}: footer and metadata differ")

    def _check_ranges(self, ranges):
        by_partition = collections.defaultdict(list)
        for (topic, partition, text), ledgers in ranges.items():
            intent = json.loads(text)
            by_partition[topic, partition, intent["topic_id"]].append((intent["first"], intent["last"]))
            if sum(int(l["rows"]) for l in ledgers) != intent["rows"] or len(ledgers) != int(ledgers[0]["objects"]):
                self.problems.append(f"{topic}[{partition}]: not all objects of {text[:80]} are there")
        for where, spans in by_partition.items():
            spans.sort()
            if any(a[1] >= b[0] for a, b in zip(spans, spans[1:])):
                self.problems.append(f"{where}: ranges overlap: {spans[:20]}")
        self.n_ranges = len(ranges)
        self.n_ranges_of = collections.Counter(json.dumps(json.loads(text)["layout"]) for _, _, text in ranges)

    def __str__(self):
        return (f"{self.n_rows} rows in {len(self.keys)} objects of {self.n_ranges} ranges, {self.n_bytes} bytes, "
                f"{self.n_without_metadata} without metadata; "
                f"problems {self.problems[:5]}")


def verify_by_tool(stack, bucket):
    """What `sluice-parquet verify` says of all objects; it reads them from the bucket."""
    return tool(stack, bucket, "verify", *bucket.keys())


def tool(stack, bucket, command, *keys):
    """(exit code, output)."""
    done = subprocess.run([stack.places.binary("sluice-parquet"), command, "--endpoint", bucket.proxy.url, "--path-style",
                           "--region", "eu-central-1", *(f"s3://{bucket.name}/{key}" for key in keys)],
                          capture_output=True, text=True, timeout=300, check=False,
                          env={**os.environ, "AWS_ACCESS_KEY_ID": IDENTITY, "AWS_SECRET_ACCESS_KEY": SECRET})
    return done.returncode, done.stdout + done.stderr
