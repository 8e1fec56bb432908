"""Reads raw samples back from Prometheus."""
import requests


def series(url, selector, at_s, range_s=3600):
    """{labels as a frozenset: [(t_ms, value or histogram)]}: exact raw samples, by a range selector."""
    answer = requests.post(f"{url}/api/v1/query", data={"query": f"{selector}[{range_s}s]", "time": at_s}, timeout=60)
    answer.raise_for_status()
    found = {}
    for row in answer.json()["data"]["result"]:
        points = [(round(t * 1000), float(v)) for t, v in row.get("values", [])]
        points += [(round(t * 1000), h) for t, h in row.get("histograms", [])]
        found[frozenset(row["metric"].items())] = sorted(points, key=lambda p: p[0])
    return found


def buckets(histogram):
    """{(lower, upper): count} from Prometheus's JSON form [boundary rule, lower, upper, count]."""
    return {(float(low), float(high)): float(count) for _, low, high, count in histogram.get("buckets", [])}


def close(a, b):
    return abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b))


def same_buckets(a, b):
    """Equal counts in equal buckets; boundaries are compared with rounding in mind."""
    left, right = sorted(a.items()), sorted(b.items())
    return len(left) == len(right) and all(
        close(x[0][0], y[0][0]) and close(x[0][1], y[0][1]) and x[1] == y[1] for x, y in zip(left, right))
