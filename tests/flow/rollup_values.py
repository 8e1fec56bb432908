"""What a rollup row says of one series, from all of its samples in the window (design/rollup, Semantics): plain code of
the oracle's, one function a kind. When windows close is rollup_oracle.py's.

The order of floating-point operations is the contract by which the worker's doubles are these doubles:
  counter    delta := 0.0; for each sample by time: delta += value - last, or delta += value after a reset or a birth;
             delta += the late amounts' sum (themselves summed from 0.0 in the order they came);
             then total := total + delta, once a row.
  gauge      sum := 0.0; for each sample by time: sum += value, unless infinite.
  histogram  the same as a counter, with histogram_math's add and subtract; nothing + x is x in its one form.
  5 m, 1 h   delta, late, sum := the first row's; then += the next row's, by time; total and last are the last row's.
A late amend is the sum of its window's late values from 0.0 in the order they came."""
import dataclasses
import math
from collections import namedtuple
from dataclasses import dataclass

from tests.flow import histograms

MAX_BUCKETS = 160
NEVER = -10**15

Series = namedtuple("Series", "metric kind temporality unit labels bounds", defaults=("cumulative", "", (), ()))
# value: float, Histogram or Classic; None is a stale marker. start_ms: 0 is unknown.
Sample = namedtuple("Sample", "ts start value", defaults=(0, None))
Classic = namedtuple("Classic", "count counts sum has_sum", defaults=(0.0, True))
State = namedtuple("State", "total last last_ts at_ms")


@dataclass(frozen=True)
class Increase:
    """Counters and histograms. late: how much of delta came too late for its own window. count: samples in the window,
    what was late aside. last: None when there is none; of temporality delta, this window's alone (histograms: none)."""
    total: object
    delta: object
    late: object = None
    last: object = None
    last_ts: int = None
    count: int = 0
    ended: bool = False


@dataclass(frozen=True)
class Gauge:
    sum: float = 0.0
    count: int = 0
    min: float = None
    max: float = None
    last: float = None
    last_ts: int = None
    ended: bool = False


class Scalars:
    """Numbers as counters have them."""

    def __init__(self, series, rules):
        self.rules = rules

    def nothing(self, like=None):
        return 0.0

    def plus(self, x, y):
        return x + y

    def minus(self, now, before):
        return now - before

    def is_reset(self, now, before):
        return now < before and self.rules.has("reset_by_fall")

    def settled(self, total, delta):
        return total, delta


class Exponentials:
    def __init__(self, series, rules):
        self.rules = rules
        self.max_buckets = MAX_BUCKETS if rules.has("at_most_160_buckets") else 10**9

    def nothing(self, like=None):
        """No observations, in the resolution of one that is the baseline."""
        return histograms.Histogram(like.schema, like.threshold) if like else histograms.Histogram(histograms.HIGHEST)

    def plus(self, x, y):
        return histograms.plus(x, y, self.max_buckets)

    def minus(self, now, before):
        return histograms.minus(now, before, self.max_buckets)

    def is_reset(self, now, before):
        if not self.rules.has("reset_by_any_bucket"):
            return now.count < before.count
        return histograms.is_reset(now, before)

    def settled(self, total, delta):
        """The delta at the total's schema: one schema a row."""
        if not self.rules.has("one_schema_a_row"):
            return total, delta
        return total, histograms.plus(delta, self.nothing(), self.max_buckets, total.schema)


class Classics:
    def __init__(self, series, rules):
        self.rules, self.n_counts = rules, len(series.bounds) + 1

    def nothing(self, like=None):
        return Classic(0, (0,) * self.n_counts, 0.0, like.has_sum if like else True)

    def plus(self, x, y):
        return self._both(x, y, 1)

    def minus(self, now, before):
        return self._both(now, before, -1)

    def is_reset(self, now, before):
        return now.count < before.count or self.rules.has("reset_by_any_bucket") and any(
            n < b for n, b in zip(now.counts, before.counts))

    def settled(self, total, delta):
        return total, delta

    @staticmethod
    def _both(x, y, sign):
        has_sum = x.has_sum and y.has_sum
        return Classic(x.count + sign * y.count, tuple(a + sign * b for a, b in zip(x.counts, y.counts)),
                       histograms.one_nan(x.sum + sign * y.sum) if has_sum else 0.0, has_sum)


NUMBERS = {"counter": Scalars, "exponential_histogram": Exponentials, "classic_histogram": Classics}


def is_foldable(series):
    return series.temporality == "delta" and series.kind != "gauge"


def is_sample(series, value, rules):
    """NaN is no sample, and neither is a counter's infinity: there is no increase from or to it."""
    if value is None or not isinstance(value, float):
        return True
    if math.isnan(value):
        return not rules.has("nan_is_skipped")
    return math.isfinite(value) or series.kind == "gauge" or not rules.has("infinite_counter_is_skipped")


# ---- one window's row


