"""Histogram arithmetic against an implementation of its own (histograms.py).
build/release/tests/unit/batch/histogram-tool is our side, a request per line."""
import math
import os
import random
import struct
import subprocess
from dataclasses import replace

from deploy.local.places import ROOT
from tests.flow.histograms import (
    HIGHEST, LOWEST, NOWHERE, STALE, Histogram, add, bits, combine, is_reset, is_stale, layout, log2, one_nan, pack, unpack, unpack_filled,
    varint)

TOOL = os.path.join(os.environ.get("SLUICE_BIN") or ROOT / "build/bin", "tests/unit/batch/histogram-tool")


# ---- by chance


def random_threshold(rng):
    kind = rng.randrange(6)
    if kind < 2:
        return (0.0, 2.0**-128)[kind]
    if kind < 5:
        return 2.0**rng.randint(-6, 6)
    while True:
        t = 2**rng.uniform(-5, 5)
        if abs(math.log2(t) * 256 - round(math.log2(t) * 256)) > 0.01:       # within a bucket, of whatever schema
            return t


def random_side(rng, schema):
    scale = 2.0**schema
    low, high, last = math.ceil(-8 * scale), math.ceil(8 * scale), math.floor(1024 * scale)
    side = {}
    for _ in range(rng.choice([0, 1, 2, 3])):
        start = rng.randint(low, high)
        for index in range(start, start + rng.choice([1, 2, 5, 20, 90])):
            if rng.random() < 0.7 and index <= last:
                side[index] = rng.choice([1, 2, 3, 1000, 2**40, 2**52])
    if rng.random() < 0.05:                                                   # the last finite one, ±Inf's, the first
        side.update({last: 1, last + 1: 3, -math.floor(1074 * scale): 4})
    return side


def random_sum(rng):
    return rng.choice([rng.uniform(-1e6, 1e6)] * 7 + [math.inf, -math.inf, math.nan])


def finished(h, rng):
    h.count = h.zero + sum(sum(side.values()) for side in h.sides)
    h.count += rng.choice([0, 1, 7]) if math.isnan(h.sum) else 0
    return h


def random_histogram(rng):
    schema = rng.choice([*range(LOWEST, HIGHEST + 1), 0, 2, 3, 3])
    if rng.random() < 0.03:
        return Histogram(schema=rng.randint(0, 8), sum=STALE)
    return finished(Histogram(schema, random_threshold(rng), rng.randrange(100), 0, random_sum(rng),
                              (random_side(rng, schema), random_side(rng, schema))), rng)


def grown(h, rng):
    """What the same series might say later: more in some buckets, one more bucket, fewer in one (a reset)."""
    sides = tuple({i: n + rng.choice([0, 0, 1, 5]) for i, n in side.items()} for side in h.sides)
    side = rng.choice(sides)
    if rng.random() < 0.5:
        index = rng.randint(-8, 8)
        side[index] = side.get(index, 0) + 1
    if rng.random() < 0.15 and side:
        side[rng.choice([*side])] = 0
    zero = max(0, h.zero + rng.choice([0, 0, 1, 2, -1]))
    total = math.nan if math.isnan(h.sum) else h.sum + rng.uniform(0, 10)
    out = finished(Histogram(h.schema, h.threshold, zero, 0, total, sides), rng)
    out.count += h.nan_observations() if rng.random() < 0.8 else 0
    return out


# ---- both sides


def run(lines):
    done = subprocess.run([TOOL], input="\n".join(lines) + "\n", capture_output=True, timeout=120, check=False, text=True)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert len(answers) == len(lines)
    return answers


def check(line, answer, want):
    assert want is not None, (line, answer)
    threshold, h = want
    assert answer.startswith("ok "), (line, answer)
    got, sides = unpack(bytes.fromhex(answer[3:]))
    assert (got.schema, got.zero, got.count, bits(got.sum)) == (h.schema, h.zero, h.count, bits(h.sum)), (line, got, h)
    assert log2(got.threshold) == threshold, (line, got.threshold, threshold)
    assert [(s, c) for s, c in sides] == [layout(side) for side in h.sides], (line, sides, h)


def as_histogram(answer):
    """A result, for the next operation."""
    return unpack_filled(bytes.fromhex(answer[3:]))


def pairs(rng, n):
    for _ in range(n):
        x = random_histogram(rng)
        y = grown(x, rng) if rng.random() < 0.5 and not is_stale(x) else random_histogram(rng)
        yield x, y


def test_results_are_those_of_plain_arithmetic():
    """Sums, and sums of sums: thresholds that were moved to a bucket's edge come back as operands."""
    rng, seen = random.Random(1), {"lowered": 0, "moved": 0, "too many": 0}
    todo = list(pairs(rng, 1500))
    for _ in range(3):
        caps = [rng.choice([20, 133, 160, 160, 400]) for _ in todo]
        lines = [f"add {cap} {pack(x, rng).hex()} {pack(y, rng).hex()}" for cap, (x, y) in zip(caps, todo)]
        results = []
        for line, answer, cap, (x, y) in zip(lines, run(lines), caps, todo):
            want = add(x, y, cap)
            if want is None:
                assert cap < 133 and answer == f"error histogram: more than {cap} buckets a side at schema -4", (line, answer)
                seen["too many"] += 1
                continue
            check(line, answer, want)
            results.append(as_histogram(answer))
            if not is_stale(x) and not is_stale(y):
                seen["lowered"] += want[1].schema < min(x.schema, y.schema)
                seen["moved"] += want[0] > max(log2(x.threshold), log2(y.threshold))
        todo = [(x, grown(x, rng) if rng.random() < 0.3 and not is_stale(x) else rng.choice(results)) for x in results]
        todo = [(x, y) for x, y in todo if x.count + y.count < 2**63]
    assert all(n > 20 for n in seen.values()), seen


