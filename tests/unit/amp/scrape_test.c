/* The wire form, read back by protobuf-c's generated decoder. */
#include <math.h>

#include "../runner.h"
#include "bound_text.h"
#include "fixture.h"
#include "remote_write.pb-c.h"
#include "scrape.h"

static const int64_t usual_ms = INT64_C(1800000000123);

/* What went into the columns, in canonical order. */
struct truth {
    double values[FIXTURE_MAX];
    int64_t times[FIXTURE_MAX];
    uint64_t counts[FIXTURE_MAX][4];
};

static void columns_fill(struct fixture *f, struct truth *t)
{
    for (uint32_t i = 0; i < f->n; i++) {
        const struct series *s = f->order[i];
        if (s->kind == SERIES_EXP_HISTOGRAM) {
            uint64_t counts[3] = {i, 2, 5};
            const struct histogram_span span = {-3, 3};
            const struct exp_histogram h = {.schema = 3,
                                            .zero_threshold = 1e-9,
                                            .zero_count = i,
                                            .count = 2 * i + 7,
                                            .sum = 0.5 * i,
                                            .positive = {1, 3, &span, counts}};
            exp_histogram_encode(&h, &f->exp);
        } else if (s->kind == SERIES_CLASSIC_HISTOGRAM) {
            for (uint32_t k = 0; k <= s->n_bounds; k++) {
                t->counts[i][k] = i + k;
            }
            const struct classic_histogram h = {.has_sum = true,
                                                .sum = i * 0.25,
                                                .count = i * 4 + 6,
                                                .n_counts = s->n_bounds + 1,
                                                .counts = t->counts[i]};
            classic_histogram_encode(&h, &f->classic);
        } else {
            buf_double(&f->values, t->values[i]);
        }
    }
}

struct decoded {
    struct wire_shape *shape;
    struct scrape *scrape;
    struct buf wire;
    Prometheus__WriteRequest *request;
};

static void go(struct fixture *f, const char *tenant_label, uint32_t from, uint32_t to,
               struct decoded *d)
{
    struct err e = ERR_INIT;
    struct batch b;
    struct shape shape;
    struct slice record = fixture_record(f);
    ck_assert_msg(batch_decode(record, &batch_default_caps, &f->arena, &b, &e), "%s", e.text);
    ck_assert_msg(shape_decode(b.shape, b.tenant, &shape_default_caps, &f->arena, &shape, &e), "%s",
                  e.text);
    ck_assert_msg(wire_shape_new(&shape, b.tenant, &(struct wire_names){.tenant_label = tenant_label}, 64 << 20, &d->shape, &e), "%s",
                  e.text);
    ck_assert_msg(scrape_new(&b, d->shape, &d->scrape, &e), "%s", e.text);
    buf_init(&d->wire, 64 << 20);
    scrape_encode(d->scrape, from, to, &d->wire);
    ck_assert(buf_ok(&d->wire));
    d->request = prometheus__write_request__unpack(NULL, d->wire.len, d->wire.ptr);
    ck_assert_ptr_nonnull(d->request);
}

static void end(struct fixture *f, struct decoded *d)
{
    prometheus__write_request__free_unpacked(d->request, NULL);
    buf_fini(&d->wire);
    scrape_free(d->scrape);
    wire_shape_unref(d->shape);
    fixture_free(f);
}

static const char *label(const Prometheus__TimeSeries *ts, const char *name)
{
    for (size_t i = 0; i < ts->n_labels; i++) {
        if (strcmp(ts->labels[i]->name, name) == 0) {
            return ts->labels[i]->value;
        }
    }
    return NULL;
}

static void check_labels(const Prometheus__TimeSeries *ts, const struct series *s, size_t n_extra)
{
    size_t n_full = 0;
    for (uint32_t i = 0; i < s->n_labels; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", SLICE_ARG(s->labels[i].name));
        const char *value = label(ts, name);
        if (s->labels[i].value.len == 0) {
            ck_assert_ptr_null(value);
        } else {
            ck_assert(slice_eq_str(s->labels[i].value, value));
            n_full++;
        }
    }
    ck_assert_uint_eq(ts->n_labels, n_full + 1 + n_extra);
    for (size_t i = 1; i < ts->n_labels; i++) {
        ck_assert_int_lt(strcmp(ts->labels[i - 1]->name, ts->labels[i]->name), 0);
    }
}

