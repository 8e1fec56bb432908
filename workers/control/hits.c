#include "hits.h"

#include <stdlib.h>
#include <string.h>

enum { SHAPES_BYTES = 64 << 20, BATCH_BYTES = 32 << 20, MAX_METRICS = 100000 };

/* What of a metric one batch of the shape carries. */
struct metric_hits {
    struct hits_metric *metric;
    uint32_t n;
};

/* Hung on a shape: what of it the rule hits. */
struct shape_hits {
    uint32_t n_hit;
    uint32_t n_metrics;
    struct metric_hits metrics[];
};

static void *const present = (void *)(uintptr_t)1; /* the value of what is a set */

static void metric_free(void *metric)
{
    free(metric);
}

void hits_init(struct hits *h, const struct control_rule *rule, size_t max_series)
{
    *h = (struct hits){.rule = rule, .max_series = max_series};
    shape_cache_init(&h->shapes, SHAPES_BYTES, &shape_default_caps, free);
    arena_init(&h->arena, BATCH_BYTES);
    table_init(&h->series, 0, NULL);
    table_init(&h->sources, 0, NULL);
    table_init(&h->metrics, 0, metric_free);
}

void hits_fini(struct hits *h)
{
    shape_cache_fini(&h->shapes);
    arena_fini(&h->arena);
    table_fini(&h->series);
    table_fini(&h->sources);
    table_fini(&h->metrics);
}

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

/* Into a set; *is_new: it was not there, and there was room. */
static bool set_put(struct hits *h, struct table *set, struct hash128 key, size_t max, bool *is_new,
                    struct err *e)
{
    *is_new = false;
    if (table_find(set, key) != NULL) {
        return true;
    }
    if (set->n >= max) {
        h->at_least = true;
        return true;
    }
    *is_new = true;
    return table_put(set, key, present, 0) || no_memory(e);
}

/* NULL: of the metrics beyond the cap, or out of memory (e set). */
static struct hits_metric *metric_of(struct hits *h, struct slice name, struct err *e)
{
    struct hash128 key = hash128(name);
    struct hits_metric *m = table_find(&h->metrics, key);
    if (m != NULL || h->metrics.n >= MAX_METRICS) {
        return m;
    }
    m = calloc(1, sizeof *m + name.len);
    if (m == NULL || !table_put(&h->metrics, key, m, 0)) {
        free(m);
        (void)no_memory(e);
        return NULL;
    }
    memcpy(m + 1, name.ptr, name.len);
    m->name = slice_of(m + 1, name.len);
    return m;
}

static uint32_t weight_of(const struct series *s)
{
    return s->kind == SERIES_CLASSIC_HISTOGRAM ? s->n_bounds + 3 : 1;
}

/* Counts a series once; m: its metric when it is hit, else NULL. */
static bool count_series(struct hits *h, const struct series *s, bool is_hit, struct hits_metric *m,
                         struct err *e)
{
    bool is_new;
    if (!set_put(h, &h->series, s->id, h->max_series, &is_new, e)) {
        return false;
    }
    uint32_t weight = is_new ? weight_of(s) : 0;
    h->tenant.n_series += weight;
    h->hit.n_series += is_hit ? weight : 0;
    if (m != NULL) {
        m->n_series += weight;
    }
    return true;
}

/* Series of one metric stand together in a shape. */
static bool judge_series(struct hits *h, const struct series *s, struct shape_hits *out,
                         struct err *e)
{
    if (!control_kill_matches(h->rule, h->rule->tenant, s)) {
        return count_series(h, s, false, NULL, e);
    }
    struct hits_metric *m = metric_of(h, s->metric, e);
    if (m == NULL && e->kind != ERR_NONE) {
        return false;
    }
    out->n_hit++;
    if (m != NULL && (out->n_metrics == 0 || out->metrics[out->n_metrics - 1].metric != m)) {
        out->metrics[out->n_metrics++] = (struct metric_hits){.metric = m};
    }
    if (m != NULL) {
        out->metrics[out->n_metrics - 1].n++;
    }
    return count_series(h, s, true, m, e);
}

static bool judge_shape(struct hits *h, struct cached_shape *cached, struct err *e)
{
    const struct shape *shape = &cached->shape;
    struct shape_hits *hits = calloc(1, sizeof *hits + shape->n_series * sizeof hits->metrics[0]);
    if (hits == NULL) {
        return no_memory(e);
    }
    cached->attached = hits;
    for (uint32_t i = 0; i < shape->n_series; i++) {
        if (!judge_series(h, &shape->series[i], hits, e)) {
            return false;
        }
    }
    return true;
}

static bool count_source(struct hits *h, uint64_t source, bool is_hit, struct err *e)
{
    bool is_new;
    if (!set_put(h, &h->sources, (struct hash128){source, 0}, h->max_series, &is_new, e)) {
        return false;
    }
    h->tenant.n_sources += is_new;
    if (is_hit &&
        !set_put(h, &h->sources, (struct hash128){source, 1}, 2 * h->max_series, &is_new, e)) {
        return false;
    }
    h->hit.n_sources += is_hit && is_new;
    return true;
}

static bool count_batch(struct hits *h, const struct batch *b, struct cached_shape *cached,
                        struct err *e)
{
    if (cached->attached == NULL && !judge_shape(h, cached, e)) {
        return false;
    }
    const struct shape_hits *of = cached->attached;
    bool is_hit = of->n_hit > 0 && !control_sample_passes(h->rule, b->source, b->times.base_ms);
    h->tenant.n_samples += cached->shape.n_series;
    h->hit.n_samples += is_hit ? of->n_hit : 0;
    for (uint32_t i = 0; is_hit && i < of->n_metrics; i++) {
        of->metrics[i].metric->n_samples += of->metrics[i].n;
    }
    return count_source(h, b->source, is_hit, e);
}

bool hits_take(struct hits *h, struct slice record, struct err *e)
{
    struct batch b;
    struct cached_shape *cached;
    struct err why = ERR_INIT;
    arena_reset(&h->arena);
    if (!batch_decode(record, &batch_default_caps, &h->arena, &b, &why)) {
        h->n_bad++;
        return true;
    }
    if (!slice_eq(b.tenant, h->rule->tenant) || b.shape.len == 0) {
        return true;
    }
    if (!shape_cache_get(&h->shapes, b.tenant, b.shape, &cached, &why) ||
        !batch_check_shape(&b, &cached->shape, &why)) {
        h->n_bad++;
        return true;
    }
    return count_batch(h, &b, cached, e);
}

static bool is_more(const struct hits_metric *a, const struct hits_metric *b)
{
    return a->n_samples != b->n_samples ? a->n_samples > b->n_samples
                                        : slice_cmp(a->name, b->name) < 0;
}

size_t hits_top(const struct hits *h, struct hits_metric out[HITS_TOP])
{
    size_t n = 0;
    size_t at = 0;
    for (const struct hits_metric *m; (m = table_next(&h->metrics, &at)) != NULL;) {
        size_t place = n;
        while (place > 0 && is_more(m, &out[place - 1])) {
            place--;
        }
        if (place == HITS_TOP || m->n_samples == 0) {
            continue; /* 0: every batch of it was let through by the sampling */
        }
        n += n < HITS_TOP;
        for (size_t i = n - 1; i > place; i--) {
            out[i] = out[i - 1];
        }
        out[place] = *m;
    }
    return n;
}
