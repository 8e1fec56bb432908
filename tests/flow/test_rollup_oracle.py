"""The rollup's oracle, checked: rows written out by hand from the design's sentences, and that each rule shows on the
generated logs."""
import dataclasses
import math
from fractions import Fraction

import pytest

from tests.flow import rollup_logs, rollup_oracle, rollup_records, rollup_rows
from tests.flow.histograms import Histogram, same
from tests.flow.rollup_oracle import HOURS, MINUTES, Entry, Stream
from tests.flow.rollup_values import Classic, Gauge, Increase, Sample, Series

T0 = 1_789_999_200_000                       # a whole hour
A, B = Stream("demo", 1, "standard"), Stream("demo", 2, "standard")
C, G = Series("hits_total", "counter"), Series("players", "gauge")
D = Series("kills_total", "counter", "delta")
E, DE = Series("latency", "exponential_histogram"), Series("packets", "exponential_histogram", "delta")
K = Series("tick", "classic_histogram", bounds=(1.0, 5.0))
STALE = None


def ms(s):
    return T0 + round(s * 1000)


def entries(*records):
    """records: (log time in s, stream or None, (series, ts in s, value[, start in s])...); offsets from 10 on."""
    out = []
    for i, (log_s, stream, *points) in enumerate(records):
        found = [(series, Sample(ms(ts), ms(start[0]) if start else 0, value)) for series, ts, value, *start in points]
        out.append(Entry(10 + i, ms(log_s), stream, found))
    return out


def rows_of(*records, window_s=60, stream=A):
    found = rollup_oracle.rows(entries(*records))
    return [r for r in found if r.window_ms == window_s * 1000 and r.stream == stream]


def closings(rows):
    """[(end in s, closed_at, log time in s)]"""
    return [((r.end_ms - T0) / 1000, r.closed_at, (r.at_ms - T0) / 1000) for r in rows]


def only(rows, series):
    """That series' columns, row by row."""
    return [r.series[series] for r in rows if series in r.series]


def counter(total, delta, last, last_s, count=1, ended=False, late=None):
    return Increase(total, delta, late, last, None if last_s is None else ms(last_s), count, ended)


def gauge(total, count, low, high, last, last_s, ended=False):
    return Gauge(total, count, low, high, last, None if last_s is None else ms(last_s), ended)


def closer(end_s):
    """The gauge sample whose watermark closes all up to end_s."""
    return (end_s + 15, A, (G, end_s + 15, 0.0))


# ---- when windows close


def test_a_window_is_half_open_and_stamped_at_its_end():
    rows = rows_of((0, A, (G, 0, 1.0)), (60, A, (G, 59.999, 2.0)), (60, A, (G, 60, 4.0)), closer(120))
    assert only(rows, G) == [gauge(3.0, 2, 1.0, 2.0, 2.0, 59.999), gauge(4.0, 1, 4.0, 4.0, 4.0, 60)]
    assert [r.end_ms for r in rows] == [ms(60), ms(120)]


def test_the_watermark_closes_at_the_offset_that_moves_it_and_oldest_first():
    rows = rows_of((0, A, (G, 0, 1.0)), (70, A, (G, 70, 1.0)), (75, A, (G, 74.999, 1.0)), (76, A, (G, 75, 1.0)), (136, A, (G, 135, 1.0)))
    assert closings(rows) == [(60, 13, 76), (120, 14, 136)]
    both = rows_of((0, A, (G, 0, 1.0)), (70, A, (G, 61, 1.0)), (71, A, (G, 200, 1.0)))
    assert closings(both) == [(60, 12, 71), (120, 12, 71)]


def test_a_window_behind_the_watermark_that_had_no_row_yet_is_not_late():
    assert closings(rows_of((0, A, (G, 100, 1.0)), (1, A, (G, 1, 1.0)))) == [(60, 11, 1)]


def test_a_silent_stream_closes_after_120_s_of_log_time_with_the_offset_before():
    still = rows_of((0, A, (G, 0, 1.0)), (120, B, (G, 120, 1.0)))
    assert still == []
    rows = rows_of((0, A, (G, 0, 1.0)), (120, B, (G, 120, 1.0)), (120.001, None))
    assert closings(rows) == [(60, 11, 120.001)]


