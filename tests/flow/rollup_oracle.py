"""What sluice-rollup must write, worked out from the whole log of a partition by code of its own (design/rollup.md).

The worker goes record by record over all streams. Here each stream is looked at alone: log time is a list, a deadline is
a search in it, and a row's values come from all its samples at once (rollup_values.py). No stream is forgotten here: with
the bound that the design sets, a stream that comes back has no window that was closed before, so forgetting must not show.

    rows(entries)            1 m and 5 m rows, amends and heartbeats from the records of metrics.admitted
    hour_rows(entries)       1 h rows from those of metrics.rollup.5m

Times are milliseconds. Each rule can be left out by its name (RULES), to show that the tests see it."""
import bisect
from collections import defaultdict, namedtuple
from dataclasses import dataclass, field

from tests.flow.rollup_values import (
    NEVER, Gauge, Increase, Sample, State, gauge_row, increase_row, is_foldable, is_sample, late_amounts, merged,
    with_late)

RULES = frozenset("""
    lateness idle_closes standing_clock_closes five_minutes_deadline deadlines_come_first closed_at_before_the_record
    log_time_never_falls too_old_is_dropped old_state_is_unknown half_open_windows
    class_is_its_own_stream later_offset_wins nan_is_skipped infinite_counter_is_skipped infinity_stays_out_of_sum
    late_cumulative_is_dropped late_delta_is_folded late_row_is_folded late_gauge_is_amended amend_leaves_alone
    amend_is_state first_is_baseline born_counts_whole born_within_the_horizon reset_by_start reset_by_fall reset_by_any_bucket
    stale_marker_ends stale_marker_keeps_state one_schema_a_row at_most_160_buckets heartbeats_are_log_time
""".split())

# One record of the input. stream: None for a heartbeat. points: [(series, Sample)]; in the hours a sample's value is the
# columns of a 5 m row, and its time the last millisecond of that row's window. log_ms: received_ms; in the hours Kafka's
# timestamp.
Stream = namedtuple("Stream", "tenant source class_")
Entry = namedtuple("Entry", "offset log_ms stream points", defaults=(None, ()))


@dataclass(frozen=True)
class Rules:
    window_ms: int = 60_000
    long_ms: int = 300_000           # None: no rows of rows come of these
    lateness_ms: int = 15_000
    idle_ms: int = 120_000
    horizon_ms: int = 7_200_000
    without: str = None

    def has(self, rule):
        assert rule in RULES, rule
        return rule != self.without

    @property
    def max_open_ms(self):
        return self.window_ms + self.lateness_ms + self.idle_ms

    @property
    def max_open_long_ms(self):
        return self.long_ms + self.lateness_ms + self.idle_ms


MINUTES = Rules()
HOURS = Rules(window_ms=3_600_000, long_ms=None, idle_ms=900_000, horizon_ms=21_600_000)


@dataclass
class Row:
    """window_ms: of the resolution. amends: {(window end, series): (samples, amount) or Gauge}; is_amend: a record for
    these alone."""
    stream: Stream
    window_ms: int
    end_ms: int
    closed_at: int
    at_ms: int                       # log time when it closed: the Kafka timestamp
    series: dict
    amends: dict = field(default_factory=dict)
    is_amend: bool = False

    def place(self):
        return (self.stream, self.window_ms, self.end_ms, self.closed_at, self.is_amend)


class LogTime:
    """The running maximum of received_ms (hours: of the rows' timestamps) over a partition's records."""

    def __init__(self, entries, rules):
        self.times = []
        for e in entries:
            before = self.times[-1] if self.times else NEVER
            if e.stream is None and not rules.has("heartbeats_are_log_time"):
                self.times.append(before)
            else:
                self.times.append(max(before, e.log_ms) if rules.has("log_time_never_falls") else e.log_ms)

    def first_beyond(self, deadline, at_least):
        """Index of the first record from at_least on at whose log time the deadline has passed."""
        return bisect.bisect_right(self.times, deadline, lo=at_least)


# ---- when windows close


@dataclass
class Closing:
    """A record that leaves. samples: {series: {ts: Sample}}. late: [(window end, series, value)]."""
    end_ms: int
    closed_at: int
    at_ms: int
    samples: dict
    late: list
    is_amend: bool = False


