"""The rollup worker's step without Kafka: build/release/tests/unit/rollup/rollup-tool takes a partition's records and
gives its rows."""
import os
import re
import struct
import subprocess

from deploy.local.places import ROOT
from tests.flow import rollup_records

TOOL = os.path.join(os.environ.get("SLUICE_BIN") or ROOT / "build/bin", "tests/unit/rollup/rollup-tool")
MARKERS_EVERY = 7


def _run(values, *how, window="minutes"):
    data = b"".join(struct.pack("<qqI", offset, log_ms, len(value)) + value for offset, log_ms, value in values)
    return subprocess.run([TOOL, window, *map(str, how)], input=data, capture_output=True, timeout=240, check=False)


def cuts(values, *fault, **window):
    """(how many commits there can be, after how many of them a new owner goes on otherwise, in words)"""
    said = _run(values, "all", *fault, **window).stderr.decode()
    n, n_wrong = re.fullmatch(r"(\d+) cuts, (\d+) wrong", said.splitlines()[-1]).groups()
    return int(n), int(n_wrong), said


def step(values, *how, window="minutes"):
    """[(offset, received_ms or Kafka timestamp, record)] → (1 m or 1 h, 5 m) of [(number, log time, record)].
    how: the seed of crashes, 0 for none, a rule to leave out ("none"), and how large a record may be."""
    done = _run(values, *how, window=window)
    assert done.returncode == 0, done.stderr.decode()
    found, at = ([], []), 0
    while at < len(done.stdout):
        is_five, log_ms, n = struct.unpack_from("<BqI", done.stdout, at)
        at += 13 + n
        found[is_five].append((len(found[is_five]), log_ms, done.stdout[at - n:at]))
    return found


def with_offsets(messages):
    """One partition's records, with the holes that transactions' markers leave."""
    return [(i + i // MARKERS_EVERY, m.received_ms, rollup_records.record(m, i)) for i, m in enumerate(messages)]