def test_a_clock_that_stands_closes_after_195_s():
    standing = [(s, A, (G, 5, float(s))) for s in (0, 100, 195)]
    assert rows_of(*standing) == []
    assert closings(rows_of(*standing, (195.001, A, (G, 5, 9.0)))) == [(60, 12, 195.001)]


def test_deadlines_come_before_the_record_at_hand():
    """Its sample, although of the window, is late: the record whose time was the deadline is not in what it closes."""
    rows = rows_of((0, A, (D, 0, 1.0)), (121, A, (D, 1, 2.0)), (500, None))
    assert closings(rows)[0] == (60, 10, 121)
    assert only(rows, D)[0] == counter(1.0, 1.0, 1.0, 0)


def test_log_time_is_the_running_maximum():
    rows = rows_of((0, A, (G, 0, 1.0)), (100, B, (G, 0, 1.0)), (50, B, (G, 0, 1.0)), (121, None))
    assert closings(rows) == [(60, 12, 121)]
    assert closings(rows_of((50, B, (G, 0, 1.0)), (0, A, (G, 0, 1.0)), (170, None))) == []
    assert closings(rows_of((50, B, (G, 0, 1.0)), (0, A, (G, 0, 1.0)), (171, None))) == [(60, 11, 171)]


def test_five_minutes_close_with_the_minute_that_ends_them_or_the_next_behind():
    minutes = [(s, A, (G, s, 1.0)) for s in range(0, 300, 30)]
    assert closings(rows_of(*minutes, closer(300), window_s=300)) == [(300, 20, 315)]
    hole = rows_of((0, A, (G, 0, 1.0)), (20, A, (G, 340, 2.0)), (21, A, (G, 380, 1.0)), window_s=300)
    assert closings(hole) == [(300, 12, 21)]
    assert only(hole, G) == [gauge(1.0, 1, 1.0, 1.0, 1.0, 0)]


def test_five_minutes_that_nothing_ends_close_after_435_s_with_an_empty_minute():
    log = [(0, A, (G, 0, 1.0)), (121, None), (556, None)]
    assert closings(rows_of(*log, window_s=300)) == []
    assert closings(rows_of(*log, (556.001, None), window_s=300)) == [(300, 12, 556.001)]
    minutes = rows_of(*log, (556.001, None))
    assert closings(minutes) == [(60, 10, 121), (300, 12, 556.001)] and minutes[1].series == {}


def test_source_and_class_are_a_stream_and_a_clock_ahead_affects_itself_alone():
    ahead, other = B, A._replace(class_="critical")
    log = [(0, A, (G, 0, 1.0)), (1, ahead, (G, 601, 1.0)), (2, other, (G, 100, 1.0)), (3, A, (G, 3, 1.0)), (4, other, (G, 99, 1.0))]
    assert rows_of(*log) == [] and rows_of(*log, stream=ahead) == [] and rows_of(*log, stream=other) == []
    assert closings(rows_of(*log, (5, ahead, (G, 680, 1.0)), stream=ahead)) == [(660, 15, 5)]
    assert rows_of(*log, (5, ahead, (G, 680, 1.0))) == []


# ---- counters and gauges


def test_a_counter_counts_across_the_windows_left_boundary():
    rows = rows_of((0, A, (C, 10, 100.0)), (1, A, (C, 50, 103.0)), (2, A, (C, 70, 110.0)), closer(60), closer(120))
    assert only(rows, C) == [counter(3.0, 3.0, 103.0, 50, 2), counter(10.0, 7.0, 110.0, 70)]


def test_samples_count_in_order_of_time_not_of_coming():
    rows = rows_of((0, A, (C, 30, 5.0)), (1, A, (C, 10, 1.0)), (2, A, (C, 20, 2.0)), closer(60))
    assert only(rows, C) == [counter(4.0, 4.0, 5.0, 30, 3)]


