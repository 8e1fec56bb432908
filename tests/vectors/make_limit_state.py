#!/usr/bin/env python3
"""Makes tests/vectors/limit_state/*.bin: the values of sluice.limit's records, written byte by byte from the Avro
specification; to be run again when their schemas change. bad_*: they have to be refused. Small ones: each is also run cut at every byte."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from make_batch import HERE, SCHEMAS, array, head, text, zz  # noqa: E402

STEP_MS = 900000
NOW_MS = 1780000200000
TOPIC_ID = bytes(range(16))


def ids(n, first=1):
    return b"".join((i * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "little") + i.to_bytes(8, "little")
                    for i in range(first, first + n))


def group(metric="a", weight=1, over=0, lapsed=0, seen_ms=NOW_MS, series=None):
    return text(metric) + zz(weight) + zz(over) + zz(lapsed) + zz(seen_ms) + text(ids(3) if series is None else series)


def source(groups, tenant="t", source_id=77, name="gs-1", **how):
    return head("limit_source") + text(tenant) + zz(source_id) + text(name) + array(groups, **how)


def high(topic="metrics.ingest", topic_id=TOPIC_ID, partitions=(3,), offset=10**12, index=2, **how):
    return text(topic) + topic_id + array([zz(p) + zz(offset) + zz(index) for p in partitions], **how)


def partition(highs, time_ms=NOW_MS, appended_ms=NOW_MS + 7, **how):
    return head("limit_partition") + zz(time_ms) + zz(appended_ms) + array(highs, **how)


def by_schema(name, values):
    """A record of numbers, strings and arrays of numbers; a field without a value here is 0."""
    out = head(name)
    for field in json.loads((SCHEMAS / f"{name}.avsc").read_text())["fields"]:
        v = values.get(field["name"], 0)
        out += text(v) if isinstance(v, str) else array([zz(n) for n in v]) if isinstance(v, tuple) else zz(v)
    return out


def lease(**values):
    return by_schema("limit_lease", {"kind": 0, "tenant": "t", "metric": "", "granted": 100, "returned": 30, "use": 20,
                                     "need": 40} | values)


def grants(**values):
    return by_schema("limit_grants", {"kind": 0, "tenant": "t", "metric": "", "number": 1, "value": 500, "room": 2,
                                      "granted": (100,)} | values)


def vectors():
    yield "source", source([group(), group("h", weight=13, series=ids(1, 9)), group("b", over=1, series=ids(2, 20))])
    yield "source_negative_id", source([group()], source_id=-5)
    yield "source_in_blocks", source([group("a"), group("b", series=ids(2, 9)), group("c", series=ids(1, 99))], blocks=2)
    yield "source_sized_blocks", source([group("a"), group("b", series=ids(2, 9))], blocks=2, sized=True)
    yield "source_empty", source([])
    yield "source_old_and_new", source([group("a", seen_ms=NOW_MS - 20 * STEP_MS), group("b", series=ids(1, 9))])
    yield "source_lapsed", source([group("a", lapsed=1), group("b", lapsed=0, series=ids(1, 9))])
    yield "source_many", source([group("a", series=ids(40))])
    yield "source_heaviest", source([group("h", weight=2047, over=3)])
    yield "partition", partition([high(partitions=(3, 4)), high(topic_id=TOPIC_ID[::-1])])
    yield "partition_first", partition([], time_ms=0, appended_ms=0)
    yield "partition_in_blocks", partition([high(partitions=(3, 4), blocks=2), high(partitions=(5,))], blocks=2, sized=True)
    yield "lease_tenant", lease()
    yield "lease_metric", lease(kind=1, metric="a")
    yield "lease_rate", lease(kind=2)
    yield "grants", grants()
    yield "bad_empty", b""
    yield "bad_head", b"\xc3\x01" + bytes(8)
    yield "bad_series_twice", source([group("a"), group("b")])
    yield "bad_series_twice_in_a_group", source([group("a", series=ids(1) + ids(1))])
    yield "bad_weight_none", source([group(weight=0)])
    yield "bad_weight_negative", source([group(weight=-1)])
    yield "bad_weight_large", source([group(weight=2048)])
    yield "bad_weight_wide", source([group(weight=2**40)])
    yield "bad_over", source([group(over=4)])
    yield "bad_over_negative", source([group(over=-1)])
    yield "bad_lapsed", source([group(lapsed=2)])
    yield "bad_seen", source([group(seen_ms=-10 * STEP_MS)])
    yield "bad_seen_barely", source([group(seen_ms=-1)])
    yield "bad_ids_none", source([group(series=b"")])
    yield "bad_ids_cut", source([group(series=ids(2)[:-1])])
    yield "bad_count", head("limit_source") + text("t") + zz(77) + text("gs-1") + zz(2**50)
    yield "bad_behind_the_end", source([group()]) + b"\0"
    yield "bad_time", partition([high()], time_ms=-1)
    yield "bad_appended", partition([high()], appended_ms=-1)
    yield "bad_high_partition", partition([high(partitions=(2**33,))])
    yield "bad_partition_behind_the_end", partition([high()]) + b"\0"
    yield "bad_lease_kind", lease(kind=3)
    yield "bad_lease_negative", lease(granted=-1, returned=-2)
    yield "bad_grants_room", grants(room=9)
    yield "bad_grants_negative", grants(granted=(-1,))


def main():
    folder = HERE / "limit_state"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.bin"):
        old.unlink()
    for name, data in vectors():
        (folder / f"{name}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