class Closings:
    """One stream's closings in order. own: [(index in the partition, entry)]."""

    def __init__(self, own, entries, log_time, rules):
        self.rules, self.entries, self.log_time = rules, entries, log_time
        self.found = []
        self.closed_end = self.watermark = self.spoke_ms = NEVER
        self.open = {}               # window end: (log time of its first record, {series: {ts: Sample}})
        self.late, self.late_since = [], None
        self.long_since = {}         # 5 m window that has 1 m rows and no row yet: log time of the first
        for index, entry in own:
            if rules.has("deadlines_come_first"):
                self._deadlines_before(index)
                self._take(index, entry)
            else:
                self._deadlines_before(index - 1)
                self._take(index, entry)
                self._deadlines_before(index)
        self._deadlines_before(len(entries) - 1)

    # deadlines

    def _next_deadline(self):
        r, due = self.rules, []
        if self.open and r.has("idle_closes"):
            due.append(self.spoke_ms + r.idle_ms)
        if r.has("standing_clock_closes"):
            due += [since + r.max_open_ms for since, _ in self.open.values()]
        if self.late and r.has("amend_leaves_alone"):
            due.append(self.late_since + r.max_open_ms)
        if r.long_ms and r.has("five_minutes_deadline"):
            due += [since + r.max_open_long_ms for since in self.long_since.values()]
        return min(due, default=None)

    def _deadlines_before(self, index):
        """All that passed until the record at index (it included) came, in the order of passing."""
        at_least = 0
        while (deadline := self._next_deadline()) is not None:
            passed = self.log_time.first_beyond(deadline, at_least)
            if passed > index:
                return
            at_least = passed
            self._pass(passed)

    def _pass(self, index):
        r, now = self.rules, self.log_time.times[index]
        before = self.entries[index].offset - r.has("closed_at_before_the_record")
        if r.has("idle_closes") and self.open and now - self.spoke_ms > r.idle_ms:
            self._close_all(max(self.open), before, now)
        if r.has("standing_clock_closes"):
            overdue = [end for end, (since, _) in self.open.items() if now - since > r.max_open_ms]
            self._close_all(max(overdue, default=NEVER), before, now)
        if r.has("amend_leaves_alone") and self.late and now - self.late_since > r.max_open_ms:
            self._leave(Closing(self.closed_end, before, now, {}, self.late, is_amend=True))
        if r.long_ms and r.has("five_minutes_deadline"):
            overdue = [end for end, since in self.long_since.items() if now - since > r.max_open_long_ms]
            self._close_all(max(overdue, default=NEVER), before, now)
            if overdue and self.closed_end < max(overdue):
                self._close(max(overdue), before, now)       # a row without samples, so that closed_at is known

    # closing

    def _close_all(self, until_ms, closed_at, now):
        for end in sorted(end for end in self.open if end <= until_ms):
            self._close(end, closed_at, now)

    def _close(self, end, closed_at, now):
        _, samples = self.open.pop(end, (None, {}))
        self.closed_end = end
        if self.rules.long_ms:
            self.long_since.setdefault(window_end(end - 1, self.rules.long_ms), now)
            self.long_since = {e: since for e, since in self.long_since.items() if e > end}
        self._leave(Closing(end, closed_at, now, samples, self.late))

    def _leave(self, closing):
        self.late, self.late_since = [], None
        self.found.append(closing)

    # samples

    def _take(self, index, entry):
        r, now = self.rules, self.log_time.times[index]
        self.spoke_ms = now
        for series, sample in entry.points:
            if is_sample(series, sample.value, r):
                self._take_sample(series, sample, now)
        self._close_all(self.watermark, entry.offset, now)

    def _take_sample(self, series, sample, now):
        r, ts = self.rules, sample.ts
        end = window_end(ts, r.window_ms) if r.has("half_open_windows") else window_end(ts - 1, r.window_ms)
        if ts < now - r.horizon_ms and r.has("too_old_is_dropped"):
            return
        if end <= self.closed_end:
            self._take_late(end, series, sample, now)
            return
        _, samples = self.open.setdefault(end, (now, {}))
        points = samples.setdefault(series, {})
        if ts not in points or r.has("later_offset_wins"):
            points[ts] = sample
        self.watermark = max(self.watermark, ts - (r.lateness_ms if r.has("lateness") else 0))

    def _take_late(self, end, series, sample, now):
        """A stale marker that comes late says nothing any more."""
        if sample.value is not None and self._counts_late(series, sample.value):
            self.late.append((end, series, sample.value))
            self.late_since = now if self.late_since is None else self.late_since

    def _counts_late(self, series, value):
        r = self.rules
        if isinstance(value, (Increase, Gauge)):             # a row, in the hours
            return series.kind != "gauge" and r.has("late_row_is_folded")
        if series.kind == "gauge":
            return r.has("late_gauge_is_amended")
        return r.has("late_delta_is_folded") if is_foldable(series) else not r.has("late_cumulative_is_dropped")