def test_a_fall_or_a_start_after_the_last_sample_is_a_reset():
    rows = rows_of((0, A, (C, 10, 100.0)), (1, A, (C, 20, 3.0)), (2, A, (C, 30, 50.0, 25)), (3, A, (C, 40, 51.0, 25)), closer(60))
    assert only(rows, C) == [counter(54.0, 54.0, 51.0, 40, 4)]                 # 3, whole; 50, whole; 1
    same_start = rows_of((0, A, (C, 10, 100.0, 5)), (1, A, (C, 20, 103.0, 10)), closer(60))
    assert only(same_start, C)[0].delta == 103.0                               # 100 of birth; the start at the last sample: no reset


def test_the_first_value_counts_if_it_was_born_within_the_horizon():
    def first(start):
        return only(rows_of((0, A, (C, 10, 7.0, start)), closer(60)), C)[0].total

    assert first(-7125) == 7.0 and first(-7125.001) == 0.0                     # log time at the close is 75
    assert only(rows_of((0, A, (C, 10, 7.0)), closer(60)), C) == [counter(0.0, 0.0, 7.0, 10)]


def test_state_older_than_the_horizon_is_unknown_and_total_starts_at_0():
    def back_at(s):
        return only(rows_of((0, A, (C, 10, 7.0)), (1, A, (C, 20, 9.0)), (75, A, (G, 75, 0.0)), (s - 75, A, (C, s - 75, 20.0)),
                            (s, A, (G, s, 0.0))), C)

    assert back_at(75 + 7200) == [counter(2.0, 2.0, 9.0, 20, 2), counter(13.0, 11.0, 20.0, 7200)]
    assert back_at(75 + 7200 + 60)[1] == counter(0.0, 0.0, 20.0, 7260)


def test_samples_older_than_the_horizon_are_nothing():
    assert rows_of((7300, A, (G, 99.999, 1.0)), (7800, None)) == []
    assert closings(rows_of((7300, A, (G, 100, 1.0)), (7800, None))) == [(120, 10, 7800)]


def test_duplicates_by_time_the_later_offset_wins():
    rows = rows_of((0, A, (C, 10, 1.0), (G, 10, 1.0)), (1, A, (C, 20, 5.0), (G, 10, 1.0)), (2, A, (C, 20, 4.0), (G, 10, 7.0)), closer(60))
    assert only(rows, C) == [counter(3.0, 3.0, 4.0, 20, 2)] and only(rows, G)[0] == gauge(7.0, 1, 7.0, 7.0, 7.0, 10)


def test_stale_markers_are_reported_and_keep_the_state():
    rows = rows_of((0, A, (C, 10, 1.0), (G, 10, 2.0)), (1, A, (C, 20, STALE), (G, 20, STALE)), (2, A, (C, 70, STALE), (G, 70, STALE)),
                   (3, A, (C, 130, 5.0), (G, 140, 1.0)), (4, A, (C, 131, STALE), (G, 141, STALE)), (5, A, (C, 132, 6.0)),
                   closer(60), closer(120), closer(180))
    assert only(rows, C) == [counter(0.0, 0.0, 1.0, 10, 1, True), counter(0.0, 0.0, 1.0, 10, 0, True), counter(5.0, 5.0, 6.0, 132, 2)]
    assert only(rows, G)[:2] == [gauge(2.0, 1, 2.0, 2.0, 2.0, 10, True), gauge(0.0, 0, None, None, None, None, True)]
    assert only(rows_of((0, A, (G, 5, STALE)), (500, None)), G) == [gauge(0.0, 0, None, None, None, None, True)]


def test_nan_is_nothing_and_infinity_stays_out_of_sum():
    nan = float("nan")
    rows = rows_of((0, A, (G, 10, math.inf)), (1, A, (G, 20, 1.5)), (2, A, (G, 30, nan)), (3, A, (C, 10, 1.0)), (4, A, (C, 20, nan)),
                   (5, A, (C, 30, math.inf)), (6, A, (C, 40, 4.0)), closer(60))
    assert only(rows, G) == [gauge(1.5, 2, 1.5, math.inf, 1.5, 20)]
    assert only(rows, C) == [counter(3.0, 3.0, 4.0, 40, 2)]
    assert rows_of((0, A, (G, 10, nan)), (1, A, (G, 300, nan)), (500, None)) == []


