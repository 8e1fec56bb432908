#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "batch/histogram.h"

enum { MAX_SERIES = 20000, ARENA_BYTES = 128 << 20 };

uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct made {
    struct arena arena;
    struct series *series;
    uint32_t n;
};

static struct slice copied(struct made *m, const char *from, size_t len)
{
    struct slice s = arena_copy(&m->arena, slice_of(from, len));
    ck_assert_ptr_nonnull(s.ptr);
    return s;
}

/* "a=1,b=2", sorted as it stands; n < 0: no label n. */
static void labels_make(struct made *m, struct series *s, const char *text, size_t len, long n)
{
    struct label *labels = ARENA_ARRAY(&m->arena, struct label, 8);
    ck_assert_ptr_nonnull(labels);
    for (const char *end = text + len; text < end;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *stop = comma == NULL ? end : comma;
        const char *equals = memchr(text, '=', (size_t)(stop - text));
        ck_assert_ptr_nonnull(equals);
        labels[s->n_labels++] = (struct label){copied(m, text, (size_t)(equals - text)),
                                               copied(m, equals + 1, (size_t)(stop - equals - 1))};
        text = comma == NULL ? end : comma + 1;
    }
    if (n >= 0) {
        char value[16];
        int digits = snprintf(value, sizeof value, "%06ld", n);
        labels[s->n_labels++] =
            (struct label){SLICE_LITERAL("n"), copied(m, value, (size_t)digits)};
    }
    s->labels = labels;
}

static void kind_make(struct made *m, struct series *s, const char **at)
{
    if (**at != ':') {
        return;
    }
    char kind = *++*at;
    ++*at;
    s->kind = kind == 'g'   ? SERIES_GAUGE
              : kind == 'e' ? SERIES_EXP_HISTOGRAM
                            : SERIES_CLASSIC_HISTOGRAM;
    if (kind == 'c') {
        s->n_bounds = (uint32_t)strtoul(*at, (char **)(uintptr_t)at, 10);
        double *bounds = ARENA_ARRAY(&m->arena, double, s->n_bounds + 1);
        for (uint32_t i = 0; i < s->n_bounds; i++) {
            bounds[i] = i + 0.5;
        }
        s->bounds = bounds;
    }
}

static void item_make(struct made *m, const char **at)
{
    size_t n_name = strcspn(*at, "{:* ");
    struct series s = {.metric = copied(m, *at, n_name)};
    const char *labels = NULL;
    size_t n_labels = 0;
    long from = -1;
    long to = 0;
    *at += n_name;
    if (**at == '{') {
        labels = *at + 1;
        n_labels = strcspn(labels, "}");
        *at = labels + n_labels + 1;
    }
    kind_make(m, &s, at);
    if (**at == '*') {
        char *end;
        to = strtol(*at + 1, &end, 10);
        from = 0;
        if (*end == '-') {
            from = to;
            to = strtol(end + 1, &end, 10);
        }
        *at = end;
    }
    for (long n = from; n < to; n++) {
        ck_assert_uint_lt(m->n, MAX_SERIES);
        m->series[m->n] = s;
        labels_make(m, &m->series[m->n], labels, n_labels, n);
        m->n++;
    }
}

static int canonical(const void *x, const void *y)
{
    return series_cmp(*(const struct series *const *)x, *(const struct series *const *)y);
}

static const struct series **series_make(struct made *m, const char *text)
{
    arena_init(&m->arena, ARENA_BYTES);
    static struct series
        space[MAX_SERIES]; /* not cleared each time: thousands of batches are made */
    static const struct series *sorted[MAX_SERIES];
    m->series = space;
    m->n = 0;
    while (*text != '\0') {
        text += strspn(text, " ");
        if (*text != '\0') {
            item_make(m, &text);
        }
    }
    for (uint32_t i = 0; i < m->n; i++) {
        sorted[i] = &m->series[i];
    }
    qsort(sorted, m->n, sizeof sorted[0], canonical);
    return sorted;
}

struct columns {
    struct buf values;
    struct buf exp;
    struct buf classic;
};

static void exp_put(struct columns *c, uint64_t x)
{
    const struct histogram_span spans[] = {{(int32_t)(x % 9) - 4, 2}, {3, 1}};
    const uint64_t counts[] = {x % 5, 1, x % 70000};
    const struct exp_histogram h = {.schema = 3,
                                    .zero_count = x % 3,
                                    .count = x % 3 + x % 5 + 1 + x % 70000,
                                    .sum = (double)x,
                                    .positive = {2, 3, spans, counts}};
    exp_histogram_encode(&h, &c->exp);
}

static void classic_put(struct columns *c, uint64_t x, uint32_t n_bounds)
{
    uint64_t counts[2048];
    struct classic_histogram h = {
        .has_sum = x % 4 != 0, .sum = (double)x, .n_counts = n_bounds + 1, .counts = counts};
    for (uint32_t i = 0; i <= n_bounds; i++) {
        counts[i] = (x + i) % 300;
        h.count += counts[i];
    }
    classic_histogram_encode(&h, &c->classic);
}

static void columns_put(struct columns *c, const struct series *const *series, uint32_t n,
                        uint64_t seed)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t x = next_random(&seed) % 1000000;
        if (series[i]->kind == SERIES_EXP_HISTOGRAM) {
            exp_put(c, x);
        } else if (series[i]->kind == SERIES_CLASSIC_HISTOGRAM) {
            classic_put(c, x, series[i]->n_bounds);
        } else {
            buf_double(&c->values, (double)x);
        }
    }
}