def window_end(ts, window_ms):
    """Of the window [end - window, end) that ts lies in."""
    return ts // window_ms * window_ms + window_ms


# ---- what rows say


def _stream_rows(stream, closings, rules):
    """1 m rows and amends of one stream."""
    states, rows = {}, []
    for c in closings:
        late = defaultdict(list)
        for _, series, value in c.late:
            if series.kind != "gauge":
                late[series].append(value)
        columns = {}
        for series in c.samples.keys() | late.keys():
            samples = [s for _, s in sorted(c.samples.get(series, {}).items())]
            if series.kind == "gauge":
                columns[series] = gauge_row(samples, rules)
                continue
            state = states.get(series)
            if state and c.at_ms - state.at_ms > rules.horizon_ms and rules.has("old_state_is_unknown"):
                state = None
            row = columns[series] = increase_row(series, samples, late[series], state, c.at_ms, rules)
            if not c.is_amend or rules.has("amend_is_state"):
                states[series] = State(row.total, row.last, row.last_ts, c.at_ms)
        rows.append(Row(stream, rules.window_ms, c.end_ms, c.closed_at, c.at_ms, columns, late_amounts(c.late, rules),
                        c.is_amend))
    return rows


def _long_rows(minutes, rules):
    """The 5 m rows: each of its 1 m rows, closed with the first 1 m row that ends with or behind it."""
    rows, minutes = [], [m for m in minutes if not m.is_amend]
    for end in sorted({window_end(m.end_ms - 1, rules.long_ms) for m in minutes}):
        closing = next((m for m in minutes if m.end_ms >= end), None)
        if closing is not None:
            parts = [m for m in minutes if end - rules.long_ms < m.end_ms <= end]
            rows.append(Row(closing.stream, rules.long_ms, end, closing.closed_at, closing.at_ms, merge(parts, rules)))
    return rows


def merge(parts, rules):
    """The columns of several rows as one."""
    of = defaultdict(list)
    for part in parts:
        for series, columns in part.series.items():
            of[series].append(columns)
    return {series: merged(series, columns, rules) for series, columns in of.items()}


def _streams(entries, rules):
    """{stream: [(index, entry)]}"""
    own = defaultdict(list)
    for index, e in enumerate(entries):
        if e.stream is not None:
            stream = e.stream if rules.has("class_is_its_own_stream") else e.stream._replace(class_="")
            own[stream].append((index, e))
    return own


def rows(entries, rules=MINUTES):
    """entries of one partition in offset order → its 1 m rows, amends and 5 m rows, by stream, then in order of leaving."""
    log_time, out = LogTime(entries, rules), []
    for stream, own in _streams(entries, rules).items():
        minutes = _stream_rows(stream, Closings(own, entries, log_time, rules).found, rules)
        out += minutes + _long_rows(minutes, rules)
    return out


def fives(entries, minute_rows):
    """The .5m partition that these rows make, as the hours' input: with the heartbeats of the input, offsets from 0."""
    log_time = LogTime(entries, MINUTES).times
    found = [(at, e.offset, None, ()) for at, e in zip(log_time, entries) if e.stream is None]
    found += [(r.at_ms, r.closed_at, r.stream, points_of(r)) for r in minute_rows if r.window_ms == MINUTES.long_ms]
    found.sort(key=lambda f: f[:2])
    return [Entry(offset, at, stream, points) for offset, (at, _, stream, points) in enumerate(found)]


def points_of(row):
    return [(series, Sample(row.end_ms - 1, 0, columns)) for series, columns in row.series.items()]


def hour_rows(entries, rules=HOURS):
    """entries of one .5m partition in offset order → its 1 h rows, and amends for late rows that found no row in time."""
    log_time, out = LogTime(entries, rules), []
    for stream, own in _streams(entries, rules).items():
        for c in Closings(own, entries, log_time, rules).found:
            columns = {series: merged(series, [s.value for _, s in sorted(points.items())], rules)
                       for series, points in c.samples.items()}
            late = defaultdict(list)
            for _, series, value in c.late:
                late[series].append(value)
            for series, values in late.items():
                columns[series] = with_late(series, columns.get(series), merged(series, values, rules), rules)
            out.append(Row(stream, rules.window_ms, c.end_ms, c.closed_at, c.at_ms, columns, is_amend=c.is_amend))
    return out
