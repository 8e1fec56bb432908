#include <stdlib.h>

#include "batch/shape_draft.h"

/* One shape's memory: caps of 20,000 series with 64 labels come to about 130 MB. */
enum { MAX_SHAPE_BYTES = 192 << 20, SLACK_BYTES = 256, PART_ALIGN = 16 };

/* All that a shape consists of is one piece of memory: its parts' sizes, rounded up. */
static size_t part_bytes(size_t n, size_t item_bytes)
{
    return (n * item_bytes + PART_ALIGN - 1) & ~(size_t)(PART_ALIGN - 1);
}

size_t shape_draft_bytes(const struct shape_draft *d)
{
    return part_bytes(d->bytes.len, 1) + part_bytes(d->n_series, sizeof *d->series) +
           part_bytes(d->n_labels, sizeof *d->labels) + part_bytes(d->n_bounds, sizeof *d->bounds);
}

static void *part_take(uint8_t **piece, const void *items, size_t n, size_t item_bytes)
{
    uint8_t *part = *piece;
    if (n > 0) {
        memcpy(part, items, n * item_bytes);
    }
    *piece += part_bytes(n, item_bytes);
    return part;
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
    uint8_t *piece = arena_alloc(a, shape_draft_bytes(d));
    if (piece == NULL) {
        return false;
    }
    struct series *series = part_take(&piece, d->series, d->n_series, sizeof *series);
    struct label *labels = part_take(&piece, d->labels, d->n_labels, sizeof *labels);
    const double *bounds = part_take(&piece, d->bounds, d->n_bounds, sizeof *bounds);
    *out = (struct shape){.bytes = d->bytes,
                          .source_name = d->source_name,
                          .n_series = d->n_series,
                          .series = series};
    for (uint32_t i = 0; i < d->n_series; i++) {
        series[i].labels = labels + d->refs[i].labels;
        series[i].bounds = bounds + d->refs[i].bounds;
    }
    if (copy_bytes) {
        out->bytes.ptr = part_take(&piece, d->bytes.ptr, d->bytes.len, 1);
        strings_move(out, labels, d->n_labels, series, d->bytes, out->bytes);
    }
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
