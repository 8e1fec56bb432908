#include <math.h>
#include <stdlib.h>

#include "inside.h"

/* Does point i of x lie in the window and count? */
static bool point_is_in(const struct stream *s, const struct scrape *x, uint32_t i, int64_t start_ms,
                        int64_t end_ms)
{
    int64_t ms = x->times == NULL ? x->time_ms : x->times[i];
    if (ms < start_ms || ms >= end_ms || ms < x->min_ms) {
        return false;
    }
    const struct slot *slot = &s->slots[x->shape->slots[i]];
    uint32_t ordinal = x->shape->ordinals == NULL ? i : x->shape->ordinals[i];
    return slot_is_packed(slot) || value_counts((enum series_kind)slot->kind, x->values[ordinal]);
}

static void window_mark(const struct minute *m, const struct stream *s, const struct window *w,
                        bool *is_in)
{
    for (uint32_t k = 0; k < w->n_scrapes; k++) {
        const struct scrape *x = w->scrapes[k];
        for (uint32_t i = 0; i < x->shape->n_series; i++) {
            bool *at = &is_in[x->shape->slots[i]];
            *at = *at || !x->is_partial ||
                  point_is_in(s, x, i, w->start_ms, w->start_ms + m->rules.window_ms);
        }
    }
}

static bool layouts_make(struct minute *m, const struct stream *s, struct row_plan *p,
                         struct err *e)
{
    struct layout *layouts = arena_alloc(&m->plan, ((size_t)p->n + 1) * sizeof *layouts);
    if (layouts == NULL) {
        return no_memory(e);
    }
    for (uint32_t i = 0; i < p->n; i++) {
        const struct slot *slot = &s->slots[p->slots[i]];
        layouts[i] = (struct layout){slot->kind, slot->delta, slot->n_bounds};
    }
    p->layouts = layouts;
    return true;
}

static bool plan_known(struct minute *m, const struct stream *s, struct known_shape *k,
                       struct row_plan *out, struct err *e)
{
    *out = (struct row_plan){.slots = k->slots, .n = k->n_series, .shape = k->bytes, .known = k};
    return layouts_make(m, s, out, e);
}

static uint32_t count_marked(const bool *is_in, uint32_t n)
{
    uint32_t n_in = 0;
    for (uint32_t i = 0; i < n; i++) {
        n_in += is_in[i];
    }
    return n_in;
}

static bool all_marked(const struct known_shape *k, const bool *is_in)
{
    for (uint32_t i = 0; i < k->n_series; i++) {
        if (!is_in[k->slots[i]]) {
            return false;
        }
    }
    return true;
}

/* One of the shapes at hand that has just these series. */
static struct known_shape *shape_of_marked(const struct stream *s, const bool *is_in, uint32_t n)
{
    for (uint32_t i = 0; i < s->n_recent; i++) {
        struct known_shape *k = s->recent[i];
        if (!k->is_stale && k->n_series == n && all_marked(k, is_in)) {
            return k;
        }
    }
    return NULL;
}

/* The definition of a slot's series; each shape is decoded once per plan. */
static const struct series *series_of(struct minute *m, const struct stream *s, uint32_t slot,
                                      struct err *e)
{
    struct known_shape *k = s->slots[slot].shape;
    if (k->decoded == NULL) {
        struct shape *shape = arena_alloc(&m->plan, sizeof *shape);
        if (shape == NULL ||
            !shape_decode(k->bytes, s->tenant, &row_shape_caps, &m->plan, shape, e)) {
            e->kind = ERR_FATAL; /* it was decoded before */
            return NULL;
        }
        k->decoded = shape;
    }
    return &k->decoded->series[s->slots[slot].index];
}

static int series_order(const void *a, const void *b)
{
    return series_cmp(*(const struct series *const *)a, *(const struct series *const *)b);
}

static bool series_list(struct minute *m, const struct stream *s, const bool *is_in,
                        const struct series **list, struct err *e)
{
    bool ok = true;
    uint32_t n = 0;
    for (uint32_t i = 0; ok && i < s->n_slots; i++) {
        if (is_in[i]) {
            list[n] = series_of(m, s, i, e);
            ok = list[n++] != NULL;
        }
    }
    for (uint32_t i = 0; i < s->n_slots; i++) {
        s->slots[i].shape->decoded = NULL;
    }
    return ok;
}

/* A shape of these series that no record came in. */
static bool plan_new(struct minute *m, struct stream *s, const bool *is_in, uint32_t n,
                     struct row_plan *out, struct err *e)
{
    struct buf bytes;
    struct shape shape;
    const struct series **list = arena_calloc(&m->plan, (size_t)n + 1, sizeof *list);
    if (list == NULL) {
        return no_memory(e);
    }
    buf_init(&bytes, row_shape_caps.max_bytes);
    bool ok = series_list(m, s, is_in, list, e);
    if (ok) {
        qsort(list, n, sizeof *list, series_order);
        ok = shape_encode(s->source_name, list, n, &m->plan, &bytes, e) && buf_ok(&bytes) &&
             shape_decode(buf_slice(&bytes), s->tenant, &row_shape_caps, &m->plan, &shape, e);
    }
    struct known_shape *k = ok ? stream_shape_add(s, &shape) : NULL;
    buf_fini(&bytes);
    if (k == NULL) {
        return ok ? no_memory(e)
                  : err_set(e, ERR_FATAL, "a row's shape is too large: %u series", n);
    }
    return plan_known(m, s, k, out, e);
}