/* Deltas of either sign, and starts that some points don't have. */
static void times_make(struct made *m, struct batch *b, uint64_t seed)
{
    int64_t *deltas = ARENA_ARRAY(&m->arena, int64_t, m->n);
    int64_t *starts = ARENA_ARRAY(&m->arena, int64_t, m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        deltas[i] = (int64_t)(next_random(&seed) % 2001) - 1000;
        starts[i] = i % 3 == 0 ? -b->times.base_ms : -(int64_t)(next_random(&seed) % 100000);
    }
    b->starts.base_ms = b->times.base_ms;
    b->times.n_deltas = b->starts.n_deltas = m->n;
    b->times.deltas = deltas;
    b->starts.deltas = starts;
}

static void origin_fill(struct rig *r, const struct rig_batch *o, struct batch *b)
{
    b->origin = (struct origin){.topic = SLICE_LITERAL("metrics.ingest.t"),
                                .topic_id = {1, o->topic_id},
                                .partition = o->ingest,
                                .offset = o->offset != 0 ? o->offset : r->origin++,
                                .index = o->index};
}

struct slice rig_encode(struct rig *r, const struct rig_batch *o)
{
    struct made m;
    struct columns c;
    struct err e = ERR_INIT;
    struct buf shape;
    struct slice source = slice_str(o->source == NULL ? "gs-1" : o->source);
    struct batch b = {.tenant = slice_str(o->tenant == NULL ? "t" : o->tenant),
                      .class = o->class,
                      .received_ms = NOW_MS + o->at_ms,
                      .redriven = o->redriven,
                      .times = {.base_ms = NOW_MS + o->at_ms - 100}};
    const struct series **series = series_make(&m, o->series);
    b.source = source_id(b.tenant, source);
    origin_fill(r, o, &b);
    buf_init(&shape, 8 << 20);
    buf_init(&c.values, 8 << 20);
    buf_init(&c.exp, 8 << 20);
    buf_init(&c.classic, 8 << 20);
    ck_assert_msg(shape_encode(source, series, m.n, &m.arena, &shape, &e), "%s", e.text);
    columns_put(&c, series, m.n, (uint64_t)b.origin.offset);
    if (o->has_deltas) {
        times_make(&m, &b, (uint64_t)b.origin.offset + 7);
    }
    b.shape = buf_slice(&shape);
    b.values = buf_slice(&c.values);
    b.exp = buf_slice(&c.exp);
    b.classic = buf_slice(&c.classic);
    buf_reset(&r->batch);
    batch_encode(&b, &r->batch);
    ck_assert(buf_ok(&shape) && buf_ok(&c.values) && buf_ok(&c.exp) && buf_ok(&c.classic) &&
              buf_ok(&r->batch));
    buf_fini(&shape);
    buf_fini(&c.values);
    buf_fini(&c.exp);
    buf_fini(&c.classic);
    arena_fini(&m.arena);
    return buf_slice(&r->batch);
}

static struct slice value_next(const struct series *s, struct cursor *values, struct cursor *exp,
                               struct cursor *classic, struct arena *a)
{
    struct err e = ERR_INIT;
    struct exp_histogram eh;
    struct classic_histogram ch;
    const uint8_t *from;
    switch (s->kind) {
    case SERIES_EXP_HISTOGRAM:
        from = exp->next;
        ck_assert_msg(exp_histogram_decode(exp, 1000, a, &eh, &e), "%s", e.text);
        return slice_of(from, (size_t)(exp->next - from));
    case SERIES_CLASSIC_HISTOGRAM:
        from = classic->next;
        ck_assert_msg(classic_histogram_decode(classic, s->n_bounds, a, &ch, &e), "%s", e.text);
        return slice_of(from, (size_t)(classic->next - from));
    default:
        return cursor_take(values, sizeof(double));
    }
}

uint32_t rig_points(struct slice value, struct arena *a, struct batch *b, struct rig_point **out)
{
    struct err e = ERR_INIT;
    struct shape shape;
    ck_assert_msg(batch_decode(value, &batch_default_caps, a, b, &e), "%s", e.text);
    ck_assert_msg(shape_decode(b->shape, b->tenant, &shape_default_caps, a, &shape, &e), "%s",
                  e.text);
    ck_assert_msg(batch_check_shape(b, &shape, &e), "%s", e.text);
    ck_assert_uint_eq(b->source, shape.source);
    int64_t *times = ARENA_ARRAY(a, int64_t, shape.n_series);
    int64_t *starts = ARENA_ARRAY(a, int64_t, shape.n_series);
    *out = ARENA_ARRAY(a, struct rig_point, shape.n_series);
    ck_assert(batch_times_decode(&b->times, shape.n_series, times, &e) &&
              batch_times_decode(&b->starts, shape.n_series, starts, &e));
    struct cursor values = cursor_of(b->values);
    struct cursor exp = cursor_of(b->exp);
    struct cursor classic = cursor_of(b->classic);
    for (uint32_t i = 0; i < shape.n_series; i++) {
        const struct series *s = &shape.series[i];
        (*out)[i] = (struct rig_point){s->id,
                                       s->metric,
                                       s->kind,
                                       s->n_bounds,
                                       times[i],
                                       starts[i],
                                       value_next(s, &values, &exp, &classic, a)};
    }
    ck_assert(cursor_left(&values) == 0 && cursor_left(&exp) == 0 && cursor_left(&classic) == 0);
    return shape.n_series;
}
