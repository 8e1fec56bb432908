#include "inside.h"

/* The stream that the row is of; a stream's first record in the changelog makes it. */
static struct stream *stream_of_row(struct minute *m, const struct rollup *row,
                                    const struct shape *shape)
{
    struct hash128 key = stream_key(row->tenant, row->class, row->source);
    struct stream *s = table_find(&m->streams, key);
    if (s == NULL) {
        s = minute_stream_add(m, key, row->tenant, row->class, row->source, shape->source_name);
    }
    return s;
}

/* A plan of the row's own series. */
static bool plan_of_row(struct minute *m, struct stream *s, const struct rollup *row,
                        const struct shape *shape, struct row_plan *out, struct err *e)
{
    *out = (struct row_plan){.n = row->n_series, .shape = row->shape};
    if (row->n_series == 0) {
        return true;
    }
    struct layout *layouts = arena_alloc(&m->plan, row->n_series * sizeof *layouts);
    struct known_shape *k = stream_shape_find(s, row->shape);
    k = k != NULL ? k : stream_shape_add(s, shape);
    if (k == NULL || layouts == NULL) {
        return no_memory(e);
    }
    for (uint32_t i = 0; i < row->n_series; i++) {
        layouts[i] = layout_of(&shape->series[i]);
    }
    out->known = k;
    out->slots = k->slots;
    out->layouts = layouts;
    return true;
}

static bool stream_restore(struct minute *m, const struct rollup *row, const struct shape *shape,
                           struct err *e)
{
    struct row_plan plan;
    struct stream *s = stream_of_row(m, row, shape);
    if (s == NULL) {
        return no_memory(e);
    }
    if (s->source_name.len == 0 && shape->source_name.len > 0) {
        stream_name(s, shape->source_name); /* its first row had no series */
    }
    if (!plan_of_row(m, s, row, shape, &plan, e)) {
        return false;
    }
    if (plan.known != NULL) {
        shape_ref(plan.known);
    }
    bool ok = row_apply(m, s, &plan, row, e) &&
              (row->kind != ROLLUP_ROW || five_apply(m, s, &plan, row, e));
    if (plan.known != NULL) {
        shape_unref(s, plan.known);
    }
    s->row_ms = m->log_ms;
    if (row->kind == ROLLUP_ROW) {
        s->closed_end_ms = row->end_ms;
    }
    if (row->kind == ROLLUP_ROW && row->n_series > 0) {
        history_add(&s->history, row->end_ms, m->rules.window_ms);
    }
    if (row->closed_at >= 0) {
        s->closed_at = row->closed_at;
        stream_sweep(s, m->log_ms - m->rules.horizon_ms);
    }
    return ok && minute_due(m, s, e);
}

/* What a known shape says of its series, as far as a row's columns need it. */
static bool shape_of_known(struct minute *m, const struct stream *s, const struct known_shape *k,
                           struct shape *out, struct err *e)
{
    struct series *series = arena_calloc(&m->arena, k->n_series, sizeof *series);
    if (series == NULL) {
        return no_memory(e);
    }
    for (uint32_t i = 0; i < k->n_series; i++) {
        const struct slot *slot = &s->slots[k->slots[i]];
        series[i].kind = (enum series_kind)slot->kind;
        series[i].delta = slot->delta;
        series[i].n_bounds = slot->n_bounds;
    }
    *out = (struct shape){.source_name = s->source_name,
                          .n_series = k->n_series,
                          .n_scalars = k->n_scalars,
                          .n_exp = k->n_exp,
                          .n_classic = k->n_classic,
                          .series = series};
    return true;
}

/* The row's shape: mostly that of the stream's row before, and not decoded again. */
static bool shape_of_row(struct minute *m, const struct rollup *row, struct shape *out,
                         struct err *e)
{
    *out = (struct shape){0};
    if (row->shape.len == 0) {
        return true;
    }
    struct stream *s = table_find(&m->streams, stream_key(row->tenant, row->class, row->source));
    const struct known_shape *k = s == NULL ? NULL : stream_shape_find(s, row->shape);
    return k != NULL
               ? shape_of_known(m, s, k, out, e)
               : shape_decode(row->shape, row->tenant, &shape_default_caps, &m->arena, out, e);
}

bool minute_restore(struct minute *m, struct slice bytes, int64_t log_ms, struct err *e)
{
    struct rollup row;
    struct shape shape;
    arena_reset(&m->arena);
    arena_reset(&m->plan);
    m->is_restoring = true;
    m->log_ms = log_ms;
    bool ok = rollup_decode(bytes, &m->arena, &row, e) && shape_of_row(m, &row, &shape, e) &&
              rollup_check(&row, &shape, e);
    if (!ok || row.kind == ROLLUP_HEARTBEAT || row.window_ms != m->rules.window_ms) {
        e->kind = ERR_FATAL; /* state must not be guessed at */
        return ok ? err_set(e, ERR_FATAL, "not a row of %lld ms", (long long)m->rules.window_ms)
                  : false;
    }
    return stream_restore(m, &row, &shape, e);
}

void minute_restored(struct minute *m, int64_t log_ms)
{
    m->is_restoring = false;
    m->log_ms = log_ms;
    m->counts = (struct rollup_counts){0};
}
