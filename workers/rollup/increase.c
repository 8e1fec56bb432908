#include "increase.h"

#include <math.h>
#include <stdlib.h>

#include "increase_histogram.h"

enum { ARENA_BYTES = 64 << 20, PACKED_BYTES = 8 << 20 };

void increase_init(struct increase *x)
{
    *x = (struct increase){0};
    arena_init(&x->arena, ARENA_BYTES);
    buf_init(&x->packed, PACKED_BYTES);
}

void increase_fini(struct increase *x)
{
    arena_fini(&x->arena);
    buf_fini(&x->packed);
}

bool value_counts(enum series_kind kind, double v)
{
    if (isnan(v)) {
        return double_is_stale(v);
    }
    return kind != SERIES_COUNTER || !isinf(v);
}

static bool points_differ(enum series_kind kind, const struct point *a, const struct point *b)
{
    if (kind == SERIES_COUNTER || kind == SERIES_GAUGE) {
        return memcmp(&a->value, &b->value, sizeof a->value) != 0;
    }
    return !slice_eq(a->packed, b->packed);
}

static int point_order(const void *a, const void *b)
{
    const struct point *x = a;
    const struct point *y = b;
    if (x->ms != y->ms) {
        return x->ms < y->ms ? -1 : 1;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

static void points_sort(struct point_list *p)
{
    bool is_sorted = true;
    for (uint32_t i = 1; i < p->n && is_sorted; i++) {
        is_sorted = p->items[i - 1].ms <= p->items[i].ms;
    }
    if (is_sorted) { /* mostly */
        return;
    }
    qsort(p->items, p->n, sizeof *p->items, point_order);
}

void points_settle(struct increase *x, enum series_kind kind, struct point_list *p)
{
    points_sort(p);
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        if (n > 0 && p->items[n - 1].ms == p->items[i].ms) {
            x->counts.n_conflicts += points_differ(kind, &p->items[n - 1], &p->items[i]);
            n--;
            trace_point(x, &p->items[n], POINT_REPLACED, 0);
        }
        p->items[n++] = p->items[i];
    }
    p->n = n;
}

bool increase_knows(const struct increase *x, const struct slot *slot)
{
    return slot->row_ms != NEVER && x->log_ms - slot->row_ms <= x->horizon_ms;
}

static bool increase_born(const struct increase *x, int64_t start_ms)
{
    return start_ms > 0 && start_ms >= x->log_ms - x->horizon_ms;
}

enum point_effect increase_effect(struct increase *x, int64_t start_ms, bool has_last,
                                  int64_t last_ms, bool has_fallen)
{
    if (!has_last) {
        return increase_born(x, start_ms) ? POINT_BORN : POINT_BASELINE;
    }
    if (start_ms <= last_ms && !has_fallen) {
        return POINT_GREW;
    }
    x->counts.n_resets++;
    return start_ms > last_ms ? POINT_STARTED_ANEW : POINT_FELL;
}

static double folds_sum(const struct fold_list *folds)
{
    double sum = 0;
    for (uint32_t i = 0; i < folds->n; i++) {
        sum += folds->points[i]->value;
    }
    return sum;
}

static void deltas_sum(const struct increase *x, const struct point_list *p,
                       const struct fold_list *folds, struct row_series *out)
{
    out->last = (double)NAN;
    for (uint32_t i = 0; i < p->n; i++) {
        out->ended = double_is_stale(p->items[i].value);
        trace_point(x, &p->items[i], out->ended ? POINT_ENDED : POINT_ADDED,
                    out->ended ? 0 : p->items[i].value);
        if (!out->ended) {
            out->delta += p->items[i].value;
            out->last = p->items[i].value;
            out->last_ms = p->items[i].ms;
            out->samples++;
        }
    }
    if (folds->n > 0) {
        out->delta += folds_sum(folds);
    }
}

static void totals_follow(struct increase *x, const struct point_list *p, struct row_series *out)
{
    for (uint32_t i = 0; i < p->n; i++) {
        const struct point *at = &p->items[i];
        out->ended = double_is_stale(at->value);
        if (out->ended) {
            trace_point(x, at, POINT_ENDED, 0);
            continue; /* says so, and keeps the state */
        }
        enum point_effect effect = increase_effect(x, at->start_ms, !isnan(out->last), out->last_ms,
                                                   at->value < out->last);
        double added = effect == POINT_BASELINE ? 0.0
                       : effect == POINT_GREW   ? at->value - out->last
                                                : at->value;
        out->delta += added;
        trace_point(x, at, effect, added);
        out->last = at->value;
        out->last_ms = at->ms;
        out->samples++;
    }
}

static void counter_calculate(struct increase *x, const struct slot *slot,
                              const struct point_list *p, const struct fold_list *folds,
                              struct row_series *out)
{
    bool knows = increase_knows(x, slot);
    out->total = knows ? slot->total : 0.0;
    if (slot->delta) {
        deltas_sum(x, p, folds, out);
    } else {
        out->last = knows ? slot->last : (double)NAN;
        out->last_ms = knows ? slot->last_ms : 0;
        totals_follow(x, p, out);
    }
    out->total += out->delta;
    if (folds->n > 0) {
        buf_reset(&x->packed);
        buf_double(&x->packed, folds_sum(folds));
        out->late = buf_slice(&x->packed);
    }
}

static void gauge_begin(struct row_series *out)
{
    out->sum = 0;
    out->min = out->max = out->last = (double)NAN;
}

static void gauge_add(struct row_series *out, double v, int64_t ms)
{
    out->sum += isinf(v) ? 0.0 : v;
    out->min = out->samples == 0 || v < out->min ? v : out->min;
    out->max = out->samples == 0 || v > out->max ? v : out->max;
    out->last = v;
    out->last_ms = ms;
    out->samples++;
}

static void gauge_calculate(const struct increase *x, const struct point_list *p,
                            struct row_series *out)
{
    gauge_begin(out);
    for (uint32_t i = 0; i < p->n; i++) {
        out->ended = double_is_stale(p->items[i].value);
        trace_point(x, &p->items[i], out->ended ? POINT_ENDED : POINT_ADDED, 0);
        if (!out->ended) {
            gauge_add(out, p->items[i].value, p->items[i].ms);
        }
    }
}

bool increase_calculate(struct increase *x, const struct slot *slot, const struct point_list *p,
                        const struct fold_list *folds, struct row_series *out, struct err *e)
{
    *out = (struct row_series){0};
    switch ((enum series_kind)slot->kind) {
    case SERIES_COUNTER:
        counter_calculate(x, slot, p, folds, out);
        return true;
    case SERIES_GAUGE:
        gauge_calculate(x, p, out);
        return true;
    case SERIES_EXP_HISTOGRAM:
        return exp_calculate(x, slot, p, folds, out, e);
    case SERIES_CLASSIC_HISTOGRAM:
        return classic_calculate(x, slot, p, folds, out, e);
    }
    return true;
}

bool amounts_add(struct increase *x, const struct slot *slot, const struct fold_list *points,
                 struct row_series *out, struct err *e)
{
    *out = (struct row_series){0};
    switch ((enum series_kind)slot->kind) {
    case SERIES_COUNTER:
        out->samples = points->n;
        out->delta = folds_sum(points);
        return true;
    case SERIES_GAUGE:
        gauge_begin(out);
        for (uint32_t i = 0; i < points->n; i++) {
            gauge_add(out, points->points[i]->value, 0);
        }
        return true;
    case SERIES_EXP_HISTOGRAM:
    case SERIES_CLASSIC_HISTOGRAM:
        out->samples = points->n;
        return packed_sum(x, slot, points, &out->packed[1], e);
    }
    return true;
}
