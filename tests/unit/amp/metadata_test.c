/* Types and units of metrics, read back by protobuf-c's generated decoder. */
#include "../runner.h"
#include "fixture.h"
#include "metadata.h"
#include "remote_write.pb-c.h"

static void learn(struct metadata *m, unsigned first, unsigned n, unsigned server)
{
    struct fixture *f = fixture_new();
    struct shape shape;
    struct err e = ERR_INIT;
    for (unsigned i = 0; i < n; i++) {
        struct series *s = fixture_series(f,
                                          i % 3 == 0   ? SERIES_COUNTER
                                          : i % 3 == 1 ? SERIES_GAUGE
                                                       : SERIES_EXP_HISTOGRAM,
                                          first + i, server);
        s->unit = i % 2 == 0 ? SLICE_LITERAL("s") : SLICE_LITERAL("");
        s->delta = i == 3;
    }
    ck_assert_msg(fixture_shape(f, server, &e), "%s", e.text);
    ck_assert_msg(shape_decode(buf_slice(&f->shape), f->batch.tenant, &shape_default_caps,
                               &f->arena, &shape, &e),
                  "%s", e.text);
    metadata_learn(m, &shape);
    fixture_free(f);
}

static size_t put(struct metadata *m, int64_t now_ms, Prometheus__WriteRequest **out)
{
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    metadata_put(m, now_ms, &bytes);
    *out = prometheus__write_request__unpack(NULL, bytes.len, bytes.ptr);
    ck_assert_ptr_nonnull(*out);
    buf_fini(&bytes);
    return (*out)->n_metadata;
}

static size_t count(struct metadata *m, int64_t now_ms)
{
    Prometheus__WriteRequest *request;
    size_t n = put(m, now_ms, &request);
    prometheus__write_request__free_unpacked(request, NULL);
    return n;
}

START_TEST(types_and_units)
{
    struct metadata m;
    Prometheus__WriteRequest *request;
    unsigned seen[3] = {0};
    metadata_init(&m, 60000, 1 << 20);
    learn(&m, 100, 9, 1);
    learn(&m, 100, 9, 2); /* the same names */
    ck_assert_uint_eq(put(&m, 1000, &request), 8);
    for (size_t i = 0; i < 8; i++) {
        const Prometheus__MetricMetadata *row = request->metadata[i];
        unsigned n = (unsigned)strtoul(row->metric_family_name + strlen("metric_"), NULL, 10) - 100;
        static const Prometheus__MetricMetadata__MetricType types[] = {
            PROMETHEUS__METRIC_METADATA__METRIC_TYPE__COUNTER,
            PROMETHEUS__METRIC_METADATA__METRIC_TYPE__GAUGE,
            PROMETHEUS__METRIC_METADATA__METRIC_TYPE__HISTOGRAM};
        ck_assert_int_eq(row->type, types[n % 3]);
        ck_assert_str_eq(row->unit, n % 2 == 0 ? "s" : "");
        ck_assert_uint_ne(n, 3); /* of delta temporality: not sent */
        seen[n % 3]++;
    }
    ck_assert(seen[0] == 2 && seen[1] == 3 && seen[2] == 3);
    prometheus__write_request__free_unpacked(request, NULL);
    metadata_fini(&m);
}
END_TEST

START_TEST(all_once_in_the_interval)
{
    struct metadata m;
    metadata_init(&m, 60000, 1 << 20);
    learn(&m, 0, 1000, 1);
    size_t n = 0;
    for (int i = 0; i < 20; i++) {
        size_t some = count(&m, 1000 + i);
        ck_assert_uint_le(some, 200);
        n += some;
    }
    ck_assert_uint_eq(n, 999);
    ck_assert_uint_eq(count(&m, 60000), 0);
    ck_assert_uint_gt(count(&m, 62000), 0);
    metadata_fini(&m);
}
END_TEST

START_TEST(memory_is_bounded_and_off_is_off)
{
    struct metadata m;
    metadata_init(&m, 60000, 16384);
    for (unsigned i = 0; i < 20; i++) {
        learn(&m, i * 1000, 1000, 1);
        ck_assert_uint_le(m.names.cost_bytes, 16384);
    }
    ck_assert_uint_gt(count(&m, 1000), 0);
    metadata_fini(&m);
    metadata_init(&m, 0, 16384);
    learn(&m, 0, 10, 1);
    ck_assert_uint_eq(count(&m, 1000), 0);
    metadata_fini(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metadata");
    TCase *c = tcase_create("metadata");
    tcase_add_test(c, types_and_units);
    tcase_add_test(c, all_once_in_the_interval);
    tcase_add_test(c, memory_is_bounded_and_off_is_off);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
