#include "unit/batch/samples.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES = 64 << 20, BUF_BYTES = 8 << 20 };

uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t random_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(random_next(state) % n);
}

static void *or_abort(void *p)
{
    if (p == NULL) {
        abort();
    }
    return p;
}

static struct slice random_text(uint64_t *r, struct arena *a, const char *prefix, uint32_t n_kinds)
{
    char *text = or_abort(arena_alloc(a, 1200));
    int len = snprintf(text, 1200, "%s%u", prefix, random_below(r, n_kinds));
    if (random_below(r, 200) == 0) { /* a long one */
        memset(text + len, 'x', 900);
        len += 900;
    }
    return slice_of(text, (size_t)len);
}

static void random_labels(uint64_t *r, struct arena *a, struct series *s)
{
    static const char *const names[] = {"arena", "build", "map", "mode", "queue", "region"};
    struct label *labels = or_abort(ARENA_ARRAY(a, struct label, 6));
    for (size_t i = 0; i < 6; i++) {
        if (random_below(r, 2) == 0) {
            labels[s->n_labels++] = (struct label){slice_str(names[i]), random_text(r, a, "v", 3)};
        }
    }
    s->labels = labels;
}

static struct series random_series(uint64_t *r, struct arena *a)
{
    struct series s = {.metric = random_text(r, a, "metric_", 8),
                       .unit = random_below(r, 2) == 0 ? SLICE_LITERAL("") : SLICE_LITERAL("ms"),
                       .kind = random_below(r, 4)};
    s.delta = s.kind != SERIES_GAUGE && random_below(r, 4) == 0;
    random_labels(r, a, &s);
    if (s.kind == SERIES_CLASSIC_HISTOGRAM) {
        double *bounds = or_abort(ARENA_ARRAY(a, double, 12));
        s.n_bounds = random_below(r, 12);
        for (uint32_t i = 0; i < s.n_bounds; i++) {
            bounds[i] = (i == 0 ? -3.0 : bounds[i - 1]) + 0.25 + random_below(r, 4);
        }
        s.bounds = bounds;
    }
    return s;
}

static int order_cmp(const void *a, const void *b)
{
    return series_cmp(*(const struct series *const *)a, *(const struct series *const *)b);
}

static void make_series(struct sample *s, uint64_t *r)
{
    uint32_t n = random_below(r, SAMPLE_MAX_SERIES + 1);
    const struct series *sorted[SAMPLE_MAX_SERIES];
    for (uint32_t i = 0; i < n; i++) {
        s->series[i] = random_series(r, &s->arena);
        sorted[i] = &s->series[i];
    }
    qsort(sorted, n, sizeof sorted[0], order_cmp);
    for (uint32_t i = 0; i < n; i++) {
        if (s->n_series == 0 || series_cmp(s->order[s->n_series - 1], sorted[i]) != 0) {
            s->order[s->n_series++] = sorted[i];
        }
    }
}

struct exp_buckets random_buckets(uint64_t *r, struct arena *a)
{
    struct histogram_span *spans = or_abort(ARENA_ARRAY(a, struct histogram_span, 6));
    uint64_t *counts = or_abort(ARENA_ARRAY(a, uint64_t, 6 * 20));
    struct exp_buckets b = {.n_spans = random_below(r, 7), .spans = spans, .counts = counts};
    for (uint32_t i = 0; i < b.n_spans; i++) {
        spans[i].offset =
            i == 0 ? (int32_t)random_below(r, 200) - 100 : (int32_t)random_below(r, 9);
        spans[i].n = random_below(r, 20);
        for (uint32_t k = 0; k < spans[i].n; k++) {
            counts[b.n_counts++] = random_next(r) >> (1 + random_below(r, 63));
        }
    }
    return b;
}

struct exp_histogram random_exp(uint64_t *r, struct arena *a)
{
    struct exp_histogram h = {.schema = (int32_t)random_below(r, 13) - 4,
                              .zero_threshold = random_below(r, 2) == 0 ? 0 : 1e-128,
                              .zero_count = random_below(r, 100),
                              .count = random_next(r) >> random_below(r, 64),
                              .sum = (double)random_below(r, 1000) - 500};
    if (random_below(r, 10) == 0) {
        memcpy(&h.sum, &stale_marker_bits, sizeof h.sum);
    }
    h.positive = random_buckets(r, a);
    h.negative = random_buckets(r, a);
    return h;
}

