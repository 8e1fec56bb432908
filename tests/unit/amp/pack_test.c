/* Compressed templates against the plain path: whatever goes in, libsnappy decompresses the same
 * bytes out of both. */
#include <snappy-c.h>

#include "../runner.h"
#include "fixture.h"
#include "pack.h"
#include "template.h"

enum { MAX_SCRAPES = 12, ROUNDS = 300, MANY_BUCKETS = 25000 };

static uint64_t state;

static uint32_t rnd(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 20) % n);
}

static uint64_t rnd64(void)
{
    uint64_t high = rnd(UINT32_MAX);
    return high << 32 | rnd(UINT32_MAX);
}

/* --- random scrapes --- */

static struct slice random_value(struct fixture *f)
{
    uint32_t n = rnd(200) == 0 ? 1 + rnd(20000) : rnd(40) == 0 ? 1 + rnd(1000) : 1 + rnd(70);
    uint8_t *text = arena_alloc(&f->arena, n);
    ck_assert_ptr_nonnull(text);
    uint32_t n_letters = 1 + rnd(5);
    for (uint32_t i = 0; i < n; i++) {
        text[i] = (uint8_t)('a' + rnd(n_letters));
    }
    return slice_of(text, n);
}

static void random_series(struct fixture *f, unsigned i, unsigned mix)
{
    static const double bounds[] = {0.5, 1, 10};
    enum series_kind kind = i % 2 == 0 ? SERIES_COUNTER : SERIES_GAUGE;
    if (mix > 0 && rnd(mix) == 0) {
        kind = rnd(2) == 0 ? SERIES_EXP_HISTOGRAM : SERIES_CLASSIC_HISTOGRAM;
    }
    struct series *s = fixture_series(f, kind, i, 1);
    if (rnd(4) == 0) {
        f->labels[f->n - 1][1].value = random_value(f);
        s->id = series_id(SLICE_LITERAL("demo"), s->metric, s->labels, s->n_labels);
    }
    s->delta = kind != SERIES_GAUGE && mix > 0 && rnd(12) == 0;
    if (kind == SERIES_CLASSIC_HISTOGRAM) {
        s->n_bounds = 3;
        s->bounds = bounds;
    }
}

/* Now and then one so long that no copy reaches over it. */
static void random_exponential(struct fixture *f, uint32_t i)
{
    static uint64_t counts[MANY_BUCKETS];
    uint32_t n = rnd(30) == 0 ? 1 + rnd(MANY_BUCKETS) : 4;
    for (uint32_t k = 0; k < n; k++) {
        counts[k] = rnd(2) == 0 ? rnd(9) : rnd(1 << 20);
    }
    const struct histogram_span span = {(int32_t)rnd(40) - 20, n};
    const struct exp_histogram h = {
        .schema = 3, .count = 9, .sum = 0.25 * i, .positive = {1, n, &span, counts}};
    exp_histogram_encode(&h, &f->exp);
}

static void random_columns(struct fixture *f)
{
    for (uint32_t i = 0; i < f->n; i++) {
        uint64_t counts[4] = {rnd(9), rnd(1000), 0, rnd(3)};
        if (f->order[i]->kind == SERIES_EXP_HISTOGRAM) {
            random_exponential(f, i);
        } else if (f->order[i]->kind == SERIES_CLASSIC_HISTOGRAM) {
            const struct classic_histogram h = {
                .has_sum = rnd(2) == 0, .sum = i, .count = 9, .n_counts = 4, .counts = counts};
            classic_histogram_encode(&h, &f->classic);
        } else {
            buf_le64(&f->values, rnd64());
        }
    }
}

/* One time; a time for each; one beyond what has 6 bytes among them. */
static void random_times(struct fixture *f)
{
    static const int64_t bases[] = {INT64_C(1800000000123), INT64_C(1) << 35,
                                    (INT64_C(1) << 42) - 2000, 5};
    uint32_t kind = rnd(4);
    int64_t *deltas = NULL;
    if (kind < 2) {
        deltas = ARENA_ARRAY(&f->arena, int64_t, f->n);
        ck_assert_ptr_nonnull(deltas);
        for (uint32_t i = 0; i < f->n; i++) {
            deltas[i] = kind == 0 && i == f->n / 2 ? -5 : (int64_t)rnd(1000);
        }
    }
    f->batch.times = (struct batch_times){.base_ms = bases[rnd(10) < 7 ? 0 : rnd(4)],
                                          .n_deltas = deltas == NULL ? 0 : f->n,
                                          .deltas = deltas};
}

