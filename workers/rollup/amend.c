#include <stdlib.h>

#include "inside.h"

static int by_slot(const void *a, const void *b)
{
    const struct late_point *x = *(const struct late_point *const *)a;
    const struct late_point *y = *(const struct late_point *const *)b;
    if (x->slot != y->slot) {
        return x->slot < y->slot ? -1 : 1;
    }
    return x < y ? -1 : x > y; /* as they came */
}

static int by_window(const void *a, const void *b)
{
    const struct late_point *x = *(const struct late_point *const *)a;
    const struct late_point *y = *(const struct late_point *const *)b;
    if (x->end_ms != y->end_ms) {
        return x->end_ms < y->end_ms ? -1 : 1;
    }
    return by_slot(a, b);
}

bool late_sort(struct minute *m, const struct stream *s, struct late_order *out, struct err *e)
{
    const struct late_list *l = &s->late;
    *out = (struct late_order){0};
    if (l->n == 0) {
        return true;
    }
    out->by_slot = arena_alloc(&m->plan, l->n * sizeof(struct late_point *));
    out->first = arena_calloc(&m->plan, (size_t)s->n_slots + 1, sizeof *out->first);
    out->has_fold = arena_calloc(&m->plan, (size_t)s->n_slots + 1, sizeof *out->has_fold);
    if (out->by_slot == NULL || out->first == NULL || out->has_fold == NULL) {
        return no_memory(e);
    }
    for (uint32_t i = 0; i < l->n; i++) {
        const struct late_point *p = &l->points[i];
        if (s->slots[p->slot].delta) {
            out->by_slot[out->n_by_slot++] = p;
            out->first[p->slot + 1]++;
            out->has_fold[p->slot] = true;
        }
    }
    qsort(out->by_slot, out->n_by_slot, sizeof(struct late_point *), by_slot);
    for (uint32_t i = 0; i < s->n_slots; i++) {
        out->first[i + 1] += out->first[i];
    }
    return true;
}

struct fold_list late_folds(const struct late_order *o, uint32_t slot)
{
    if (o->n_by_slot == 0) {
        return (struct fold_list){0};
    }
    return (struct fold_list){o->by_slot + o->first[slot], o->first[slot + 1] - o->first[slot]};
}

/* ---- amends ---- */

static bool amend_columns(struct minute *m, const struct stream *s, const struct row_plan *plan,
                          const struct late_point **points, uint32_t n, struct buf columns[4],
                          uint32_t *samples, struct err *e)
{
    const uint32_t *at = NULL;
    uint32_t *first = arena_calloc(&m->plan, (size_t)s->n_slots + 2, sizeof *first);
    if (first == NULL) {
        return no_memory(e);
    }
    at = first;
    for (uint32_t i = 0; i < n; i++) {
        first[points[i]->slot + 1]++;
    }
    for (uint32_t i = 0; i < s->n_slots; i++) {
        first[i + 1] += first[i];
    }
    for (uint32_t i = 0; i < plan->n; i++) {
        uint32_t slot = plan->slots[i];
        struct fold_list list = {points + at[slot], at[slot + 1] - at[slot]};
        struct row_series v;
        if (!amounts_add(&m->increase, &s->slots[slot], &list, &v, e)) {
            return false;
        }
        samples[i] = v.samples;
        switch ((enum series_kind)s->slots[slot].kind) {
        case SERIES_COUNTER:
            buf_double(&columns[0], v.delta);
            break;
        case SERIES_GAUGE:
            buf_double(&columns[1], v.sum);
            buf_double(&columns[1], v.min);
            buf_double(&columns[1], v.max);
            break;
        case SERIES_EXP_HISTOGRAM:
            buf_put_slice(&columns[2], v.packed[1]);
            break;
        case SERIES_CLASSIC_HISTOGRAM:
            buf_put_slice(&columns[3], v.packed[1]);
            break;
        }
    }
    return true;
}

/* The amend of these points, all of one window and in the order of slots. */
static bool amend_make(struct minute *m, struct stream *s, const struct late_point **points,
                       uint32_t n, struct rollup_amend *out, struct err *e)
{
    struct row_plan plan;
    bool *is_in = arena_calloc(&m->plan, (size_t)s->n_slots + 1, sizeof *is_in);
    if (is_in == NULL) {
        return no_memory(e);
    }
    for (uint32_t i = 0; i < n; i++) {
        is_in[points[i]->slot] = true;
    }
    if (!plan_slots(m, s, is_in, &plan, e)) {
        return false;
    }
    struct buf columns[4];
    for (int i = 0; i < 4; i++) {
        buf_init(&columns[i], row_shape_caps.max_bytes);
    }
    uint32_t *samples = arena_calloc(&m->plan, (size_t)plan.n + 1, sizeof *samples);
    bool ok = samples != NULL && amend_columns(m, s, &plan, points, n, columns, samples, e);
    if (ok) {
        const struct rollup_amend_columns c = {plan.n,
                                               samples,
                                               buf_slice(&columns[0]),
                                               buf_slice(&columns[1]),
                                               buf_slice(&columns[2]),
                                               buf_slice(&columns[3])};
        buf_reset(&m->amends);
        rollup_amend_encode(&c, &m->amends);
        *out = (struct rollup_amend){.end_ms = points[0]->end_ms,
                                     .shape = arena_copy(&m->plan, plan.shape),
                                     .columns = arena_copy(&m->plan, buf_slice(&m->amends)),
                                     .n_series = plan.n};
        ok = (buf_ok(&m->amends) && out->shape.ptr != NULL && out->columns.ptr != NULL) ||
             no_memory(e);
    }
    for (int i = 0; i < 4; i++) {
        buf_fini(&columns[i]);
    }
    return ok;
}

bool amends_make(struct minute *m, struct stream *s, struct rollup *row, struct err *e)
{
    const struct late_list *l = &s->late;
    if (l->n == 0) {
        return true;
    }
    const struct late_point **points = arena_alloc(&m->plan, l->n * sizeof *points);
    struct rollup_amend *amends = arena_alloc(&m->plan, l->n * sizeof *amends);
    if (points == NULL || amends == NULL) {
        return no_memory(e);
    }
    for (uint32_t i = 0; i < l->n; i++) {
        points[i] = &l->points[i];
    }
    qsort(points, l->n, sizeof *points, by_window);
    for (uint32_t i = 0, next; i < l->n; i = next) {
        for (next = i + 1; next < l->n && points[next]->end_ms == points[i]->end_ms; next++) {
        }
        if (!amend_make(m, s, points + i, next - i, &amends[row->n_amends], e)) {
            return false;
        }
        row->n_amends++;
    }
    row->amends = amends;
    return true;
}
