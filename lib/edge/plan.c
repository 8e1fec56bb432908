#include "edge/plan.h"

#include <stdlib.h>

#include "batch/shape.h"

enum { MAX_SHAPE_BYTES = 8 << 20, SCRATCH_BYTES = 256 << 20 };

void plan_cache_init(struct plan_cache *c, size_t max_bytes)
{
    *c = (struct plan_cache){.max_bytes = max_bytes};
    table_init(&c->by_sequence, 0, NULL);
    arena_init(&c->arena, SIZE_MAX);
    arena_init(&c->scratch, SCRATCH_BYTES);
}

void plan_cache_fini(struct plan_cache *c)
{
    table_fini(&c->by_sequence);
    arena_fini(&c->arena);
    arena_fini(&c->scratch);
}

void plan_cache_clear(struct plan_cache *c)
{
    table_fini(&c->by_sequence);
    arena_reset(&c->arena);
}

size_t plan_cache_bytes(const struct plan_cache *c)
{
    return c->by_sequence.cost_bytes + c->arena.used_bytes;
}

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

/* A series on its way into order. */
struct placed {
    struct series series;
    uint32_t point;
};

static int id_cmp(const void *a, const void *b)
{
    const struct hash128 *x = a;
    const struct hash128 *y = b;
    if (x->hi != y->hi) {
        return x->hi < y->hi ? -1 : 1;
    }
    return (x->lo > y->lo) - (x->lo < y->lo);
}

static int placed_cmp(const void *a, const void *b)
{
    return series_cmp(&(*(const struct placed *const *)a)->series,
                      &(*(const struct placed *const *)b)->series);
}

/* In canonical order. NULL: no memory. */
static struct placed **place(struct arena *a, const struct series_cache *series,
                             const struct entry *const *entries, uint32_t n)
{
    size_t n_labels = 0;
    for (uint32_t i = 0; i < n; i++) {
        n_labels += entries[i]->known->n_labels;
    }
    struct placed *items = arena_alloc(a, n * sizeof *items);
    struct placed **sorted = arena_alloc(a, n * sizeof *sorted);
    struct label *labels = arena_alloc(a, n_labels * sizeof *labels);
    if (items == NULL || sorted == NULL || labels == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        series_cache_unfold(series, entries[i]->known, labels, &items[i].series);
        labels += entries[i]->known->n_labels;
        items[i].point = i;
        sorted[i] = &items[i];
    }
    qsort(sorted, n, sizeof *sorted, placed_cmp);
    return sorted;
}

/* Do two of the n have the same id? False: no memory. */
static bool ids_collide(struct arena *a, struct placed *const *sorted, uint32_t n, bool *collide)
{
    struct hash128 *ids = arena_alloc(a, n * sizeof *ids);
    if (ids == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = sorted[i]->series.id;
    }
    qsort(ids, n, sizeof *ids, id_cmp);
    *collide = false;
    for (uint32_t i = 1; i < n; i++) {
        *collide = *collide || hash128_eq(ids[i - 1], ids[i]);
    }
    return true;
}

/* Of one metric, one kind, and so on: then equal labels stand side by side in canonical order. */
static bool is_uniform(const struct series *x, const struct series *y)
{
    return x->kind == y->kind && x->delta == y->delta && slice_eq(x->unit, y->unit) &&
           x->n_bounds == 0 && y->n_bounds == 0;
}

/* Is every series there once, by its identity? */
static bool is_clean(struct arena *a, struct placed *const *sorted, uint32_t n, bool *clean)
{
    bool mixed = false;
    *clean = true;
    for (uint32_t i = 1; i < n; i++) {
        const struct series *x = &sorted[i - 1]->series;
        const struct series *y = &sorted[i]->series;
        *clean = *clean && !hash128_eq(x->id, y->id);
        mixed = mixed || (slice_eq(x->metric, y->metric) && !is_uniform(x, y));
    }
    if (!mixed || !*clean) {
        return true;
    }
    bool collide;
    if (!ids_collide(a, sorted, n, &collide)) {
        return false;
    }
    *clean = !collide;
    return true;
}

static bool columns_fill(struct plan_cache *c, struct placed *const *sorted, uint32_t n,
                         struct plan *p)
{
    uint32_t *order = arena_alloc(&c->arena, n * sizeof *order);
    uint32_t *columns = arena_alloc(&c->arena, n * sizeof *columns);
    if (order == NULL || columns == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        enum series_kind kind = sorted[i]->series.kind;
        order[i] = sorted[i]->point;
        p->n_exp += kind == SERIES_EXP_HISTOGRAM;
        p->n_classic += kind == SERIES_CLASSIC_HISTOGRAM;
    }
    p->n_scalars = n - p->n_exp - p->n_classic;
    uint32_t scalar = 0;
    uint32_t exponential = p->n_scalars;
    uint32_t classic = p->n_scalars + p->n_exp;
    for (uint32_t i = 0; i < n; i++) {
        enum series_kind kind = sorted[i]->series.kind;
        uint32_t *next = kind == SERIES_EXP_HISTOGRAM       ? &exponential
                         : kind == SERIES_CLASSIC_HISTOGRAM ? &classic
                                                            : &scalar;
        columns[(*next)++] = sorted[i]->point;
    }
    p->order = order;
    p->columns = columns;
    return true;
}

static bool plan_fill(struct plan_cache *c, const struct series_cache *series,
                      const struct entry *const *entries, uint32_t n, struct plan *p, struct err *e)
{
    struct placed **sorted = place(&c->scratch, series, entries, n);
    const struct series **pointers = arena_alloc(&c->scratch, n * sizeof *pointers);
    if (sorted == NULL || pointers == NULL || !is_clean(&c->scratch, sorted, n, &p->is_clean)) {
        return no_memory(e);
    }
    if (!p->is_clean) {
        return true;
    }
    if (!columns_fill(c, sorted, n, p)) {
        return no_memory(e);
    }
    for (uint32_t i = 0; i < n; i++) {
        pointers[i] = &sorted[i]->series;
    }
    struct buf shape;
    buf_init(&shape, MAX_SHAPE_BYTES);
    bool ok = shape_encode(entries[0]->stream->name, pointers, n, &c->scratch, &shape, e);
    if (ok) {
        p->shape = arena_copy(&c->arena, buf_slice(&shape));
        ok = p->shape.ptr != NULL || no_memory(e);
    }
    buf_fini(&shape);
    return ok;
}

static bool plan_make(struct plan_cache *c, const struct series_cache *series,
                      const struct entry *const *entries, uint32_t n, struct hash128 key,
                      const struct plan **out, struct err *e)
{
    c->n_misses++;
    arena_reset(&c->scratch);
    struct plan *p = arena_calloc(&c->arena, 1, sizeof *p);
    if (p == NULL) {
        return no_memory(e);
    }
    if (!plan_fill(c, series, entries, n, p, e)) {
        return false;
    }
    *out = p;
    return table_put(&c->by_sequence, key, p, 0) || no_memory(e);
}

bool plan_for(struct plan_cache *c, const struct series_cache *series,
              const struct entry *const *entries, uint32_t n, const struct plan **out,
              struct err *e)
{
    /* The entries' addresses are their identity until the caches are emptied, together. */
    struct hash128 key = hash128_seeded(slice_of(entries, n * sizeof *entries), 3);
    *out = table_find(&c->by_sequence, key);
    if (*out != NULL) {
        c->n_hits++;
        return true;
    }
    return plan_make(c, series, entries, n, key, out, e);
}
