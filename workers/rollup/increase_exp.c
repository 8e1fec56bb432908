#include "batch/histogram_math.h"
#include "increase_histogram.h"

/* No observations, at a schema that lowers no other. */
static const struct exp_histogram nothing = {.schema = HISTOGRAM_MAX_SCHEMA};

/* The window's increases while they are added up. */
struct exp_sum {
    struct exp_histogram delta;
    struct exp_histogram last;
    bool has_delta;
    bool has_last;
};

static bool exp_read(struct increase *x, struct slice packed, struct exp_histogram *out)
{
    struct err why = ERR_INIT;
    struct cursor c = cursor_of(packed);
    if (!exp_histogram_decode(&c, MAX_READ_BUCKETS, &x->arena, out, &why)) {
        return false;
    }
    return exp_histogram_is_stale(out) || exp_histogram_check(out, &why);
}

/* sum += h; what can't be added is left out. */
static bool exp_add(struct increase *x, const struct exp_histogram *h, struct exp_sum *sum)
{
    struct err why = ERR_INIT;
    bool ok = sum->has_delta
                  ? exp_histogram_add(&sum->delta, h, MAX_BUCKETS, &x->arena, &sum->delta, &why)
                  : exp_histogram_downscale(h, HISTOGRAM_MAX_SCHEMA, MAX_BUCKETS, &x->arena,
                                            &sum->delta, &why);
    sum->has_delta |= ok;
    return ok;
}

/* The increase that h brings. */
static bool exp_increase(struct increase *x, const struct exp_histogram *h, const struct point *at,
                         int64_t last_ms, const struct exp_sum *sum, struct exp_histogram *out,
                         enum point_effect *effect)
{
    struct err why = ERR_INIT;
    *out = *h;
    *effect = increase_effect(x, at->start_ms, sum->has_last, last_ms,
                              sum->has_last && exp_histogram_is_reset(h, &sum->last));
    if (*effect == POINT_BASELINE) {
        *out = (struct exp_histogram){.schema = h->schema, .zero_threshold = h->zero_threshold};
    }
    return *effect != POINT_GREW ||
           exp_histogram_subtract(h, &sum->last, MAX_BUCKETS, &x->arena, out, &why);
}

static void exp_follow(struct increase *x, const struct slot *slot, const struct point_list *p,
                       struct exp_sum *sum, struct row_series *out)
{
    for (uint32_t i = 0; i < p->n; i++) {
        const struct point *at = &p->items[i];
        struct exp_histogram h;
        struct exp_histogram increase;
        enum point_effect effect = POINT_ADDED;
        if (!exp_read(x, at->packed, &h)) {
            x->counts.n_invalid++;
            trace_point(x, at, POINT_INVALID, 0);
            continue;
        }
        out->ended = exp_histogram_is_stale(&h);
        if (out->ended) {
            trace_point(x, at, POINT_ENDED, 0);
            continue;
        }
        increase = h;
        bool ok = (slot->delta || exp_increase(x, &h, at, out->last_ms, sum, &increase, &effect)) &&
                  exp_add(x, &increase, sum);
        trace_point(x, at, ok ? effect : POINT_INVALID, ok ? (double)increase.count : 0);
        if (!ok) {
            x->counts.n_invalid++;
            continue;
        }
        sum->last = h;
        sum->has_last = !slot->delta;
        out->packed[2] = slot->delta ? SLICE_NONE : at->packed;
        out->last_ms = at->ms;
        out->samples++;
    }
}

/* out = a packed histogram of x->packed, which may move until it is done. */
struct packed_at {
    size_t at;
    size_t end;
};

static struct packed_at exp_put(struct increase *x, const struct exp_histogram *h)
{
    size_t at = x->packed.len;
    exp_histogram_encode(h, &x->packed);
    return (struct packed_at){at, x->packed.len};
}

static struct slice packed_slice(const struct increase *x, struct packed_at p)
{
    return slice_of(x->packed.ptr + p.at, p.end - p.at);
}

static bool exp_finish(struct increase *x, const struct exp_histogram *before, struct exp_sum *sum,
                       const struct exp_histogram *late, struct row_series *out, struct err *e)
{
    static const uint8_t none[1] = {0};
    struct err why = ERR_INIT;
    struct exp_histogram total = *before;
    const struct exp_histogram *delta = sum->has_delta ? &sum->delta : &nothing;
    if (!exp_histogram_add(before, delta, MAX_BUCKETS, &x->arena, &total, &why)) {
        total = *delta; /* beyond 63 bits: begins anew, as after a reset */
    }
    if (!exp_histogram_downscale(delta, total.schema, MAX_BUCKETS, &x->arena, &sum->delta, e)) {
        return false;
    }
    buf_reset(&x->packed);
    struct packed_at at[2] = {exp_put(x, &total), exp_put(x, &sum->delta)};
    struct packed_at late_at = {0, 0};
    if (late != NULL) {
        late_at = exp_put(x, late);
    }
    size_t last_at = x->packed.len;
    struct slice last = out->packed[2].len == 0 ? slice_of(none, 1) : out->packed[2];
    buf_put_slice(&x->packed, last);
    if (!buf_ok(&x->packed)) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    out->packed[0] = packed_slice(x, at[0]);
    out->packed[1] = packed_slice(x, at[1]);
    out->packed[2] = slice_of(x->packed.ptr + last_at, x->packed.len - last_at);
    out->late = late == NULL ? SLICE_NONE : packed_slice(x, late_at);
    return true;
}

