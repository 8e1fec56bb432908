"""Runs of sluice-rollup over a log that does not change: into topics of their own, so that one is held against another."""
import collections

from tests.flow import rollup_check
from tests.flow.stack import wait_for

ROWS = ("1m", "5m")


def create_topics(stack, name, partitions):
    """The outputs of the run of this name."""
    for rows in ROWS:
        stack.create_topic(f"{name}.{rows}", partitions, message_timestamp_type="CreateTime", retention_ms=-1)
    stack.create_topic(f"{name}.dlq", partitions)


def keys_of(name, **more):
    """The configuration of its workers."""
    return {"group": name, "rollup_1m_topic": f"{name}.1m", "rollup_5m_topic": f"{name}.5m", "dlq_topic": f"{name}.dlq",
            "commit_interval_ms": 50, "session_timeout_ms": 6000, "fenced_backoff_ms": 500, **more}


def put(stack, messages, partitions):
    rollup_check.put(stack, messages, partitions, end_s=11400)


def position_of(commit):
    """The true one, which (offset, metadata) has in its metadata; the offset is that of the earliest record needed."""
    return int(commit[1].split()[3])


def position(stack, group):
    """{partition: true position}"""
    return {p: position_of(commit) for p, commit in stack.committed(group, rollup_check.ADMITTED).items()}


def wait_through(stack, group, timeout_s=90):
    """Until all of the log is processed; behind its last record stands a marker."""
    ends = {p: own[-1][0] + 1 for p, own in rollup_check.by_partition(stack, rollup_check.ADMITTED).items()}

    def is_through():
        found = position(stack, group)
        return all(found.get(p, 0) >= end for p, end in ends.items())

    wait_for(is_through, timeout_s, f"the end of {group}")


def rows_of(stack, name):
    """{(resolution, partition, key): [(timestamp, value)]}: must be the same, whatever happened. The key is the source."""
    found = collections.defaultdict(list)
    for rows in ROWS:
        for r in stack.read_committed(f"{name}.{rows}", timeout_s=120):
            found[rows, r.partition(), r.key()].append((r.timestamp()[1], r.value()))
    return found


def differences(calm, other):
    """Where they differ; empty when they are the same."""
    found = []
    for key in sorted(set(calm) | set(other), key=str):
        a, b = calm.get(key, []), other.get(key, [])
        if a != b:
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            found.append(f"{key}: {len(a)} and {len(b)} records, differing from {at} on")
    return found