static struct wire_shape *random_shape(struct fixture *f, struct shape *shape)
{
    struct shape_caps caps = shape_default_caps;
    caps.max_value_bytes = 32 << 10;
    struct err e = ERR_INIT;
    struct wire_shape *w;
    uint32_t n = rnd(5) == 0 ? 1 + rnd(FIXTURE_MAX) : 1 + rnd(60);
    unsigned mix = rnd(3) == 0 ? 0 : 1 + rnd(12);
    for (uint32_t i = 0; i < n; i++) {
        random_series(f, i, mix);
    }
    ck_assert_msg(fixture_shape(f, 1, &e), "%s", e.text);
    ck_assert_msg(shape_decode(buf_slice(&f->shape), f->batch.tenant, &caps,
                               &f->arena, shape, &e),
                  "%s", e.text);
    ck_assert_msg(
        wire_shape_new(shape, f->batch.tenant, &(struct wire_names){.tenant_label = rnd(2) == 0 ? "" : "tenant"}, 64 << 20, &w, &e), "%s",
        e.text);
    return w;
}

/* --- both ways --- */

struct request {
    struct scrape *scrapes[MAX_SCRAPES];
    uint32_t from[MAX_SCRAPES];
    uint32_t to[MAX_SCRAPES];
    uint32_t n;
};

struct packed {
    uint8_t *plain;
    size_t n_plain;
    size_t n_wire;
};

static struct packed pack(const struct request *r)
{
    struct packer p;
    struct buf body;
    struct slice wire;
    struct err e = ERR_INIT;
    packer_init(&p, 64 << 20);
    buf_init(&body, 64 << 20);
    packer_begin(&p, &body);
    for (uint32_t i = 0; i < r->n; i++) {
        packer_add(&p, r->scrapes[i], r->from[i], r->to[i], &body);
    }
    ck_assert_msg(packer_end(&p, &body, &wire, &e), "%s", e.text);
    struct packed out = {.n_wire = wire.len};
    const char *bytes = (const char *)wire.ptr;
    if (wire.len > 0) {
        ck_assert_int_eq(snappy_validate_compressed_buffer(bytes, wire.len), SNAPPY_OK);
        ck_assert_int_eq(snappy_uncompressed_length(bytes, wire.len, &out.n_plain), SNAPPY_OK);
        out.plain = malloc(out.n_plain);
        ck_assert_ptr_nonnull(out.plain);
        ck_assert_int_eq(snappy_uncompress(bytes, wire.len, (char *)out.plain, &out.n_plain),
                         SNAPPY_OK);
    }
    packer_fini(&p);
    buf_fini(&body);
    return out;
}

static void templates_set(struct wire_shape *w)
{
    for (int form = 0; form < N_TEMPLATE_FORMS; form++) {
        w->templates[form] = template_new(w, (enum template_form)form);
        ck_assert_ptr_nonnull(w->templates[form]);
    }
}

static void templates_clear(struct wire_shape *w)
{
    for (int form = 0; form < N_TEMPLATE_FORMS; form++) {
        template_free(w->templates[form]);
        w->templates[form] = NULL;
    }
}

static void check_same(const struct request *r, struct wire_shape *const *shapes)
{
    struct packed plain = pack(r);
    for (uint32_t i = 0; i < r->n; i++) {
        templates_set(shapes[i]);
    }
    struct packed quick = pack(r);
    for (uint32_t i = 0; i < r->n; i++) {
        templates_clear(shapes[i]);
    }
    ck_assert_uint_eq(plain.n_plain, quick.n_plain);
    ck_assert(plain.n_plain == 0 || memcmp(plain.plain, quick.plain, plain.n_plain) == 0);
    free(plain.plain);
    free(quick.plain);
}

START_TEST(both_ways_give_the_same_bytes)
{
    state = 88172645463325252u + (uint64_t)_i * 1000003;
    for (int round = 0; round < ROUNDS / 10; round++) {
        struct request r = {.n = 1 + rnd(MAX_SCRAPES)};
        struct wire_shape *shapes[MAX_SCRAPES];
        for (uint32_t i = 0; i < r.n; i++) {
            struct fixture *f = fixture_new();
            struct shape shape;
            struct err e = ERR_INIT;
            shapes[i] = random_shape(f, &shape);
            random_columns(f);
            random_times(f);
            struct batch b;
            ck_assert_msg(batch_decode(fixture_record(f), &batch_default_caps, &f->arena, &b, &e),
                          "%s", e.text);
            ck_assert_msg(scrape_new(&b, shapes[i], &r.scrapes[i], &e), "%s", e.text);
            bool whole = rnd(3) > 0;
            r.from[i] = whole ? 0 : rnd(shape.n_series);
            r.to[i] = whole ? shape.n_series : r.from[i] + 1 + rnd(shape.n_series - r.from[i]);
            fixture_free(f);
        }
        check_same(&r, shapes);
        for (uint32_t i = 0; i < r.n; i++) {
            scrape_free(r.scrapes[i]);
            wire_shape_unref(shapes[i]);
        }
    }
}
END_TEST

