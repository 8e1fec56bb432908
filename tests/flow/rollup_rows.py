"""Rollup rows compared: with the oracle's, column by column and bit by bit, and the resolutions with each other."""
from tests.flow import histograms
from tests.flow.rollup_values import Classic, Gauge, Increase, Series


# ---- comparison


def plain(value):
    """A form in which equal means the same bits; thresholds by their logarithms."""
    if isinstance(value, float):
        return histograms.bits(value)
    if isinstance(value, histograms.Histogram):
        h = value
        return ("histogram", h.schema, histograms.log2(h.threshold), h.zero, h.count, histograms.bits(h.sum),
                tuple(tuple(sorted(side.items())) for side in histograms.filled(h.sides)))
    if isinstance(value, Classic):
        return ("classic", value.count, value.counts, histograms.bits(value.sum), value.has_sum)
    if isinstance(value, (Increase, Gauge)):
        return {name: plain(v) for name, v in vars(value).items()}
    return tuple(plain(v) for v in value) if isinstance(value, tuple) and not isinstance(value, Series) else value


def differences(want, got, limit=5):
    """What is wrong, in words: rows of one partition, of one window length or several; streams' rows in their order."""
    problems, left = [], {}
    for row in got:
        left.setdefault((row.stream, row.window_ms), []).append(row)
    for key in {(r.stream, r.window_ms) for r in want} | left.keys():
        wanted, found = [r for r in want if (r.stream, r.window_ms) == key], left.get(key, [])
        for w, g in zip(wanted, found):
            wrong = _difference(w, g)
            if wrong:
                problems.append(f"{key} {wrong}")
                break                     # what follows is compared with the wrong ones
        else:
            problems += [f"{key} row {r.place()} is missing" for r in wanted[len(found):]]
            problems += [f"{key} row {r.place()} should not be there" for r in found[len(wanted):]]
    return problems[:limit] + ([f"and {len(problems) - limit} more"] if len(problems) > limit else [])


def _difference(want, got):
    for name in ("end_ms", "closed_at", "at_ms", "is_amend"):
        if getattr(want, name) != getattr(got, name):
            return (f"{name} of {got.place()}: {getattr(want, name)} wanted, is {getattr(got, name)}; "
                    f"wanted row {want.place()}")
    for name in ("series", "amends"):
        a, b = getattr(want, name), getattr(got, name)
        if a.keys() != b.keys():
            return (f"{name} of {got.place()}: missing {sorted(a.keys() - b.keys())}, "
                    f"too many {sorted(b.keys() - a.keys())}")
        for key, columns in a.items():
            if plain(columns) != plain(b[key]):
                return f"{got.place()} {name} {key}:\n  wanted {columns}\n  is     {b[key]}"
    return None


# ---- what holds between the resolutions, whoever wrote the rows


def resolution_problems(rows):
    """5 m rows against their 1 m rows and 1 h rows against their 5 m rows: the last total, the sum of counts, of deltas as
    far as floating-point numbers can tell, the range. Late rows of an hour are left to the oracle."""
    problems = []
    for short_ms, long_ms in ((60_000, 300_000), (300_000, 3_600_000)):
        short, long = {}, {}
        for r in rows:
            if not r.is_amend and r.window_ms in (short_ms, long_ms):
                at = (r.stream, (r.end_ms - 1) // long_ms)
                (short.setdefault(at, []) if r.window_ms == short_ms else long.setdefault(at, [])).append(r)
        for at, parts in short.items():
            whole = long.get(at, [])
            last_end = max(r.end_ms for key, own in short.items() if key[0] == at[0] for r in own)
            if len(whole) > 1 or not whole and short_ms == 60_000 and last_end >= (at[1] + 1) * long_ms:
                problems.append(f"{at}: {len(whole)} rows of {long_ms} ms")
            elif whole:
                parts.sort(key=lambda r: r.end_ms)
                problems += [f"{at} {long_ms} {p}" for p in _whole_problems(whole[0], parts)]
        if short_ms == 60_000:
            problems += [f"{at}: a row of {long_ms} ms of nothing" for at in long.keys() - short.keys()]
    return problems


def _whole_problems(whole, parts):
    """A part of the very log time at which the hour closed may have come before or after that."""
    variants = [[p for p in parts if p.at_ms <= whole.at_ms], [p for p in parts if p.at_ms < whole.at_ms]]
    found = [[*_parts_problems(whole, v)] for v in variants[:2 if whole.window_ms == 3_600_000 else 1]]
    return min(found, key=len)


def _parts_problems(whole, parts):
    of = {}
    for part in parts:
        for series, c in part.series.items():
            of.setdefault(series, []).append(c)
    if missing := of.keys() - whole.series.keys():
        yield f"{sorted(missing)} are missing"
    for series, columns in of.items():
        c = whole.series.get(series)
        if c is None:
            continue
        if c.count != sum(x.count for x in columns):
            yield f"{series}: the count is {c.count}"
        if series.kind == "gauge":
            filled = [x for x in columns if x.count]
            if filled and (c.min, c.max) != (min(x.min for x in filled), max(x.max for x in filled)):
                yield f"{series}: the range is {c.min} to {c.max}"
            continue
        if plain(c.total) != plain(columns[-1].total):
            yield f"{series}: total is {c.total}, of the last part {columns[-1].total}"
        late = _number(series, c.late) if whole.window_ms == 3_600_000 and c.late is not None else 0
        want = sum(_number(series, x.delta) for x in columns)
        if abs(_number(series, c.delta) - want) > 1e-9 * (abs(want) + 1) and not late:
            yield f"{series}: delta is {c.delta}, of the parts {want}"


def _number(series, amount):
    return amount if series.kind == "counter" else amount.count