def test_gauges_sum_in_order_of_time():
    values = [1e16, 1.0, -1e16, 3.0]
    rows = rows_of(*[(i, A, (G, 10 * i, v)) for i, v in reversed([*enumerate(values)])], closer(60))
    assert only(rows, G) == [gauge(((1e16 + 1.0) - 1e16) + 3.0, 4, -1e16, 1e16, 3.0, 30)]


def test_a_rows_increase_is_summed_before_it_joins_the_total():
    steps = [0.0, 0.1, 0.3, 0.7]
    rows = rows_of((0, A, (C, 10, 0.1, -5)), *[(1 + i, A, (C, 60 + 10 * i, 0.1 + v)) for i, v in enumerate(steps)], closer(60), closer(120))
    delta, last = 0.0, 0.1
    for value in (0.1 + v for v in steps):
        delta, last = delta + (value - last), value
    assert only(rows, C)[1].delta == delta and only(rows, C)[1].total == 0.1 + delta


# ---- late


def test_a_late_cumulative_sample_is_in_the_next_boundary():
    rows = rows_of((0, A, (C, 10, 1.0)), closer(60), (76, A, (C, 50, 6.0)), (77, A, (C, 80, 9.0)), closer(120))
    assert only(rows, C) == [counter(0.0, 0.0, 1.0, 10), counter(8.0, 8.0, 9.0, 80)]


def test_late_deltas_join_the_next_row_and_are_listed():
    rows = rows_of((0, A, (D, 10, 1.0)), closer(60), (76, A, (D, 50, 0.1)), (77, A, (D, 40, 0.2), (G, 41, 8.0)), (78, A, (D, 80, 4.0)),
                   closer(120))
    assert only(rows, D) == [counter(1.0, 1.0, 1.0, 10), counter(1.0 + (4.0 + (0.1 + 0.2)), 4.0 + (0.1 + 0.2), 4.0, 80, late=0.1 + 0.2)]
    assert rows[1].amends == {(ms(60), D): (2, 0.1 + 0.2), (ms(60), G): Gauge(8.0, 1, 8.0, 8.0)}
    assert only(rows, G)[0].count == 1


def test_a_row_of_late_amounts_alone_has_no_sample():
    rows = rows_of((0, A, (D, 10, 1.0)), closer(60), (76, A, (D, 50, 2.0)), closer(120))
    assert only(rows, D)[1] == counter(3.0, 2.0, None, None, 0, late=2.0)


def test_late_amounts_that_find_no_row_leave_after_195_s():
    log = [(0, A, (D, 10, 1.0)), (130, None), (140, A, (D, 50, 2.0), (G, 20, 3.0)), (150, A, (D, 55, 4.0))]
    assert len(rows_of(*log, (335, None))) == 1
    row, amend = rows_of(*log, (335.001, None))
    assert amend.is_amend and closings([amend]) == [(60, 13, 335.001)] and amend.series == {D: counter(7.0, 6.0, None, None, 0, late=6.0)}
    assert amend.amends == {(ms(60), D): (2, 6.0), (ms(60), G): Gauge(3.0, 1, 3.0, 3.0)}
    again = rows_of(*log, (335.001, None), (340, A, (D, 340, 1.0)), (500, None))
    assert only(again, D)[2] == counter(8.0, 1.0, 1.0, 340)
    assert len(rows_of(*log, (340, None), window_s=300)) == 0


# ---- histograms


def exponential(schema, total, zero=0, threshold=0.0, **positive):
    side = {int(index[1:]): n for index, n in positive.items()}
    return Histogram(schema, threshold, zero, zero + sum(side.values()), total, ({}, side))


def equal(row, total, delta):
    return same(row.total, total) and same(row.delta, delta)


