"""What sluice-amp must make of rollups' rows in a Prometheus, worked out from the rows as they lie in Kafka."""
import json
import math

import requests

from tests.flow import prometheus, rollup_check

WINDOWS = {60_000: "1m", 300_000: "5m", 3_600_000: "1h"}


def rows_of(stack, topics=rollup_check.ROLLUPS):
    return [r.row for topic in topics for own in rollup_check.records_of(stack, topic).values() for r in own
            if r.row and not r.row.is_amend]


def _points(series, c, suffix):
    """[(name, further labels, value)]"""
    name = series.metric
    if series.kind == "gauge":
        return [(f"{name}{suffix}{column}", {}, value) for column, value in
                (("", c.last), (":min", c.min), (":max", c.max))] if c.count else []
    if series.kind == "counter":
        return [(name + suffix, {}, c.total)]
    if series.kind == "exponential_histogram":
        filled = sum(n for side in c.total.sides for n in side.values())
        return [(name + suffix, {}, (c.total.count, c.total.sum, filled + c.total.zero))]
    so_far, points = 0, []
    for bound, n in zip((*series.bounds, math.inf), c.total.counts):
        so_far += n
        points.append((f"{name}_bucket{suffix}", {"le": "+Inf" if bound == math.inf else f"{bound:g}"}, so_far))
    return points + [(f"{name}_sum{suffix}", {}, c.total.sum), (f"{name}_count{suffix}", {}, c.total.count)]


def expected(rows, plain=False):
    """{labels: {time: value}}, and {labels: times of stale markers}. plain: with the label `tenant`, too, which keeps them
    apart in one store."""
    want, stale = {}, {}
    for row in rows:
        suffix = "" if plain else f":{WINDOWS[row.window_ms]}"
        for series, c in row.series.items():
            own = dict(zip(series.labels[::2], series.labels[1::2]))
            if plain:
                own["tenant"] = row.stream.tenant
            for name, more, value in _points(series, c, suffix):
                key = frozenset({**own, **more, "__name__": name}.items())
                want.setdefault(key, {})[row.end_ms] = value
                if c.ended:
                    stale.setdefault(key, []).append(row.end_ms + 1)
    return want, stale


def _plain(value):
    if not isinstance(value, dict):
        return value
    return float(value["count"]), float(value["sum"]), sum(prometheus.buckets(value).values())


def stored(url, end_ms, plain):
    selector = f'{{__name__=~".+",tenant{"!" if plain else ""}=""}}'
    found = prometheus.series(url, selector, end_ms / 1000 + 60, 7200)
    return {key: {t: _plain(v) for t, v in points} for key, points in found.items()}


def problems(url, rows, plain=False):
    """What differs, in words."""
    want, stale = expected(rows, plain)
    have = stored(url, max(r.end_ms for r in rows), plain)
    out = [f"{sorted(key)} should not be there" for key in have.keys() - want.keys()]
    for key, points in want.items():
        if have.get(key) != points:
            out.append(f"{sorted(key)}: wanted {points}, is {have.get(key)}")
    for key, times in stale.items():
        out += [f"{sorted(key)} lives on at {t}" for t in times if t - 1 not in have.get(key, {}) or lives(url, key, t)]
    return out


def lives(url, key, t_ms):
    """Does an instant query see the series?"""
    labels = dict(key)
    promql = "{" + ",".join(f"{k}={json.dumps(v)}" for k, v in labels.items()) + "}"
    answer = requests.post(f"{url}/api/v1/query", data={"query": promql, "time": t_ms / 1000}, timeout=60)
    answer.raise_for_status()
    return answer.json()["data"]["result"] != []