bool plan_slots(struct minute *m, struct stream *s, const bool *is_in, struct row_plan *out,
                struct err *e)
{
    uint32_t n = count_marked(is_in, s->n_slots);
    *out = (struct row_plan){0};
    if (n == 0) {
        return layouts_make(m, s, out, e);
    }
    struct known_shape *k = shape_of_marked(s, is_in, n);
    return k != NULL ? plan_known(m, s, k, out, e) : plan_new(m, s, is_in, n, out, e);
}

/* All scrapes of one shape, all their points in: the usual window. */
static struct known_shape *only_shape(const struct window *w)
{
    struct known_shape *k = w->scrapes[0]->shape;
    for (uint32_t i = 0; i < w->n_scrapes; i++) {
        if (w->scrapes[i]->shape != k || w->scrapes[i]->is_partial) {
            return NULL;
        }
    }
    return k;
}

bool plan_window(struct minute *m, struct stream *s, const struct window *w, const bool *has_fold,
                 struct row_plan *out, struct err *e)
{
    struct known_shape *k = w == NULL || has_fold != NULL ? NULL : only_shape(w);
    if (k != NULL) {
        bool ok = plan_known(m, s, k, out, e);
        out->is_plain = true;
        return ok;
    }
    bool *is_in = arena_calloc(&m->plan, (size_t)s->n_slots + 1, sizeof *is_in);
    if (is_in == NULL) {
        return no_memory(e);
    }
    if (has_fold != NULL) {
        memcpy(is_in, has_fold, s->n_slots * sizeof *is_in);
    }
    if (w != NULL) {
        window_mark(m, s, w, is_in);
    }
    return plan_slots(m, s, is_in, out, e);
}

/* ---- points ---- */

static bool points_room(struct point_list *p, struct err *e)
{
    if (p->n < p->cap) {
        return true;
    }
    uint32_t cap = p->cap == 0 ? 64 : p->cap * 2;
    struct point *items = reallocarray(p->items, cap, sizeof *items);
    if (items == NULL) {
        return no_memory(e);
    }
    p->items = items;
    p->cap = cap;
    return true;
}

/* Of series i in the window's scrape number n. */
static void point_put(struct point_list *p, const struct scrape *x, uint32_t n_scrape, uint32_t i,
                      enum series_kind kind)
{
    const struct known_shape *k = x->shape;
    uint32_t ordinal = k->ordinals == NULL ? i : k->ordinals[i];
    struct point *at = &p->items[p->n++];
    at->order = n_scrape;
    at->ms = x->times == NULL ? x->time_ms : x->times[i];
    at->start_ms = x->starts == NULL ? x->start_ms : x->starts[i];
    if (!kind_is_packed((uint8_t)kind)) {
        at->value = x->values[ordinal];
        return;
    }
    uint32_t n = kind == SERIES_CLASSIC_HISTOGRAM ? k->n_exp + ordinal : ordinal;
    at->packed = slice_of(x->packed + x->at[n], x->at[n + 1] - x->at[n]);
}

bool points_index(struct minute *m, const struct stream *s, const struct window *w,
                  struct point_index *out, struct err *e)
{
    size_t n = 0;
    for (uint32_t k = 0; k < w->n_scrapes; k++) {
        n += w->scrapes[k]->shape->n_series;
    }
    uint32_t *first = arena_calloc(&m->plan, (size_t)s->n_slots + 2, sizeof *first);
    struct point_ref *refs = arena_alloc(&m->plan, (n + 1) * sizeof *refs);
    if (first == NULL || refs == NULL) {
        return no_memory(e);
    }
    for (uint32_t k = 0; k < w->n_scrapes;
         k++) { /* counted one place on, so that filling moves it */
        const struct known_shape *shape = w->scrapes[k]->shape;
        for (uint32_t i = 0; i < shape->n_series; i++) {
            first[shape->slots[i] + 2]++;
        }
    }
    for (uint32_t i = 2; i < s->n_slots + 2; i++) {
        first[i] += first[i - 1];
    }
    for (uint32_t k = 0; k < w->n_scrapes; k++) {
        const struct known_shape *shape = w->scrapes[k]->shape;
        for (uint32_t i = 0; i < shape->n_series; i++) {
            refs[first[shape->slots[i] + 1]++] = (struct point_ref){k, i};
        }
    }
    *out = (struct point_index){first, refs};
    return true;
}

bool points_of_series(struct minute *m, const struct window *w, uint32_t series,
                      enum series_kind kind, struct err *e)
{
    m->points.n = 0;
    for (uint32_t k = 0; k < w->n_scrapes; k++) {
        if (!points_room(&m->points, e)) {
            return false;
        }
        point_put(&m->points, w->scrapes[k], k, series, kind);
    }
    return true;
}

bool points_of_slot(struct minute *m, const struct stream *s, const struct window *w,
                    const struct point_index *index, uint32_t slot, struct err *e)
{
    m->points.n = 0;
    for (uint32_t at = index->first[slot]; at < index->first[slot + 1]; at++) {
        const struct point_ref *r = &index->refs[at];
        const struct scrape *x = w->scrapes[r->scrape];
        if (!points_room(&m->points, e)) {
            return false;
        }
        if (!x->is_partial ||
            point_is_in(s, x, r->series, w->start_ms, w->start_ms + m->rules.window_ms)) {
            point_put(&m->points, x, r->scrape, r->series, (enum series_kind)s->slots[slot].kind);
        }
    }
    return true;
}
