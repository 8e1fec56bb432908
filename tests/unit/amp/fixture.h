/* Batches as validate would write them, for amp's tests: each series' labels say which it is. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "batch/batch.h"
#include "batch/histogram.h"

enum { FIXTURE_MAX = 1400, FIXTURE_LABELS = 3 };

struct fixture {
    struct arena arena;
    struct buf shape;
    struct buf values;
    struct buf exp;
    struct buf classic;
    struct buf record;
    struct series series[FIXTURE_MAX];
    const struct series *order[FIXTURE_MAX]; /* canonical */
    struct label labels[FIXTURE_MAX][FIXTURE_LABELS];
    uint32_t n;
    struct batch batch;
};

static inline struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    arena_init(&f->arena, 64 << 20);
    struct buf *bufs[] = {&f->shape, &f->values, &f->exp, &f->classic, &f->record};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) {
        buf_init(bufs[i], 64 << 20);
    }
    return f;
}

static inline void fixture_free(struct fixture *f)
{
    buf_fini(&f->shape);
    buf_fini(&f->values);
    buf_fini(&f->exp);
    buf_fini(&f->classic);
    buf_fini(&f->record);
    arena_fini(&f->arena);
    free(f);
}

static inline struct slice fixture_text(struct fixture *f, const char *prefix, unsigned n)
{
    char text[64];
    int len = snprintf(text, sizeof text, "%s%u", prefix, n);
    return arena_copy(&f->arena, slice_of(text, (size_t)len));
}

/* A series named metric_<n> with labels zone (an empty value when n is a multiple of 5), Zone and
 * server. */
static inline struct series *fixture_series(struct fixture *f, enum series_kind kind, unsigned n,
                                            unsigned server)
{
    struct series *s = &f->series[f->n];
    struct label *labels = f->labels[f->n];
    labels[0] = (struct label){SLICE_LITERAL("Zone"), fixture_text(f, "Z", n % 7)};
    labels[1] = (struct label){SLICE_LITERAL("server"), fixture_text(f, "gs-", server)};
    labels[2] = (struct label){SLICE_LITERAL("zone"),
                               n % 5 == 0 ? SLICE_LITERAL("") : fixture_text(f, "z", n % 3)};
    *s = (struct series){.metric = fixture_text(f, "metric_", n),
                         .kind = kind,
                         .n_labels = FIXTURE_LABELS,
                         .labels = labels};
    s->id = series_id(SLICE_LITERAL("demo"), s->metric, labels, FIXTURE_LABELS);
    f->order[f->n++] = s;
    return s;
}

static inline int fixture_cmp(const void *a, const void *b)
{
    return series_cmp(*(const struct series *const *)a, *(const struct series *const *)b);
}

/* The series in canonical order, and their shape; then the columns are to be filled in that order.
 */
static inline bool fixture_shape(struct fixture *f, unsigned server, struct err *e)
{
    struct slice name = fixture_text(f, "gs-", server);
    qsort(f->order, f->n, sizeof *f->order, fixture_cmp);
    f->batch = (struct batch){
        .tenant = SLICE_LITERAL("demo"),
        .class = CLASS_STANDARD,
        .source = source_id(SLICE_LITERAL("demo"), name),
        .received_ms = INT64_C(1800000000000),
        .origin = {.topic = SLICE_LITERAL("metrics.ingest"), .partition = 3, .offset = 77}};
    buf_reset(&f->shape);
    buf_reset(&f->values);
    buf_reset(&f->exp);
    buf_reset(&f->classic);
    return shape_encode(name, f->order, f->n, &f->arena, &f->shape, e);
}

static inline struct slice fixture_record(struct fixture *f)
{
    f->batch.shape = buf_slice(&f->shape);
    f->batch.values = buf_slice(&f->values);
    f->batch.exp = buf_slice(&f->exp);
    f->batch.classic = buf_slice(&f->classic);
    buf_reset(&f->record);
    batch_encode(&f->batch, &f->record);
    return buf_slice(&f->record);
}