def increase_row(series, samples, late, state, at_ms, rules):
    """samples: by time. late: values, in the order they came. state: of the series' last row, or None."""
    numbers, is_delta = NUMBERS[series.kind](series, rules), series.temporality == "delta"
    last, last_ts = (state.last, state.last_ts) if state and not is_delta else (None, None)
    delta, ended, count = None, False, 0
    for s in samples:
        if s.value is None:
            ended = rules.has("stale_marker_ends")
            if not rules.has("stale_marker_keeps_state"):
                last = None
            continue
        count += 1
        piece = s.value if is_delta else _piece(numbers, s, last, last_ts, at_ms, rules)
        delta = numbers.plus(numbers.nothing() if delta is None else delta, piece)
        last, last_ts, ended = s.value, s.ts, False
    folded = None
    for value in late:
        folded = numbers.plus(numbers.nothing() if folded is None else folded, value)
    if folded is not None:
        delta = numbers.plus(numbers.nothing() if delta is None else delta, folded)
    if delta is None:
        delta = numbers.nothing()
    total = numbers.plus(state.total if state else numbers.nothing(), delta)
    total, delta = numbers.settled(total, delta)
    if is_delta and series.kind != "counter":
        last = None                                          # it has been counted, and nothing is taken from it
    return Increase(total, delta, folded, last, last_ts, count, ended)


def _piece(numbers, s, last, last_ts, at_ms, rules):
    """What one cumulative sample adds."""
    if last is None:
        is_recent = s.start >= at_ms - rules.horizon_ms or s.start > 0 and not rules.has("born_within_the_horizon")
        is_born = is_recent and rules.has("born_counts_whole") or not rules.has("first_is_baseline")
        return s.value if is_born else numbers.nothing(s.value)
    is_reset = s.start > last_ts and rules.has("reset_by_start") or numbers.is_reset(s.value, last)
    return s.value if is_reset else numbers.minus(s.value, last)


def gauge_row(samples, rules):
    g = Gauge()
    for s in samples:
        if s.value is None:
            g = dataclasses.replace(g, ended=rules.has("stale_marker_ends"))
            continue
        g = Gauge(_sum(g.sum, s.value, rules), g.count + 1, *_range(g, s.value), s.value, s.ts, False)
    return g


def _sum(total, value, rules):
    return total if math.isinf(value) and rules.has("infinity_stays_out_of_sum") else total + value


def _range(g, value):
    return (value, value) if g.min is None else (min(g.min, value), max(g.max, value))


def late_amounts(late, rules):
    """[(window end, series, value)] in the order they came → {(end, series): (samples, amount) or Gauge without last}"""
    amends = {}
    for end, series, value in late:
        before = amends.get((end, series))
        if series.kind == "gauge":
            g = before or Gauge()
            amends[end, series] = Gauge(_sum(g.sum, value, rules), g.count + 1, *_range(g, value))
        else:
            numbers = NUMBERS[series.kind](series, rules)
            n, amount = before or (0, numbers.nothing())
            amends[end, series] = (n + 1, numbers.plus(amount, value))
    return amends


# ---- rows of rows


def merged(series, rows, rules):
    """Of one series, its rows of the shorter windows by time."""
    out = rows[0]
    for row in rows[1:]:
        out = _merged_gauge(out, row) if series.kind == "gauge" else _merged_increase(series, out, row, rules)
    if series.kind == "gauge":
        return out
    total, delta = NUMBERS[series.kind](series, rules).settled(out.total, out.delta)
    return dataclasses.replace(out, total=total, delta=delta)


def with_late(series, row, late, rules):
    """An hour's row, if there is one, and the rows (merged) that came too late for an hour before: all their increase is
    late. Of the hour itself they say nothing: no sample, no end, and of temporality delta no last."""
    numbers = NUMBERS[series.kind](series, rules)
    if row is None:
        last, last_ts = (None, None) if series.temporality == "delta" else (late.last, late.last_ts)
        return Increase(late.total, late.delta, late.delta, last, last_ts)
    total, delta = numbers.settled(row.total, numbers.plus(row.delta, late.delta))
    return dataclasses.replace(row, total=total, delta=delta,
                               late=late.delta if row.late is None else numbers.plus(row.late, late.delta))


def _merged_gauge(a, b):
    if b.count == 0:
        return dataclasses.replace(a, ended=b.ended or a.ended)
    if a.count == 0:
        return b
    return Gauge(a.sum + b.sum, a.count + b.count, min(a.min, b.min), max(a.max, b.max), b.last, b.last_ts, b.ended)


def _merged_increase(series, a, b, rules):
    numbers = NUMBERS[series.kind](series, rules)
    late = a.late if b.late is None else b.late if a.late is None else numbers.plus(a.late, b.late)
    last = a if b.last_ts is None else b                     # of temporality delta: b has no sample
    return Increase(b.total, numbers.plus(a.delta, b.delta), late, last.last, last.last_ts, a.count + b.count,
                    b.ended or a.ended and b.count == 0)
