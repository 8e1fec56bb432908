#include <stdlib.h>

#include "inside.h"

/* ---- state ---- */

bool row_apply(struct minute *m, struct stream *s, const struct row_plan *plan,
               const struct rollup *row, struct err *e)
{
    struct row_reader reader = row_reader_of(row);
    for (uint32_t i = 0; i < plan->n; i++) {
        struct slot *slot = &s->slots[plan->slots[i]];
        struct row_series v;
        row_next(&reader, plan->layouts[i], &v);
        slot->row_ms = m->log_ms;
        slot->last_ms = v.last_ms;
        if (slot->kind == SERIES_COUNTER) {
            slot->total = v.total;
            slot->last = v.last;
        } else if (slot_is_packed(slot) && !slot_set_packed(s, slot, v.packed[0], v.packed[2])) {
            return no_memory(e);
        }
    }
    return true;
}

/* ---- 5 m ---- */

static void five_drop(struct stream *s)
{
    if (s->five_shape != NULL) {
        shape_unref(s, s->five_shape);
    }
    free(s->five);
    s->n_bytes -= s->n_five_bytes;
    s->n_five_bytes = 0;
    s->five = NULL;
    s->five_shape = NULL;
}

static bool five_emit(struct minute *m, struct stream *s, bool has_more, int64_t closed_at,
                      struct err *e)
{
    if (!m->is_restoring) {
        struct rollup row = *s->five;
        row.tenant = s->tenant;
        row.shape = s->five_shape == NULL ? SLICE_NONE : s->five_shape->bytes;
        row.window_ms = FIVE_MS;
        row.end_ms = s->five_end_ms;
        row.closed_at = closed_at;
        row.part = 0;
        const struct leaving l = {.row = &row,
                                  .is_merged = true,
                                  .has_more = has_more,
                                  .log_ms = m->log_ms,
                                  .needs = m->record};
        m->counts.rows++;
        if (!m->sink.put(m->sink.ctx, &l, e)) {
            return false;
        }
    }
    five_drop(s);
    return true;
}

/* The known shape of these bytes, learned if need be. */
static struct known_shape *shape_of_bytes(struct minute *m, struct stream *s, struct slice bytes,
                                          struct err *e)
{
    struct known_shape *k = stream_shape_find(s, bytes);
    struct shape shape;
    if (k == NULL && shape_decode(bytes, s->tenant, &row_shape_caps, &m->plan, &shape, e)) {
        k = stream_shape_add(s, &shape);
    }
    return k;
}

static bool five_set(struct minute *m, struct stream *s, const struct rollup *row,
                     struct known_shape *k, struct err *e)
{
    size_t n_bytes;
    struct rollup *copy = rollup_copy(row, false, &n_bytes);
    if (copy == NULL) {
        return no_memory(e);
    }
    if (k == NULL && row->shape.len > 0) {
        k = shape_of_bytes(m, s, row->shape, e);
        if (k == NULL) {
            free(copy);
            return no_memory(e);
        }
    }
    if (k != NULL) {
        shape_ref(k);
    }
    five_drop(s);
    s->five = copy;
    s->five_shape = k;
    s->n_five_bytes = n_bytes;
    s->n_bytes += n_bytes;
    return true;
}

static bool five_add(struct minute *m, struct stream *s, const struct row_plan *plan,
                     const struct rollup *row, struct err *e)
{
    if (s->five == NULL) {
        s->five_end_ms = five_end(row->end_ms);
        s->five_since_ms = m->log_ms;
        return five_set(m, s, row, plan->known, e);
    }
    struct rollup before = *s->five;
    struct rollup merged;
    before.tenant = s->tenant;
    before.shape = s->five_shape == NULL ? SLICE_NONE : s->five_shape->bytes;
    if (!rows_merge(&m->merger, &before, row, false, plan->layouts, &merged, e)) {
        return err_wrap(e, "5 m row");
    }
    bool is_same = slice_eq(merged.shape, row->shape);
    return five_set(m, s, &merged, is_same ? plan->known : NULL, e);
}

bool five_apply(struct minute *m, struct stream *s, const struct row_plan *plan,
                const struct rollup *row, struct err *e)
{
    int64_t end_ms = five_end(row->end_ms);
    bool ends = end_ms == row->end_ms && row->closed_at >= 0;
    if (s->five != NULL && s->five_end_ms != end_ms && !five_emit(m, s, ends, row->closed_at, e)) {
        return false;
    }
    return five_add(m, s, plan, row, e) && (!ends || five_emit(m, s, false, row->closed_at, e));
}

/* ---- 1 m ---- */

struct closing {
    const struct window *w; /* NULL: none is open */
    struct row_plan plan;
    struct late_order late;
    struct point_index index;
};

