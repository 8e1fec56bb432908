#include "newest.h"

#include <stdlib.h>

enum {
    SHAPES_PER_SOURCE = 4,
    SERIES_COST_BYTES = 64, /* more than a slot's own, so that the ceiling bounds the slots, too */
    SOURCE_COST_BYTES = 64
};

struct shape_time {
    struct hash128 key;
    int64_t ms;      /* of each of its series at least */
    int64_t told_ms; /* … that the series' own entries know */
    bool exact;      /* each has a sample of just that time */
};

struct newest_source {
    int64_t ms;
    uint32_t n_shapes;
    uint32_t oldest; /* slot to be taken next */
    struct shape_time shapes[SHAPES_PER_SOURCE];
};

void newest_init(struct newest *n, const struct table *shapes, size_t max_bytes)
{
    n->shapes = shapes;
    table_init(&n->sources, max_bytes / 4, free);
    table_init(&n->series, max_bytes - max_bytes / 4, NULL);
}

void newest_fini(struct newest *n)
{
    table_fini(&n->sources);
    table_fini(&n->series);
}

/* Times are kept as pointers that are not NULL, with a bit whether they are exact: those before 1970
 * are not kept. */
static uintptr_t series_entry(struct newest *n, struct hash128 id)
{
    return (uintptr_t)table_find(&n->series, id);
}

static void series_raise(struct newest *n, struct hash128 id, int64_t ms, bool exact)
{
    uintptr_t entry = (uintptr_t)ms << 1 | exact;
    if (ms > 0 && ms < INT64_MAX / 2 && entry > series_entry(n, id)) {
        /* Without memory it stays unknown. */
        (void)table_put(&n->series, id, (void *)entry, SERIES_COST_BYTES);
    }
}

static void shape_tell(struct newest *n, struct shape_time *t)
{
    const struct wire_shape *w =
        t->ms > t->told_ms ? table_find((struct table *)(uintptr_t)n->shapes, t->key) : NULL;
    for (uint32_t i = 0; w != NULL && i < w->n_series; i++) {
        series_raise(n, w->series[i].id, t->ms, t->exact);
    }
    t->told_ms = t->ms;
}

static struct hash128 source_key(const struct scrape *s)
{
    return (struct hash128){s->source, 0};
}

static struct newest_source *source_get(struct newest *n, const struct scrape *s)
{
    struct newest_source *source = table_find(&n->sources, source_key(s));
    if (source == NULL) {
        source = calloc(1, sizeof *source);
        if (source == NULL) {
            return NULL;
        }
        source->ms = INT64_MIN;
        if (!table_put(&n->sources, source_key(s), source, sizeof *source + SOURCE_COST_BYTES)) {
            free(source);
            return NULL;
        }
    }
    return source;
}

static struct shape_time *shape_get(struct newest *n, struct newest_source *source,
                                    struct hash128 key)
{
    for (uint32_t i = 0; i < source->n_shapes; i++) {
        if (hash128_eq(source->shapes[i].key, key)) {
            return &source->shapes[i];
        }
    }
    uint32_t at = source->n_shapes;
    if (at < SHAPES_PER_SOURCE) {
        source->n_shapes++;
    } else {
        at = source->oldest;
        source->oldest = (at + 1) % SHAPES_PER_SOURCE;
        shape_tell(n, &source->shapes[at]);
    }
    source->shapes[at] = (struct shape_time){key, INT64_MIN, INT64_MIN, false};
    return &source->shapes[at];
}

/* Of several times the oldest is not that of all. */
static void shape_raise(struct shape_time *t, const struct scrape *s)
{
    bool exact = s->min_ms == s->max_ms;
    if (s->min_ms > t->ms) {
        t->ms = s->min_ms;
        t->exact = exact;
    } else if (s->min_ms == t->ms && exact && !t->exact) {
        t->exact = true;
        t->told_ms = INT64_MIN;
    }
}

void newest_taken(struct newest *n, const struct scrape *s, uint32_t from, uint32_t to)
{
    struct newest_source *source = source_get(n, s);
    if (source == NULL) {
        return;
    }
    if (to - from == s->shape->n_series) {
        shape_raise(shape_get(n, source, s->shape->key), s);
    } else {
        for (uint32_t i = from; i < to; i++) {
            series_raise(n, s->shape->series[i].id, scrape_time_ms(s, i), true);
        }
    }
    source->ms = s->max_ms > source->ms ? s->max_ms : source->ms;
}

bool newest_is_behind(struct newest *n, const struct scrape *s)
{
    struct newest_source *source = table_find(&n->sources, source_key(s));
    if (source == NULL || s->min_ms > source->ms) {
        return false;
    }
    for (uint32_t i = 0; i < source->n_shapes; i++) {
        shape_tell(n, &source->shapes[i]);
    }
    return true;
}

int64_t newest_of(struct newest *n, struct hash128 series)
{
    uintptr_t entry = series_entry(n, series);
    return entry == 0 ? INT64_MIN : (int64_t)(entry >> 1);
}

bool newest_has(struct newest *n, struct hash128 series, int64_t ms)
{
    return ms > 0 && series_entry(n, series) == ((uintptr_t)ms << 1 | 1);
}
