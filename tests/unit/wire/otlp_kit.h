/* A walk over an OTLP message that keeps what it has seen, and messages made by hand. */
#pragma once

#include <check.h>

#include "unit/wire/otlp_random.h"
#include "wire/otlp.h"

enum { MAX_BYTES = 64 << 20 };

/* What the last points looked like, and how many there were. */
struct seen {
    uint32_t n_metrics;
    uint32_t n_points;
    uint32_t n_expected;
    struct hash128 expected[256];
    struct hash128 keys[256];
    const char *fault;
    uint32_t n_attributes;
    uint32_t n_resource_attributes;
    uint64_t n_counts;
    int32_t offset;
    double value;
    uint64_t time_ns;
    enum otlp_kind kind;
    enum otlp_temporality temporality;
};

static inline uint32_t count_attributes(struct slice run)
{
    struct cursor c = cursor_of(run);
    struct otlp_attribute a;
    uint32_t n = 0;
    while (otlp_attribute_next(&c, &a)) {
        n++;
    }
    ck_assert(cursor_ok(&c));
    return n;
}

static inline bool see_metric(void *ctx, const struct otlp_metric *m, struct err *e)
{
    struct seen *s = ctx;
    (void)e;
    s->n_metrics++;
    s->kind = m->kind;
    s->temporality = m->temporality;
    s->n_resource_attributes = count_attributes(m->resource->attributes);
    return true;
}

static inline bool see_point(void *ctx, const struct otlp_metric *m, const struct otlp_point *p,
                      struct err *e)
{
    struct seen *s = ctx;
    (void)m;
    (void)e;
    s->keys[s->n_points++ % 256] = p->series_key;
    s->fault = p->fault;
    s->n_attributes = count_attributes(p->attributes);
    s->n_counts = p->n_counts + p->positive.n;
    s->offset = p->positive.offset;
    s->value = p->value;
    s->time_ns = p->time_ns;
    return true;
}

static inline void see_expected(void *ctx, struct hash128 key)
{
    struct seen *s = ctx;
    s->expected[s->n_expected++ % 256] = key;
}

static inline bool walk(struct slice message, const struct otlp_caps *caps, struct seen *s, struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, MAX_BYTES);
    *s = (struct seen){0};
    *e = (struct err)ERR_INIT;
    struct otlp_sink sink = {
        .ctx = s, .metric = see_metric, .point = see_point, .expect = see_expected};
    bool ok = otlp_walk(message, caps, &scratch, &sink, e);
    arena_fini(&scratch);
    return ok;
}

/* Wraps the bytes of a Metric's fields, or of one point, as a message. */
static inline void wrap(struct buf *b, uint32_t number)
{
    struct buf inner;
    buf_init(&inner, MAX_BYTES);
    buf_put_slice(&inner, buf_slice(b));
    buf_reset(b);
    pb_put_bytes(b, number, buf_slice(&inner));
    buf_fini(&inner);
}

static inline void wrap_metric(struct buf *b)
{
    wrap(b, 2);
    wrap(b, 2);
    wrap(b, 1);
}

static inline void wrap_point(struct buf *b, uint32_t kind_field)
{
    wrap(b, 1);
    wrap(b, kind_field);
    wrap_metric(b);
}

static inline void put_attribute(struct buf *b, uint32_t number, const char *name, const char *value)
{
    struct buf v;
    struct buf kv;
    buf_init(&v, MAX_BYTES);
    buf_init(&kv, MAX_BYTES);
    pb_put_str(&v, 1, value);
    pb_put_str(&kv, 1, name);
    pb_put_bytes(&kv, 2, buf_slice(&v));
    pb_put_bytes(b, number, buf_slice(&kv));
    buf_fini(&v);
    buf_fini(&kv);
}