def test_histograms_count_buckets_from_a_baseline_and_after_a_reset():
    x, y, z = exponential(3, 10.0, i4=5), exponential(3, 14.0, i4=6, i9=1), exponential(3, 2.0, i4=1)
    rows = rows_of((0, A, (E, 10, x)), (1, A, (E, 20, y)), (2, A, (E, 30, z)), closer(60))
    assert equal(only(rows, E)[0], exponential(3, 6.0, i4=2, i9=1), exponential(3, 6.0, i4=2, i9=1))
    born = rows_of((0, A, (E, 10, x, 5)), (1, A, (E, 20, y, 15)), closer(60))      # the second by its start alone
    assert equal(only(born, E)[0], exponential(3, 24.0, i4=11, i9=1), exponential(3, 24.0, i4=11, i9=1))
    first = only(rows_of((0, A, (E, 10, x)), closer(60)), E)[0]
    assert equal(first, exponential(3, 0.0), exponential(3, 0.0)) and same(first.last, x)


def test_a_bucket_that_falls_is_a_reset_though_the_count_rises():
    rows = rows_of((0, A, (E, 10, exponential(0, 1.0, i1=5, i2=1))), (1, A, (E, 20, exponential(0, 2.0, i1=4, i2=9))), closer(60))
    assert equal(only(rows, E)[0], exponential(0, 2.0, i1=4, i2=9), exponential(0, 2.0, i1=4, i2=9))


def test_a_series_schema_never_rises_and_zero_thresholds_are_unioned():
    """Buckets 1 and 2 of schema 1 are bucket 1 of schema 0; bucket 3 is in 2."""
    log = [(0, A, (E, 10, exponential(1, 0.0, i1=1), 5)), (1, A, (E, 20, exponential(0, 1.0, threshold=0.25, i1=1, i2=1), 5)),
           (2, A, (E, 70, exponential(1, 2.0, threshold=0.25, i1=2, i2=3, i3=4), 65)), closer(60), closer(120)]
    first, second = only(rows_of(*log), E)
    assert equal(first, exponential(0, 1.0, threshold=0.25, i1=1, i2=1), exponential(0, 1.0, threshold=0.25, i1=1, i2=1))
    assert equal(second, exponential(0, 3.0, threshold=0.25, i1=6, i2=5), exponential(0, 2.0, threshold=0.25, i1=5, i2=4))


def test_more_than_160_buckets_lower_the_schema_of_total_and_delta():
    low, high = ({f"i{i}": 1 for i in range(first, first + 100)} for first in (1, 101))
    log = [(0, A, (E, 10, exponential(8, 1.0, **low), 5)), (1, A, (E, 70, exponential(8, 1.0, **high), 65)), closer(60), closer(120)]
    second = only(rows_of(*log), E)[1]
    assert second.total.schema == second.delta.schema == 7
    assert second.total.sides[1] == {i: 2 for i in range(1, 101)} and second.delta.sides[1] == {i: 2 for i in range(51, 101)}


def test_delta_histograms_add_up_and_fold():
    log = [(0, A, (DE, 10, exponential(0, 1.0, i1=1))), (1, A, (DE, 20, exponential(0, 2.0, i1=2))), closer(60),
           (76, A, (DE, 30, exponential(0, 4.0, i1=4))), (77, A, (DE, 70, exponential(0, 8.0, i1=8))), closer(120)]
    first, second = only(rows_of(*log), DE)
    assert equal(first, exponential(0, 3.0, i1=3), exponential(0, 3.0, i1=3)) and first.last is None and first.last_ts == ms(20)
    assert equal(second, exponential(0, 15.0, i1=15), exponential(0, 12.0, i1=12)) and same(second.late, exponential(0, 4.0, i1=4))
    assert second.count == 1