def test_increases_and_resets_are_those_of_plain_arithmetic():
    rng, seen = random.Random(2), {"reset": 0, "increase": 0, "lowered": 0, "widened": 0}
    cases = []
    for x, y in pairs(rng, 2500):
        now, before = (y, x)
        if rng.random() < 0.5 and not is_stale(now):      # the series' producer lowered its schema, or widened its zero bucket
            schema = rng.randint(LOWEST, now.schema)
            wider = Histogram(schema, max(now.threshold, rng.choice([0.0, 2.0**rng.randint(-6, 2)])))
            threshold, moved = combine(now, wider, 1, 10**9)
            if threshold == log2(wider.threshold):
                seen["lowered"] += schema < before.schema
                seen["widened"] += wider.threshold > before.threshold
                now = finished(replace(moved, threshold=wider.threshold), rng)
        cases.append((now, before))
    lines = [f"reset {pack(now, rng).hex()} {pack(before, rng).hex()}" for now, before in cases]
    lines += [line.replace("reset", "subtract 160") for line in lines]
    answers = run(lines)
    for i, (now, before) in enumerate(cases):
        want_reset = is_reset(now, before)
        assert answers[i] == ("yes" if want_reset else "no"), (lines[i], now, before)
        answer = answers[len(cases) + i]
        if is_stale(now) or is_stale(before):
            assert answer == "error histogram: a stale marker has no increase"
        elif want_reset:
            assert answer in ("error histogram: a bucket falls", "error histogram: the count falls"), (lines[i], answer)
            seen["reset"] += 1
        else:
            check(lines[i], answer, combine(now, before, -1, 160))
            seen["increase"] += 1
    assert all(n > 200 for n in seen.values()), seen


def test_downscaling_is_that_of_plain_arithmetic():
    rng, lowered = random.Random(3), 0
    cases = [(random_histogram(rng), rng.randint(LOWEST, HIGHEST), rng.choice([133, 160, 400])) for _ in range(1500)]
    lines = [f"downscale {schema} {cap} {pack(h, rng).hex()}" for h, schema, cap in cases]
    for line, answer, (h, schema, cap) in zip(lines, run(lines), cases):
        if is_stale(h):
            check(line, answer, (NOWHERE, Histogram(sum=STALE)))
        else:
            nothing = Histogram(HIGHEST, h.threshold)
            check(line, answer, combine(h, nothing, 1, cap, schema))
            lowered += schema < h.schema
    assert lowered > 300


def test_classic_results_are_those_of_plain_arithmetic():
    rng, seen = random.Random(4), {"ok": 0, "yes": 0, "no": 0, "error": 0}

    def packed(h):
        flags, total, count, counts = h
        return (bytes([flags]) + struct.pack("<d", total) + varint(count) + b"".join(map(varint, counts))).hex()

    for n_bounds in (0, 3, 11):
        cases, lines = [], []
        for _ in range(400):
            counts = [rng.randrange(1000) for _ in range(n_bounds + 1)]
            before = (rng.choice([1, 1, 1, 0, 2]), random_sum(rng), sum(counts), counts)
            more = [c + rng.choice([0, 1, 9] + [-1] * (rng.random() < 0.1)) for c in counts]
            more = [max(0, c) for c in more]
            now = (rng.choice([1, 1, 1, 0, 3]), random_sum(rng), sum(more), more)
            cases.append((now, before))
            lines += [f"classic-{verb} {n_bounds} {packed(now)} {packed(before)}" for verb in ("add", "subtract", "reset")]
        answers = run(lines)
        for i, ((f, s, c, n), (g, t, d, m)) in enumerate(cases):
            for verb, answer in zip(("add", "subtract", "reset"), answers[3 * i:]):
                seen[answer.split()[0]] += 1
                stale = (f | g) & 2
                reset = not stale and (c < d or any(a < b for a, b in zip(n, m)))
                if verb == "reset":
                    assert answer == ("yes" if reset else "no"), lines[3 * i + 2]
                elif verb == "subtract" and (stale or reset):
                    assert answer == "error histogram: a " + ("stale marker has no increase" if stale else "bucket falls")
                else:
                    sign = 1 if verb == "add" else -1
                    both = f & g & 1
                    want = (both, one_nan(s + sign * t) if both else 0.0, c + sign * d, [a + sign * b for a, b in zip(n, m)])
                    if stale:
                        h = (g, t, d, m) if f & 2 else (f, s, c, n)
                        want = (h[0], one_nan(h[1]) if h[0] & 1 else 0.0, h[2], h[3])
                    assert answer == "ok " + packed(want), (lines[3 * i], answer, packed(want))
    assert all(n > 50 for n in seen.values()), seen