/* Late ones into one. */
static bool exp_folds(struct increase *x, const struct fold_list *folds, struct exp_histogram *out)
{
    struct exp_sum sum = {0};
    for (uint32_t i = 0; i < folds->n; i++) {
        struct exp_histogram h;
        const struct late_point *l = folds->points[i];
        if (!exp_read(x, slice_of(l->packed, l->n_packed_bytes), &h) || !exp_add(x, &h, &sum)) {
            x->counts.n_invalid++;
        }
    }
    *out = sum.has_delta ? sum.delta : nothing;
    return folds->n > 0;
}

bool exp_calculate(struct increase *x, const struct slot *slot, const struct point_list *p,
                   const struct fold_list *folds, struct row_series *out, struct err *e)
{
    struct exp_histogram before = nothing;
    struct exp_histogram late;
    struct exp_sum sum = {0};
    arena_reset(&x->arena);
    if (increase_knows(x, slot) && slot->packed != NULL) {
        struct slice last = slice_of(slot->packed + slot->n_total_bytes, slot->n_last_bytes);
        if (!exp_read(x, slice_of(slot->packed, slot->n_total_bytes), &before)) {
            before = nothing;
        }
        if (!slot->delta && last.len > 1 && exp_read(x, last, &sum.last)) {
            sum.has_last = true;
            out->packed[2] = last;
            out->last_ms = slot->last_ms;
        }
    }
    exp_follow(x, slot, p, &sum, out);
    bool has_late = exp_folds(x, folds, &late);
    if (has_late && !exp_add(x, &late, &sum)) {
        x->counts.n_invalid++;
    }
    return exp_finish(x, &before, &sum, has_late ? &late : NULL, out, e);
}

int32_t packed_schema(struct increase *x, struct slice packed)
{
    struct exp_histogram h;
    return exp_read(x, packed, &h) ? h.schema : HISTOGRAM_MAX_SCHEMA;
}

static bool exp_pair_add(struct increase *x, struct slice a, struct slice b, int32_t max_schema,
                         struct buf *out, struct err *e)
{
    struct exp_sum sum = {0};
    struct exp_histogram h;
    struct slice both[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        if (both[i].len > 0 && (!exp_read(x, both[i], &h) || !exp_add(x, &h, &sum))) {
            x->counts.n_invalid++;
        }
    }
    const struct exp_histogram *h_sum = sum.has_delta ? &sum.delta : &nothing;
    if (!exp_histogram_downscale(h_sum, max_schema, MAX_BUCKETS, &x->arena, &h, e)) {
        return false;
    }
    exp_histogram_encode(&h, out);
    return true;
}

static bool classic_pair_add(struct increase *x, uint32_t n_bounds, struct slice a, struct slice b,
                             struct buf *out)
{
    struct err why = ERR_INIT;
    struct classic_histogram h[2];
    struct classic_histogram sum;
    struct slice both[2] = {a, b};
    int n = 0;
    for (int i = 0; i < 2; i++) {
        struct cursor c = cursor_of(both[i]);
        n += both[i].len > 0 && classic_histogram_decode(&c, n_bounds, &x->arena, &h[n], &why);
    }
    if (n == 2 && !classic_histogram_add(&h[0], &h[1], &x->arena, &sum, &why)) {
        x->counts.n_invalid++;
        n = 1;
    }
    if (n > 0) {
        classic_histogram_encode(n == 2 ? &sum : &h[0], out);
    }
    return n > 0;
}

bool packed_add(struct increase *x, struct layout l, struct slice a, struct slice b,
                int32_t max_schema, struct buf *out, struct err *e)
{
    if (l.kind == SERIES_EXP_HISTOGRAM) {
        return exp_pair_add(x, a, b, max_schema, out, e);
    }
    return classic_pair_add(x, l.n_bounds, a, b, out) ||
           err_set(e, ERR_FATAL, "a classic histogram that was checked can't be read");
}

bool packed_sum(struct increase *x, const struct slot *slot, const struct fold_list *points,
                struct slice *out, struct err *e)
{
    arena_reset(&x->arena);
    buf_reset(&x->packed);
    if (slot->kind == SERIES_EXP_HISTOGRAM) {
        struct exp_histogram sum;
        (void)exp_folds(x, points, &sum);
        exp_histogram_encode(&sum, &x->packed);
    } else {
        struct classic_histogram sum;
        if (!classic_folds(x, slot->n_bounds, points, &sum, e)) {
            return false;
        }
        classic_histogram_encode(&sum, &x->packed);
    }
    *out = buf_slice(&x->packed);
    return buf_ok(&x->packed) || err_set(e, ERR_FATAL, "out of memory");
}
