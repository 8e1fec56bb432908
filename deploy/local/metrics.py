"""Reads a /metrics page: samples by name, and quantiles of its histograms."""
import re

_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Page:
    def __init__(self, text):
        self.samples = {}
        for line in text.splitlines():
            match = _LINE.match(line)
            if match:
                labels = dict(_LABEL.findall(match[2] or ""))
                self.samples.setdefault(match[1], []).append((labels, float(match[3])))

    def total(self, name, **wanted):
        """The sum over all series that carry the wanted labels."""
        return sum(value for labels, value in self.samples.get(name, ())
                   if all(labels.get(k) == v for k, v in wanted.items()))

    def by(self, name, label):
        sums = {}
        for labels, value in self.samples.get(name, ()):
            sums[labels.get(label, "")] = sums.get(labels.get(label, ""), 0) + value
        return sums

    def buckets(self, name):
        """{upper bound: cumulative count} of a histogram, summed over its series."""
        counts = {}
        for labels, value in self.samples.get(f"{name}_bucket", ()):
            bound = float(labels["le"])
            counts[bound] = counts.get(bound, 0) + value
        return counts


def quantile(q, now, before=None):
    """Of what was observed between two readings of buckets(); None when nothing was."""
    counts = [(bound, now[bound] - (before or {}).get(bound, 0)) for bound in sorted(now)]
    if not counts or counts[-1][1] <= 0:
        return None
    rank, low_bound, low_count = q * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= rank and count > low_count:
            if bound == float("inf"):
                return low_bound
            return low_bound + (bound - low_bound) * (rank - low_count) / (count - low_count)
        low_bound, low_count = bound, max(count, low_count)
    return low_bound