static void make_columns(struct sample *s, uint64_t *r)
{
    uint32_t n_values = 0;
    for (uint32_t i = 0; i < s->n_series; i++) {
        const struct series *one = s->order[i];
        uint64_t bits = random_next(r);
        if (one->kind == SERIES_EXP_HISTOGRAM) {
            struct exp_histogram h = random_exp(r, &s->arena);
            exp_histogram_encode(&h, &s->exp);
        } else if (one->kind == SERIES_CLASSIC_HISTOGRAM) {
            uint64_t counts[13];
            struct classic_histogram h = {.has_sum = random_below(r, 2) == 0,
                                          .stale = random_below(r, 9) == 0,
                                          .sum = random_below(r, 100),
                                          .count = bits >> random_below(r, 64),
                                          .n_counts = one->n_bounds + 1,
                                          .counts = counts};
            for (uint32_t k = 0; k < h.n_counts; k++) {
                counts[k] = random_next(r) >> random_below(r, 64);
            }
            classic_histogram_encode(&h, &s->classic);
        } else {
            memcpy(&s->values[n_values++], &bits, sizeof bits); /* NaNs of all kinds, too */
        }
    }
    s->batch.values = slice_of(s->values, n_values * sizeof(double));
    s->batch.exp = buf_slice(&s->exp);
    s->batch.classic = buf_slice(&s->classic);
}

static struct batch_times random_times(struct sample *s, uint64_t *r, int64_t *deltas)
{
    struct batch_times t = {.base_ms = (int64_t)(random_next(r) >> random_below(r, 64)) / 2};
    if (random_below(r, 2) == 0) {
        t.n_deltas = s->n_series;
        t.deltas = deltas;
    }
    for (uint32_t i = 0; i < s->n_series; i++) {
        deltas[i] = (int64_t)random_below(r, 20000) - 10000;
    }
    return t;
}

struct sample *sample_new(uint64_t seed)
{
    struct sample *s = or_abort(calloc(1, sizeof *s));
    struct err e = ERR_INIT;
    uint64_t r = seed;
    arena_init(&s->arena, ARENA_BYTES);
    buf_init(&s->shape, BUF_BYTES);
    buf_init(&s->exp, BUF_BYTES);
    buf_init(&s->classic, BUF_BYTES);
    buf_init(&s->bytes, BUF_BYTES);
    make_series(s, &r);
    if (!shape_encode(SLICE_LITERAL("server-7"), s->order, s->n_series, &s->arena, &s->shape, &e)) {
        abort();
    }
    s->batch = (struct batch){.tenant = random_text(&r, &s->arena, "tenant-", 5),
                              .class = random_below(&r, N_CLASSES),
                              .source = random_next(&r),
                              .received_ms = (int64_t)(random_next(&r) >> 22),
                              .origin = {.topic = SLICE_LITERAL("metrics.ingest"),
                                         .partition = (int32_t)random_below(&r, 128),
                                         .offset = (int64_t)(random_next(&r) >> 1),
                                         .index = (int32_t)random_below(&r, 9)},
                              .redriven = random_below(&r, 2) == 0 ? 0 : random_next(&r),
                              .shape = buf_slice(&s->shape)};
    memset(s->batch.origin.topic_id, (int)random_below(&r, 256), TOPIC_ID_BYTES);
    make_columns(s, &r);
    s->batch.times = random_times(s, &r, s->time_deltas);
    s->batch.starts = random_times(s, &r, s->start_deltas);
    batch_encode(&s->batch, &s->bytes);
    if (!buf_ok(&s->bytes)) {
        abort();
    }
    return s;
}

void sample_free(struct sample *s)
{
    arena_fini(&s->arena);
    buf_fini(&s->shape);
    buf_fini(&s->exp);
    buf_fini(&s->classic);
    buf_fini(&s->bytes);
    free(s);
}

uint8_t *vector_read(const char *folder, const char *name, size_t *n_bytes)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s/%s.bin", VECTORS, folder, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fprintf(stderr, "no vector %s\n", path);
        abort();
    }
    uint8_t *space = or_abort(malloc(VECTOR_MAX_BYTES));
    *n_bytes = fread(space, 1, VECTOR_MAX_BYTES, f);
    (void)fclose(f);
    uint8_t *exact = realloc(space, *n_bytes == 0 ? 1 : *n_bytes);
    return or_abort(exact);
}
