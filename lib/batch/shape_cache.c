#include <stdlib.h>

#include "batch/shape_draft.h"

/* One shape's memory: caps of 20,000 series with 64 labels come to about 130 MB. */
enum { MAX_SHAPE_BYTES = 192 << 20, SLACK_BYTES = 512 };

size_t shape_draft_bytes(const struct shape_draft *d)
{
    return d->bytes.len + d->n_series * sizeof *d->series + d->n_labels * sizeof *d->labels +
           d->n_bounds * sizeof *d->bounds;
}

static const uint8_t *moved(const uint8_t *p, struct slice from, struct slice to)
{
    return to.ptr + (p - from.ptr);
}

static void strings_move(struct shape *s, struct label *labels, uint32_t n_labels,
                         struct series *series, struct slice from, struct slice to)
{
    s->source_name.ptr = moved(s->source_name.ptr, from, to);
    for (uint32_t i = 0; i < n_labels; i++) {
        labels[i].name.ptr = moved(labels[i].name.ptr, from, to);
        labels[i].value.ptr = moved(labels[i].value.ptr, from, to);
    }
    for (uint32_t i = 0; i < s->n_series; i++) {
        series[i].metric.ptr = moved(series[i].metric.ptr, from, to);
        series[i].unit.ptr = moved(series[i].unit.ptr, from, to);
    }
}

static void series_finish(struct shape *s, struct series *series, struct slice tenant)
{
    for (uint32_t i = 0; i < s->n_series; i++) {
        series[i].id = series_id(tenant, series[i].metric, series[i].labels, series[i].n_labels);
        s->n_exp += series[i].kind == SERIES_EXP_HISTOGRAM;
        s->n_classic += series[i].kind == SERIES_CLASSIC_HISTOGRAM;
    }
    s->n_scalars = s->n_series - s->n_exp - s->n_classic;
    s->source = source_id(tenant, s->source_name);
}

bool shape_draft_finish(const struct shape_draft *d, struct slice tenant, bool copy_bytes,
                        struct arena *a, struct shape *out)
{
    *out = (struct shape){
        .bytes = d->bytes, .source_name = d->source_name, .n_series = d->n_series};
    if (copy_bytes) {
        out->bytes = arena_copy(a, d->bytes);
    }
    struct series *series = arena_alloc(a, d->n_series * sizeof *series);
    struct slice labels_copy = arena_copy(a, slice_of(d->labels, d->n_labels * sizeof *d->labels));
    struct slice bounds_copy = arena_copy(a, slice_of(d->bounds, d->n_bounds * sizeof *d->bounds));
    if (out->bytes.ptr == NULL || series == NULL || labels_copy.ptr == NULL ||
        bounds_copy.ptr == NULL) {
        return false;
    }
    struct label *labels = (void *)(uintptr_t)labels_copy.ptr;
    const double *bounds = (const void *)bounds_copy.ptr;
    for (uint32_t i = 0; i < d->n_series; i++) {
        series[i] = d->series[i];
        series[i].labels = labels + d->refs[i].labels;
        series[i].bounds = bounds + d->refs[i].bounds;
    }
    if (copy_bytes) {
        strings_move(out, labels, d->n_labels, series, d->bytes, out->bytes);
    }
    out->series = series;
    series_finish(out, series, tenant);
    return true;
}

static void cached_free(void *value)
{
    struct cached_shape *cached = value;
    if (cached->free_attached != NULL && cached->attached != NULL) {
        cached->free_attached(cached->attached);
    }
    arena_fini(&cached->arena);
    free(cached);
}

void shape_cache_init(struct shape_cache *c, size_t max_bytes, const struct shape_caps *caps,
                      void (*free_attached)(void *attached))
{
    *c = (struct shape_cache){.caps = *caps, .free_attached = free_attached};
    table_init(&c->table, max_bytes, cached_free);
    arena_init(&c->scratch, MAX_SHAPE_BYTES);
}

void shape_cache_fini(struct shape_cache *c)
{
    table_fini(&c->table);
    arena_fini(&c->scratch);
}

static struct cached_shape *cached_new(const struct shape_cache *c, const struct shape_draft *d,
                                       struct slice tenant)
{
    struct cached_shape *cached = calloc(1, sizeof *cached);
    if (cached == NULL) {
        return NULL;
    }
    cached->free_attached = c->free_attached;
    /* A ceiling just above what it takes makes the arena take no more than that. */
    arena_init(&cached->arena, shape_draft_bytes(d) + SLACK_BYTES);
    if (!shape_draft_finish(d, tenant, true, &cached->arena, &cached->shape)) {
        cached_free(cached);
        return NULL;
    }
    return cached;
}

static bool shape_add(struct shape_cache *c, struct hash128 key, struct slice tenant,
                      struct slice bytes, struct cached_shape **out, struct err *e)
{
    struct shape_draft draft;
    if (!shape_draft_decode(bytes, &c->caps, &c->scratch, &draft, e)) {
        return false;
    }
    struct cached_shape *cached = cached_new(c, &draft, tenant);
    if (cached == NULL) {
        return err_set(e, ERR_FATAL, "shape: out of memory");
    }
    if (!table_put(&c->table, key, cached, sizeof *cached + cached->arena.held_bytes)) {
        cached_free(cached);
        return err_set(e, ERR_FATAL, "shape: out of memory");
    }
    *out = cached;
    return true;
}

bool shape_cache_get(struct shape_cache *c, struct slice tenant, struct slice bytes,
                     struct cached_shape **out, struct err *e)
{
    struct hash128 key = hash128_seeded(bytes, hash64_seeded(tenant, 0));
    *out = table_find(&c->table, key);
    if (*out != NULL) {
        c->n_hits++;
        return true;
    }
    c->n_misses++;
    bool ok = shape_add(c, key, tenant, bytes, out, e);
    arena_reset(&c->scratch);
    return ok;
}