static uint64_t bits(double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static struct fixture *scalars(struct truth *t, uint32_t n)
{
    struct err e = ERR_INIT;
    struct fixture *f = fixture_new();
    for (uint32_t i = 0; i < n; i++) {
        (void)fixture_series(f, i % 2 == 0 ? SERIES_COUNTER : SERIES_GAUGE, i, 9);
    }
    ck_assert(fixture_shape(f, 9, &e));
    static const double odd[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 5e-324, 1.5, -1e300};
    for (uint32_t i = 0; i < n; i++) {
        t->values[i] = odd[i % 8];
        if (i % 16 == 4) {
            memcpy(&t->values[i], &stale_marker_bits, sizeof t->values[i]);
        }
    }
    columns_fill(f, t);
    f->batch.times.base_ms = usual_ms;
    return f;
}

START_TEST(every_bit_of_a_scalar_arrives)
{
    struct truth t;
    struct decoded d;
    struct fixture *f = scalars(&t, 50);
    go(f, "", 0, 50, &d);
    ck_assert_uint_eq(d.request->n_timeseries, 50);
    for (uint32_t i = 0; i < 50; i++) {
        const Prometheus__TimeSeries *ts = d.request->timeseries[i];
        check_labels(ts, f->order[i], 0);
        ck_assert(slice_eq_str(f->order[i]->metric, label(ts, "__name__")));
        ck_assert_uint_eq(ts->n_samples, 1);
        ck_assert_uint_eq(bits(ts->samples[0]->value), bits(t.values[i]));
        ck_assert_int_eq(ts->samples[0]->timestamp, usual_ms);
    }
    end(f, &d);
}
END_TEST

START_TEST(pieces_and_times_of_any_length)
{
    static const int64_t times[] = {0,
                                    1,
                                    127,
                                    128,
                                    (INT64_C(1) << 35) - 1,
                                    INT64_C(1) << 35,
                                    (INT64_C(1) << 42) - 1,
                                    INT64_C(1) << 42,
                                    -1,
                                    INT64_C(4000000000000)};
    enum { N = sizeof times / sizeof times[0] };
    struct truth t;
    struct decoded d;
    struct fixture *f = scalars(&t, N);
    int64_t deltas[N];
    for (size_t i = 0; i < N; i++) {
        deltas[i] = times[i] - 1000;
    }
    f->batch.times = (struct batch_times){.base_ms = 1000, .n_deltas = N, .deltas = deltas};
    go(f, "", 2, N, &d);
    ck_assert_uint_eq(d.request->n_timeseries, N - 2);
    for (size_t i = 2; i < N; i++) {
        ck_assert_int_eq(d.request->timeseries[i - 2]->samples[0]->timestamp, times[i]);
        ck_assert_uint_eq(bits(d.request->timeseries[i - 2]->samples[0]->value), bits(t.values[i]));
    }
    end(f, &d);
}
END_TEST

START_TEST(a_tenant_label_is_sorted_in)
{
    struct truth t;
    struct decoded d;
    struct fixture *f = scalars(&t, 3);
    go(f, "tenant", 0, 3, &d);
    check_labels(d.request->timeseries[1], f->order[1], 1);
    ck_assert_str_eq(label(d.request->timeseries[1], "tenant"), "demo");
    struct slice metric;
    ck_assert(wire_shape_label(d.shape, 1, "__name__", &metric) &&
              slice_eq(metric, f->order[1]->metric));
    end(f, &d);
}
END_TEST

START_TEST(native_histograms_bucket_by_bucket)
{
    struct truth t = {0};
    struct decoded d;
    struct err e = ERR_INIT;
    struct fixture *f = fixture_new();
    for (uint32_t i = 0; i < 20; i++) {
        (void)fixture_series(f, i % 2 == 0 ? SERIES_EXP_HISTOGRAM : SERIES_COUNTER, i, 1);
    }
    ck_assert(fixture_shape(f, 1, &e));
    columns_fill(f, &t);
    f->batch.times.base_ms = usual_ms;
    go(f, "", 0, 20, &d);
    uint32_t n_histograms = 0;
    uint32_t n_scalars = 0;
    for (uint32_t i = 0; i < 20; i++) {
        bool histogram = f->order[i]->kind == SERIES_EXP_HISTOGRAM;
        const Prometheus__TimeSeries *ts =
            d.request->timeseries[histogram ? 10 + n_histograms++ : n_scalars++];
        check_labels(ts, f->order[i], 0);
        if (!histogram) {
            continue;
        }
        ck_assert_uint_eq(ts->n_histograms, 1);
        const Prometheus__Histogram *h = ts->histograms[0];
        ck_assert_int_eq(h->timestamp, usual_ms);
        ck_assert_int_eq(h->schema, 3);
        ck_assert_uint_eq(h->count_int, 2 * i + 7);
        ck_assert_uint_eq(h->zero_count_int, i);
        ck_assert_uint_eq(bits(h->sum), bits(0.5 * i));
        ck_assert_uint_eq(h->n_positive_spans, 1);
        ck_assert_int_eq(h->positive_spans[0]->offset, -3);
        ck_assert_uint_eq(h->n_positive_deltas, 3);
        ck_assert_int_eq(h->positive_deltas[0], i);
        ck_assert_int_eq(h->positive_deltas[1], 2 - (int64_t)i);
        ck_assert_int_eq(h->positive_deltas[2], 3);
    }
    ck_assert_uint_eq(n_histograms, 10);
    end(f, &d);
}
END_TEST

START_TEST(classic_histograms_become_their_series)
{
    static const double bounds[] = {0.005, 1, 1000000};
    struct truth t = {0};
    struct decoded d;
    struct err e = ERR_INIT;
    struct fixture *f = fixture_new();
    for (uint32_t i = 0; i < 4; i++) {
        struct series *s = fixture_series(f, SERIES_CLASSIC_HISTOGRAM, i, 1);
        s->n_bounds = 3;
        s->bounds = bounds;
    }
    ck_assert(fixture_shape(f, 1, &e));
    columns_fill(f, &t);
    f->batch.times.base_ms = usual_ms;
    go(f, "", 0, 4, &d);
    ck_assert_uint_eq(d.request->n_timeseries, 4 * 6);
    static const char *const le[] = {"0.005", "1", "1000000", "+Inf"};
    for (uint32_t i = 0; i < 4; i++) {
        Prometheus__TimeSeries **ts = &d.request->timeseries[(size_t)i * 6];
        uint64_t sum = 0;
        for (uint32_t k = 0; k < 4; k++) {
            sum += t.counts[i][k];
            check_labels(ts[k], f->order[i], 1);
            ck_assert_str_eq(label(ts[k], "le"), le[k]);
            ck_assert_uint_eq((uint64_t)ts[k]->samples[0]->value, sum);
            ck_assert_int_eq(ts[k]->samples[0]->timestamp, usual_ms);
        }
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s_sum", SLICE_ARG(f->order[i]->metric));
        ck_assert_str_eq(label(ts[4], "__name__"), name);
        ck_assert_uint_eq(bits(ts[4]->samples[0]->value), bits(i * 0.25));
        ck_assert_ptr_null(label(ts[4], "le"));
        ck_assert_uint_eq((uint64_t)ts[5]->samples[0]->value, (uint64_t)i * 4 + 6);
    }
    end(f, &d);
}
END_TEST

START_TEST(delta_series_stay_out)
{
    struct truth t = {0};
    struct decoded d;
    struct err e = ERR_INIT;
    struct fixture *f = fixture_new();
    for (uint32_t i = 0; i < 6; i++) {
        fixture_series(f, SERIES_COUNTER, i, 1)->delta = i % 3 == 1;
    }
    ck_assert(fixture_shape(f, 1, &e));
    columns_fill(f, &t);
    f->batch.times.base_ms = usual_ms;
    go(f, "", 0, 6, &d);
    ck_assert_uint_eq(d.shape->n_delta, 2);
    ck_assert_uint_eq(d.request->n_timeseries, 4);
    end(f, &d);
}
END_TEST

START_TEST(columns_that_do_not_fit_the_shape_are_refused)
{
    struct truth t;
    struct err e = ERR_INIT;
    struct fixture *f = scalars(&t, 5);
    struct batch b;
    struct shape shape;
    struct wire_shape *wire;
    struct scrape *scrape;
    struct slice record = fixture_record(f);
    ck_assert(batch_decode(record, &batch_default_caps, &f->arena, &b, &e));
    ck_assert(shape_decode(b.shape, b.tenant, &shape_default_caps, &f->arena, &shape, &e));
    ck_assert(wire_shape_new(&shape, b.tenant, &(struct wire_names){.tenant_label = ""}, 64 << 20, &wire, &e));
    struct batch wrong = b;
    wrong.values.len -= 8;
    ck_assert(!scrape_new(&wrong, wire, &scrape, &e));
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    wrong = b;
    wrong.exp = SLICE_LITERAL("\x05xx");
    ck_assert(!scrape_new(&wrong, wire, &scrape, &e));
    wrong = b;
    wrong.classic = SLICE_LITERAL("x");
    ck_assert(!scrape_new(&wrong, wire, &scrape, &e));
    wire_shape_unref(wire);
    ck_assert(!wire_shape_new(&shape, b.tenant, &(struct wire_names){.tenant_label = ""}, 100, &wire, &e));
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    fixture_free(f);
}
END_TEST

static const struct {
    double bound;
    const char *text;
} bound_rows[] = {
    {0, "0"},           {-0.0, "-0"},           {0.005, "0.005"},
    {1, "1"},           {2.5, "2.5"},           {10, "10"},
    {1e6, "1000000"},   {1.5e-7, "0.00000015"}, {123456.789, "123456.789"},
    {-0.25, "-0.25"},   {0.1, "0.1"},           {1e21, "1000000000000000000000"},
    {INFINITY, "+Inf"}, {-INFINITY, "-Inf"},    {4.9e-1, "0.49"},
    {100.5, "100.5"},
};

START_TEST(bounds_read_as_prometheus_writes_them)
{
    char text[BOUND_TEXT_BYTES];
    (void)bound_text(bound_rows[_i].bound, text);
    ck_assert_str_eq(text, bound_rows[_i].text);
}
END_TEST

START_TEST(any_bound_reads_back_the_same)
{
    uint64_t seed = 88172645463325252u;
    char text[BOUND_TEXT_BYTES];
    for (int i = 0; i < 20000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        double v;
        memcpy(&v, &seed, sizeof v);
        if (isfinite(v)) {
            ck_assert_uint_eq(bound_text(v, text), strlen(text));
            ck_assert_uint_eq(bits(strtod(text, NULL)), bits(v));
            ck_assert_ptr_null(strchr(text, 'e'));
        }
    }
}
END_TEST

/* Whoever reads the store by the tenant's label gets what that tenant sent. */
START_TEST(no_tenant_says_that_it_is_another)
{
    static struct truth t;
    struct fixture *f = scalars(&t, 4);
    struct decoded d;
    go(f, "server", 0, f->n, &d); /* which the series have, too */
    ck_assert_uint_eq(d.request->n_timeseries, 4);
    for (size_t i = 0; i < 4; i++) {
        const Prometheus__TimeSeries *ts = d.request->timeseries[i];
        ck_assert_str_eq(label(ts, "server"), "demo");
        ck_assert_str_eq(label(ts, "exported_server"), "gs-9");
        for (size_t k = 1; k < ts->n_labels; k++) {
            ck_assert_int_lt(strcmp(ts->labels[k - 1]->name, ts->labels[k]->name), 0);
        }
    }
    end(f, &d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scrape");
    TCase *c = tcase_create("wire");
    tcase_add_test(c, every_bit_of_a_scalar_arrives);
    tcase_add_test(c, pieces_and_times_of_any_length);
    tcase_add_test(c, a_tenant_label_is_sorted_in);
    tcase_add_test(c, no_tenant_says_that_it_is_another);
    tcase_add_test(c, native_histograms_bucket_by_bucket);
    tcase_add_test(c, classic_histograms_become_their_series);
    tcase_add_test(c, delta_series_stay_out);
    tcase_add_test(c, columns_that_do_not_fit_the_shape_are_refused);
    tcase_add_loop_test(c, bounds_read_as_prometheus_writes_them, 0,
                        sizeof bound_rows / sizeof bound_rows[0]);
    tcase_add_test(c, any_bound_reads_back_the_same);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