def test_classic_histograms_count_per_bucket():
    log = [(0, A, (K, 10, Classic(6, (1, 2, 3), 9.0))), (1, A, (K, 20, Classic(8, (2, 2, 4), 19.0))),
           (2, A, (K, 30, Classic(8, (1, 2, 5), 8.0))), (3, A, (K, 70, Classic(9, (1, 3, 5), 8.5, True))), closer(60), closer(120)]
    first, second = only(rows_of(*log), K)
    assert first == Increase(Classic(10, (2, 2, 6), 18.0), Classic(10, (2, 2, 6), 18.0), None, Classic(8, (1, 2, 5), 8.0), ms(30), 3)
    assert second == Increase(Classic(11, (2, 3, 6), 18.5), Classic(1, (0, 1, 0), 0.5), None, Classic(9, (1, 3, 5), 8.5), ms(70), 1)


# ---- hours


def five(end_s, stream, at_s, **columns):
    found = {{"c": C, "d": D, "g": G}[k]: v for k, v in columns.items()}
    row = rollup_oracle.Row(stream, 300_000, ms(end_s), 0, ms(at_s), found)
    return Entry(0, row.at_ms, stream, rollup_oracle.points_of(row))


def hours_of(*found):
    return rollup_oracle.hour_rows([e._replace(offset=10 + i) for i, e in enumerate(found)])


def test_a_five_minute_row_belongs_to_the_hour_before_its_end():
    hours = hours_of(*[five(s, A, s + 20, c=counter(s, 300.0, s, s - 1)) for s in range(300, 3601, 300)],
                     five(3900, A, 3920, c=counter(3900.0, 300.0, 0.0, 3899)))
    assert closings(hours) == [(3600, 22, 3920)] and only(hours, C) == [counter(3600, 3600.0, 3600, 3599, 12)]


def test_an_hour_closes_after_15_minutes_of_silence_and_takes_late_rows_into_the_next():
    log = [five(300, A, 320, c=counter(1.0, 1.0, 5.0, 10), g=gauge(1.0, 1, 1.0, 1.0, 1.0, 10)), Entry(0, ms(1220))]
    assert hours_of(*log) == []
    log += [Entry(0, ms(1221)), five(1500, A, 1520, c=counter(4.0, 3.0, 8.0, 1400), g=gauge(2.0, 1, 2.0, 2.0, 2.0, 10)),
            five(3900, A, 3920, c=counter(9.0, 5.0, 13.0, 3700)), five(7500, A, 7520, g=gauge(2.0, 1, 2.0, 2.0, 2.0, 10))]
    first, second = hours_of(*log)
    assert closings([first, second]) == [(3600, 11, 1221), (7200, 14, 7520)]
    assert first.series[C] == counter(1.0, 1.0, 5.0, 10) and first.series[G].sum == 1.0
    assert second.series == {C: counter(9.0, 8.0, 13.0, 3700, late=3.0)}


def test_an_hour_of_late_rows_alone_has_no_sample_of_its_own():
    """And leaves alone, when none comes: 4515 s after the first late row."""
    log = [five(300, A, 320, c=counter(1.0, 1.0, 5.0, 10)), Entry(0, ms(1221)),
           five(1500, A, 1520, c=counter(4.0, 3.0, 8.0, 1400, ended=True), d=counter(2.0, 2.0, 1.0, 1400), g=gauge(2.0, 1, 2.0, 2.0, 2.0, 10)),
           five(1800, A, 1820, c=counter(6.0, 2.0, 9.0, 1700))]
    assert len(hours_of(*log, Entry(0, ms(6035)))) == 1
    amend = hours_of(*log, Entry(0, ms(6036)))[1]
    assert amend.is_amend and closings([amend]) == [(3600, 13, 6036)]
    assert amend.series == {C: counter(6.0, 5.0, 9.0, 1700, 0, late=5.0), D: counter(2.0, 2.0, None, None, 0, late=2.0)}


def test_heartbeats_are_log_time_for_the_hours():
    log = entries((0, A, (G, 0, 1.0)), *[(s, None) for s in range(10, 3000, 10)])
    found = rollup_oracle.fives(log, rollup_oracle.rows(log))
    assert sum(e.stream is None for e in found) == 299
    (hour,) = rollup_oracle.hour_rows(found)
    assert hour.at_ms == ms(570 + 900 + 10)


# ---- generated logs


