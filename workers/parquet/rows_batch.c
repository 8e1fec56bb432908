#include "batch/histogram.h"
#include "key.h"
#include "rows_inside.h"

/* The packed column's places go to at, from n_before bytes on; it was checked to be whole. */
static void exp_places(struct slice column, uint32_t n, uint32_t *at)
{
    struct cursor c = cursor_of(column);
    for (uint32_t i = 0; i < n; i++) {
        at[i] = (uint32_t)cursor_at(&c);
        (void)exp_histogram_skip(&c);
    }
}

static void classic_places(struct slice column, const struct shape *s, uint32_t before,
                           uint32_t *at)
{
    struct cursor c = cursor_of(column);
    for (uint32_t i = 0; i < s->n_series; i++) {
        if (s->series[i].kind == SERIES_CLASSIC_HISTOGRAM) {
            *at++ = before + (uint32_t)cursor_at(&c);
            (void)classic_histogram_skip(&c, s->series[i].n_bounds);
        }
    }
    *at = before + (uint32_t)column.len;
}

/* So that no row fails when it is written, long after its record. */
static bool histograms_check(struct rows *r, const struct batch *b, const struct shape *s,
                             struct err *e)
{
    struct cursor c = cursor_of(b->exp);
    for (uint32_t i = 0; i < s->n_exp; i++) {
        struct exp_histogram h;
        arena_reset(&r->scratch);
        if (!exp_histogram_decode(&c, HISTOGRAM_MAX_BYTES, &r->scratch, &h, e)) {
            return err_wrap(e, "exponential histogram %u", i);
        }
    }
    return true;
}

static bool times_take(struct rows *r, const struct batch *b, struct intake *in, struct err *e)
{
    uint32_t n_series = in->cached->shape.n_series;
    in->n_slots = 1;
    if (b->times.n_deltas == 0) {
        return true;
    }
    int64_t *times = ARENA_ARRAY(&r->scratch, int64_t, n_series);
    if (times == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for a batch's times");
    }
    if (!batch_times_decode(&b->times, n_series, times, e)) {
        return false;
    }
    for (uint32_t i = 1; i < n_series; i++) {
        in->n_slots += key_slot(times[i], r->hours) != key_slot(times[i - 1], r->hours);
    }
    in->times = times;
    return true;
}

static bool places_take(struct rows *r, const struct batch *b, struct intake *in, struct err *e)
{
    const struct shape *s = &in->cached->shape;
    in->n_places = (size_t)s->n_exp + s->n_classic + 1;
    uint32_t *at = ARENA_ARRAY(&r->scratch, uint32_t, in->n_places);
    if (at == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for a batch's histograms");
    }
    exp_places(b->exp, s->n_exp, at);
    classic_places(b->classic, s, (uint32_t)b->exp.len, at + s->n_exp);
    in->packed_at = at;
    return true;
}

bool rows_add(struct rows *r, const struct batch *b, int64_t offset, struct objects *objects,
              bool *full, struct err *e)
{
    struct intake in = {.table = TABLE_SAMPLES,
                        .tenant = b->tenant,
                        .class = b->class,
                        .offset = offset,
                        .base_ms = b->times.base_ms,
                        .values = b->values,
                        .packed = {b->exp, b->classic},
                        .n_lines = 1};
    *full = false;
    if (b->shape.len == 0) {
        return true;
    }
    if (!rows_shape(r, b->tenant, b->shape, &in.cached, e)) {
        return false;
    }
    const struct shape *s = &in.cached->shape;
    if (s->n_series == 0) {
        return true;
    }
    if (!batch_check_shape(b, s, e) || !histograms_check(r, b, s, e)) {
        return false;
    }
    arena_reset(&r->scratch);
    if (!times_take(r, b, &in, e) || !places_take(r, b, &in, e)) {
        return false;
    }
    *full = rows_are_full(r, intake_bytes(&in));
    if (*full) {
        return true;
    }
    bool ok = intake_prepare(r, &in, objects, e);
    if (ok) {
        intake_keep(r, &in, objects);
    }
    return ok;
}
