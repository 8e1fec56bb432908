#include "batch/histogram_math.h"
#include "increase_histogram.h"

/* No observations. Its sum of 0 takes none away from what it is added to. */
static bool nothing_make(struct increase *x, uint32_t n_bounds, bool has_sum,
                         struct classic_histogram *out, struct err *e)
{
    uint64_t *counts = ARENA_ARRAY(&x->arena, uint64_t, (size_t)n_bounds + 1);
    *out =
        (struct classic_histogram){.has_sum = has_sum, .n_counts = n_bounds + 1, .counts = counts};
    return counts != NULL || err_set(e, ERR_FATAL, "out of memory");
}

static bool classic_read(struct increase *x, struct slice packed, uint32_t n_bounds,
                         struct classic_histogram *out)
{
    struct err why = ERR_INIT;
    struct cursor c = cursor_of(packed);
    return classic_histogram_decode(&c, n_bounds, &x->arena, out, &why);
}

struct classic_sum {
    struct classic_histogram delta;
    struct classic_histogram last;
    bool has_delta;
    bool has_last;
};

static bool classic_add(struct increase *x, const struct classic_histogram *h,
                        struct classic_sum *sum)
{
    struct err why = ERR_INIT;
    if (!sum->has_delta) {
        sum->delta = *h;
        sum->delta.sum = h->has_sum ? histogram_sum(h->sum) : 0;
        return sum->has_delta = true;
    }
    return classic_histogram_add(&sum->delta, h, &x->arena, &sum->delta, &why);
}

static bool classic_increase(struct increase *x, const struct classic_histogram *h,
                             const struct point *at, int64_t last_ms, const struct classic_sum *sum,
                             struct classic_histogram *out, enum point_effect *effect)
{
    struct err why = ERR_INIT;
    *out = *h;
    *effect = increase_effect(x, at->start_ms, sum->has_last, last_ms,
                              sum->has_last && classic_histogram_is_reset(h, &sum->last));
    if (*effect == POINT_BASELINE) {
        return nothing_make(x, h->n_counts - 1, h->has_sum, out, &why);
    }
    return *effect != POINT_GREW || classic_histogram_subtract(h, &sum->last, &x->arena, out, &why);
}

static void classic_follow(struct increase *x, const struct slot *slot, const struct point_list *p,
                           struct classic_sum *sum, struct row_series *out)
{
    for (uint32_t i = 0; i < p->n; i++) {
        const struct point *at = &p->items[i];
        struct classic_histogram h;
        struct classic_histogram increase;
        enum point_effect effect = POINT_ADDED;
        if (!classic_read(x, at->packed, slot->n_bounds, &h)) {
            x->counts.n_invalid++;
            trace_point(x, at, POINT_INVALID, 0);
            continue;
        }
        out->ended = h.stale;
        if (h.stale) {
            trace_point(x, at, POINT_ENDED, 0);
            continue;
        }
        increase = h;
        bool ok =
            (slot->delta || classic_increase(x, &h, at, out->last_ms, sum, &increase, &effect)) &&
            classic_add(x, &increase, sum);
        trace_point(x, at, ok ? effect : POINT_INVALID, ok ? (double)increase.count : 0);
        if (!ok) {
            x->counts.n_invalid++;
            continue;
        }
        sum->last = h;
        sum->has_last = !slot->delta;
        out->last_ms = at->ms;
        out->samples++;
    }
}

bool classic_folds(struct increase *x, uint32_t n_bounds, const struct fold_list *folds,
                   struct classic_histogram *out, struct err *e)
{
    struct classic_sum sum = {0};
    for (uint32_t i = 0; i < folds->n; i++) {
        struct classic_histogram h;
        const struct late_point *l = folds->points[i];
        if (!classic_read(x, slice_of(l->packed, l->n_packed_bytes), n_bounds, &h) ||
            !classic_add(x, &h, &sum)) {
            x->counts.n_invalid++;
        }
    }
    *out = sum.delta;
    return sum.has_delta || nothing_make(x, n_bounds, true, out, e);
}

static bool classic_finish(struct increase *x, const struct classic_histogram *before,
                           const struct classic_sum *sum, const struct classic_histogram *late,
                           struct row_series *out, struct err *e)
{
    struct err why = ERR_INIT;
    struct classic_histogram none = {.stale = true};
    struct classic_histogram delta = sum->delta;
    struct classic_histogram total;
    if ((!sum->has_delta && !nothing_make(x, before->n_counts - 1, true, &delta, e)) ||
        (!sum->has_last && !nothing_make(x, before->n_counts - 1, false, &none, e))) {
        return false;
    }
    none.stale = true;
    if (!classic_histogram_add(before, &delta, &x->arena, &total, &why)) {
        total = delta; /* beyond 64 bits: begins anew, as after a reset */
    }
    buf_reset(&x->packed);
    size_t ends[4] = {0};
    const struct classic_histogram *put[4] = {&total, &delta, sum->has_last ? &sum->last : &none,
                                              late};
    for (int i = 0; i < 4; i++) {
        if (put[i] != NULL) {
            classic_histogram_encode(put[i], &x->packed);
        }
        ends[i] = x->packed.len;
    }
    if (!buf_ok(&x->packed)) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (int i = 0; i < HISTOGRAM_COLUMNS; i++) {
        size_t start = i == 0 ? 0 : ends[i - 1];
        out->packed[i] = slice_of(x->packed.ptr + start, ends[i] - start);
    }
    out->late = late == NULL ? SLICE_NONE : slice_of(x->packed.ptr + ends[2], ends[3] - ends[2]);
    return true;
}

bool classic_calculate(struct increase *x, const struct slot *slot, const struct point_list *p,
                       const struct fold_list *folds, struct row_series *out, struct err *e)
{
    struct classic_histogram before;
    struct classic_histogram late = {0};
    struct classic_sum sum = {0};
    arena_reset(&x->arena);
    if (!nothing_make(x, slot->n_bounds, true, &before, e)) {
        return false;
    }
    if (increase_knows(x, slot) && slot->packed != NULL) {
        struct slice last = slice_of(slot->packed + slot->n_total_bytes, slot->n_last_bytes);
        (void)classic_read(x, slice_of(slot->packed, slot->n_total_bytes), slot->n_bounds, &before);
        sum.has_last =
            !slot->delta && classic_read(x, last, slot->n_bounds, &sum.last) && !sum.last.stale;
        out->last_ms = sum.has_last ? slot->last_ms : 0;
    }
    classic_follow(x, slot, p, &sum, out);
    bool has_late = folds->n > 0;
    if (has_late && !classic_folds(x, slot->n_bounds, folds, &late, e)) {
        return false;
    }
    if (has_late && !classic_add(x, &late, &sum)) {
        x->counts.n_invalid++;
    }
    return classic_finish(x, &before, &sum, has_late ? &late : NULL, out, e);
}