static bool series_close(struct minute *m, const struct stream *s, const struct closing *c,
                         uint32_t i, struct err *e)
{
    uint32_t slot = c->plan.slots[i];
    struct row_series v;
    enum series_kind kind = (enum series_kind)s->slots[slot].kind;
    struct fold_list folds = late_folds(&c->late, slot);
    m->points.n = 0;
    bool ok = c->w == NULL       ? true
              : c->plan.is_plain ? points_of_series(m, c->w, i, kind, e)
                                 : points_of_slot(m, s, c->w, &c->index, slot, e);
    if (!ok) {
        return false;
    }
    const struct trace *t = m->increase.trace;
    if (t != NULL) {
        t->series(t->ctx, s, c->w, slot, increase_knows(&m->increase, &s->slots[slot]));
    }
    points_settle(&m->increase, kind, &m->points);
    if (!increase_calculate(&m->increase, &s->slots[slot], &m->points, &folds, &v, e)) {
        return false;
    }
    columns_put(&m->columns, kind, &v);
    return true;
}

static bool columns_make(struct minute *m, struct stream *s, struct closing *c, struct rollup *row,
                         struct err *e)
{
    const bool *has_fold = c->late.n_by_slot > 0 ? c->late.has_fold : NULL;
    if (!plan_window(m, s, c->w, has_fold, &c->plan, e) ||
        (c->w != NULL && !c->plan.is_plain && !points_index(m, s, c->w, &c->index, e))) {
        return false;
    }
    if (!columns_begin(&m->columns, c->plan.n)) {
        return no_memory(e);
    }
    m->increase.log_ms = m->log_ms;
    for (uint32_t i = 0; i < c->plan.n; i++) {
        if (!series_close(m, s, c, i, e)) {
            return false;
        }
    }
    row->shape = c->plan.shape;
    return columns_end(&m->columns, row) || no_memory(e);
}

static struct place row_needs(const struct minute *m, const struct stream *s,
                              const struct window *w)
{
    struct place needs = m->record;
    if (w != NULL) {
        needs = place_first(needs, (struct place){w->offset, w->log_before_ms});
    }
    if (s->late.n > 0) {
        needs = place_first(needs, (struct place){s->late.offset, s->late.log_before_ms});
    }
    return needs;
}

/* The row, or the amend, is made, sent, and becomes the state. */
static bool record_make(struct minute *m, struct stream *s, struct closing *c, struct rollup *row,
                        bool has_more, struct err *e)
{
    arena_reset(&m->plan);
    if (!late_sort(m, s, &c->late, e) || !columns_make(m, s, c, row, e)) {
        return false;
    }
    if (c->plan.known != NULL) {
        shape_ref(c->plan.known); /* others may be learned meanwhile */
    }
    if (!amends_make(m, s, row, e)) {
        return false;
    }
    const struct leaving l = {
        .row = row, .has_more = has_more, .log_ms = m->log_ms, .needs = row_needs(m, s, c->w)};
    m->counts.rows++;
    m->n_closings++;
    if (!m->sink.put(m->sink.ctx, &l, e) || !row_apply(m, s, &c->plan, row, e)) {
        return false;
    }
    s->closed_at = row->closed_at;
    s->row_ms = m->log_ms;
    late_reset(&s->late);
    return true;
}

static struct rollup row_begin(const struct minute *m, const struct stream *s,
                               enum rollup_kind kind, int64_t end_ms, int64_t closed_at)
{
    return (struct rollup){.kind = kind,
                           .tenant = s->tenant,
                           .class = s->class,
                           .source = s->source,
                           .window_ms = m->rules.window_ms,
                           .end_ms = end_ms,
                           .closed_at = closed_at};
}

static void closing_end(struct stream *s, const struct closing *c)
{
    if (c->plan.known != NULL) {
        shape_unref(s, c->plan.known);
    }
}

bool minute_close(struct minute *m, struct stream *s, int64_t end_ms, int64_t closed_at,
                  struct err *e)
{
    bool is_open = s->n_windows > 0 && s->windows[0].start_ms + m->rules.window_ms == end_ms;
    struct closing c = {.w = is_open ? &s->windows[0] : NULL};
    struct rollup row = row_begin(m, s, ROLLUP_ROW, end_ms, closed_at);
    bool has_five = five_end(end_ms) == end_ms || (s->five != NULL && s->five_end_ms <= end_ms);
    if (!record_make(m, s, &c, &row, has_five, e)) {
        return false;
    }
    s->closed_end_ms = end_ms;
    if (row.n_series > 0) {
        history_add(&s->history, end_ms, m->rules.window_ms);
    }
    if (!five_apply(m, s, &c.plan, &row, e)) {
        return false;
    }
    if (is_open) {
        stream_window_drop(s);
    }
    closing_end(s, &c);
    stream_sweep(s, m->log_ms - m->rules.horizon_ms);
    return true;
}

bool minute_amend(struct minute *m, struct stream *s, int64_t closed_at, struct err *e)
{
    struct closing c = {0};
    struct rollup row = row_begin(m, s, ROLLUP_AMEND, s->closed_end_ms, closed_at);
    m->counts.amends++;
    if (!record_make(m, s, &c, &row, false, e)) {
        return false;
    }
    closing_end(s, &c);
    return true;
}