def minutes_and_hours(own, rule=None):
    rows = rollup_oracle.rows(own, dataclasses.replace(MINUTES, without=rule))
    fives = rollup_oracle.fives(own, rollup_oracle.rows(own) if rule else rows)
    return rows, rollup_oracle.hour_rows(fives, dataclasses.replace(HOURS, without=rule))


SEEDS = range(100, 116)


@pytest.fixture(scope="module")
def logs():
    """[(entries, 1 m and 5 m rows, 1 h rows)], a partition each"""
    found = [own for seed in SEEDS for own in rollup_logs.entries(rollup_logs.generate(seed, 600, 5, 2)).values()]
    return [(own, *minutes_and_hours(own)) for own in found]


def test_the_logs_have_all_that_matters(logs):
    rows = [r for _, minutes, hours in logs for r in minutes + hours]
    assert len(rows) > 1000
    assert {r.window_ms for r in rows} == {60_000, 300_000, 3_600_000}
    assert {r.stream.tenant for r in rows} == set(rollup_logs.TENANTS)
    for seen in (lambda r: r.is_amend, lambda r: r.amends and not r.is_amend, lambda r: not r.series):
        assert sum(map(bool, map(seen, rows))) > 20
    columns = [(s, c) for r in rows for s, c in r.series.items()]
    assert {s.kind for s, _ in columns} == {"counter", "gauge", "exponential_histogram", "classic_histogram"}
    assert sum(c.ended for _, c in columns) > 50 and sum(getattr(c, "late", None) is not None for _, c in columns) > 50


def test_records_say_what_the_log_says():
    for i, m in enumerate(rollup_logs.generate(7, 150)):
        own = rollup_logs.entries([m])[m.partition][0]
        read = rollup_records.entry(0, rollup_records.record(m, i))
        assert (read.log_ms, read.stream) == (own.log_ms, own.stream)
        assert {s: rollup_rows.plain(tuple(p)) for s, p in read.points} == {s: rollup_rows.plain(tuple(p)) for s, p in own.points}


def test_long_rows_are_those_of_their_short_ones(logs):
    for _, minutes, hours in logs:
        assert rollup_rows.resolution_problems(minutes + hours) == []


def test_a_long_row_that_is_not_its_short_ones_shows(logs):
    minutes = logs[0][1]
    i = next(i for i, r in enumerate(minutes) if r.window_ms == 300_000 and C._replace(metric="c0_total").metric in
             {s.metric for s in r.series})
    row = minutes[i]
    series = next(s for s in row.series if s.metric == "c0_total")
    for wrong in ({"total": row.series[series].total + 1}, {"delta": row.series[series].delta + 1}, {"count": 0}):
        changed = dataclasses.replace(row, series={**row.series, series: dataclasses.replace(row.series[series], **wrong)})
        assert rollup_rows.resolution_problems(minutes[:i] + [changed] + minutes[i + 1:])
    assert rollup_rows.resolution_problems(minutes[:i] + minutes[i + 1:])


def test_totals_are_the_sums_of_deltas_but_for_rounding(logs):
    """While the state is known; in exact numbers."""
    n = 0
    for _, minutes, _ in logs:
        sums = {}
        for row in (r for r in minutes if r.window_ms == 60_000):
            for series, c in row.series.items():
                if series.kind == "counter":
                    before = sums.get((row.stream, series), Fraction(0))
                    exact = before + Fraction(c.delta)
                    if abs(exact - Fraction(c.total)) > Fraction(c.total) / 2**40:
                        assert c.total == c.delta                              # begun anew
                        exact = Fraction(c.total)
                    sums[row.stream, series], n = exact, n + 1
    assert n > 1000


@pytest.mark.parametrize("rule", sorted(rollup_oracle.RULES))
def test_each_rule_that_is_left_out_shows(logs, rule):
    def shows(own, minutes, hours):
        other, other_hours = minutes_and_hours(own, rule)
        return rollup_rows.differences(minutes, other) or rollup_rows.differences(hours, other_hours)

    assert any(shows(*log) for log in logs)