/* Two series of nearly the same labels, a histogram of about so many bytes between them: copies reach over it, or there
 * are none. */
static void check_pair(uint32_t n_value, uint32_t n_buckets)
{
    static uint64_t counts[MANY_BUCKETS * 4];
    struct fixture *f = fixture_new();
    struct shape_caps caps = shape_default_caps;
    struct shape shape;
    struct wire_shape *w;
    struct batch b;
    struct err e = ERR_INIT;
    struct request r = {.n = 1, .to = {2}};
    uint8_t *text = arena_alloc(&f->arena, n_value);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_lt(n_buckets, sizeof counts / sizeof counts[0]);
    memset(text, 'v', n_value);
    caps.max_value_bytes = 128 << 10;
    for (unsigned i = 0; i < 2; i++) {
        struct series *s = fixture_series(f, SERIES_EXP_HISTOGRAM, i + 1, 1);
        f->labels[i][1].value = slice_of(text, n_value);
        s->id = series_id(SLICE_LITERAL("demo"), s->metric, s->labels, s->n_labels);
    }
    ck_assert(fixture_shape(f, 1, &e));
    const struct histogram_span span = {0, n_buckets};
    const struct exp_histogram h = {.schema = 3, .sum = 1, .positive = {1, n_buckets, &span, counts}};
    exp_histogram_encode(&h, &f->exp);
    exp_histogram_encode(&h, &f->exp);
    ck_assert(shape_decode(buf_slice(&f->shape), f->batch.tenant, &caps, &f->arena, &shape, &e));
    ck_assert(wire_shape_new(&shape, f->batch.tenant, &(struct wire_names){.tenant_label = ""}, 64 << 20, &w, &e));
    f->batch.times = (struct batch_times){.base_ms = INT64_C(1800000000123)};
    ck_assert(batch_decode(fixture_record(f), &batch_default_caps, &f->arena, &b, &e));
    ck_assert_msg(scrape_new(&b, w, &r.scrapes[0], &e), "%u: %s", n_buckets, e.text);
    check_same(&r, &w);
    scrape_free(r.scrapes[0]);
    wire_shape_unref(w);
    fixture_free(f);
}

START_TEST(copies_reach_as_far_as_two_bytes_say)
{
    check_pair(70000, 10);
    check_pair(20000, 50000);
    for (uint32_t n = 64000; n < 65480; n += 19) {
        check_pair(900, n);
        check_pair(1, n);
    }
}
END_TEST

/* What a template saves: a scrape of similar series takes no more than this per sample. */
START_TEST(templates_compress)
{
    struct fixture *f = fixture_new();
    struct shape shape;
    struct err e = ERR_INIT;
    struct batch b;
    struct request r = {.n = 1, .to = {1200}};
    struct wire_shape *w;
    state = 1;
    for (uint32_t i = 0; i < 1200; i++) {
        (void)fixture_series(f, SERIES_COUNTER, i, 1);
    }
    ck_assert(fixture_shape(f, 1, &e));
    ck_assert(shape_decode(buf_slice(&f->shape), f->batch.tenant, &shape_default_caps, &f->arena,
                           &shape, &e));
    ck_assert(wire_shape_new(&shape, f->batch.tenant, &(struct wire_names){.tenant_label = ""}, 64 << 20, &w, &e));
    random_columns(f);
    f->batch.times = (struct batch_times){.base_ms = INT64_C(1800000000123)};
    ck_assert(batch_decode(fixture_record(f), &batch_default_caps, &f->arena, &b, &e));
    ck_assert(scrape_new(&b, w, &r.scrapes[0], &e));
    templates_set(w);
    struct packed quick = pack(&r);
    ck_assert_uint_lt(quick.n_wire, 1200 * 26);
    ck_assert_uint_gt(quick.n_plain, 1200 * 60);
    free(quick.plain);
    scrape_free(r.scrapes[0]);
    wire_shape_unref(w);
    fixture_free(f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pack");
    TCase *tc = tcase_create("templates");
    tcase_add_loop_test(tc, both_ways_give_the_same_bytes, 0, 10);
    tcase_add_test(tc, copies_reach_as_far_as_two_bytes_say);
    tcase_add_test(tc, templates_compress);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
