#include "unit/runner.h"

#include "batch/series.h"

enum { MAX_TEXT = 5000 };

/* The canonical bytes, put together here once more. */
static size_t canonical_put(uint8_t *out, size_t at, struct slice s)
{
    for (unsigned i = 0; i < 4; i++) {
        out[at++] = (uint8_t)(s.len >> (8 * i));
    }
    if (s.len > 0) {
        memcpy(out + at, s.ptr, s.len);
    }
    return at + s.len;
}

START_TEST(ids_are_the_canonical_bytes_hash)
{
    static const size_t lens[] = {0, 1, 20, 1000, 2030, 2040, 2044, 2048, 2049, MAX_TEXT};
    static uint8_t text[MAX_TEXT];
    static uint8_t canonical[8 * MAX_TEXT];
    for (size_t i = 0; i < MAX_TEXT; i++) {
        text[i] = (uint8_t)(i * 7 + i / 256);
    }
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        for (size_t k = 0; k < sizeof lens / sizeof *lens; k++) {
            struct slice tenant = slice_of(text, lens[i]);
            struct slice metric = slice_of(text, lens[k]);
            struct label labels[2] = {{SLICE_LITERAL("name"), slice_of(text + 1, lens[i] / 2)},
                                      {SLICE_LITERAL("other"), metric}};
            size_t n = canonical_put(canonical, 0, tenant);
            n = canonical_put(canonical, n, metric);
            ck_assert(source_id(tenant, metric) == hash64(slice_of(canonical, n)));
            for (size_t l = 0; l < 2; l++) {
                n = canonical_put(canonical, n, labels[l].name);
                n = canonical_put(canonical, n, labels[l].value);
            }
            ck_assert(
                hash128_eq(series_id(tenant, metric, labels, 2), hash128(slice_of(canonical, n))));
        }
    }
}
END_TEST

/* Identities outlive every version: these came from Python's xxhash 4.1.0. */
START_TEST(ids_never_change)
{
    struct label labels[2] = {{SLICE_LITERAL("queue"), SLICE_LITERAL("ranked")},
                              {SLICE_LITERAL("region"), SLICE_LITERAL("eu")}};
    struct hash128 id =
        series_id(SLICE_LITERAL("demo"), SLICE_LITERAL("game_joins_total"), labels, 2);
    ck_assert_uint_eq(id.hi, UINT64_C(0x4c8e885c9ebd50a6));
    ck_assert_uint_eq(id.lo, UINT64_C(0x11e9dbbb481b8ec1));
    ck_assert_uint_eq(source_id(SLICE_LITERAL("demo"), SLICE_LITERAL("server-1")),
                      UINT64_C(0x890af152d9619045));
}
END_TEST

START_TEST(ids_tell_where_strings_end)
{
    struct label a = {SLICE_LITERAL("ab"), SLICE_LITERAL("c")};
    struct label b = {SLICE_LITERAL("a"), SLICE_LITERAL("bc")};
    ck_assert(!hash128_eq(series_id(SLICE_LITERAL("t"), SLICE_LITERAL("m"), &a, 1),
                          series_id(SLICE_LITERAL("t"), SLICE_LITERAL("m"), &b, 1)));
    ck_assert(source_id(SLICE_LITERAL("ab"), SLICE_LITERAL("c")) !=
              source_id(SLICE_LITERAL("a"), SLICE_LITERAL("bc")));
}
END_TEST

static const struct label eu[] = {{SLICE_LITERAL("queue"), SLICE_LITERAL("a")},
                                  {SLICE_LITERAL("region"), SLICE_LITERAL("eu")}};
static const struct label us[] = {{SLICE_LITERAL("queue"), SLICE_LITERAL("a")},
                                  {SLICE_LITERAL("region"), SLICE_LITERAL("us")}};
static const struct label other_name[] = {{SLICE_LITERAL("queue"), SLICE_LITERAL("a")},
                                          {SLICE_LITERAL("zone"), SLICE_LITERAL("a")}};
static const double bounds[] = {-1.0, -0.0, 0.0, 1.0, 2.0};

/* In canonical order. */
static const struct series ordered[] = {
    {.metric = SLICE_LITERAL("a")},
    {.metric = SLICE_LITERAL("a"), .n_labels = 1, .labels = eu},
    {.metric = SLICE_LITERAL("a"), .n_labels = 2, .labels = eu},
    {.metric = SLICE_LITERAL("a"), .n_labels = 2, .labels = us},
    {.metric = SLICE_LITERAL("a"), .n_labels = 2, .labels = other_name},
    {.metric = SLICE_LITERAL("a"), .unit = SLICE_LITERAL("ms")},
    {.metric = SLICE_LITERAL("a"), .delta = true},
    {.metric = SLICE_LITERAL("a"), .kind = SERIES_GAUGE},
    {.metric = SLICE_LITERAL("a"), .kind = SERIES_EXP_HISTOGRAM},
    {.metric = SLICE_LITERAL("a"), .kind = SERIES_CLASSIC_HISTOGRAM},
    {.metric = SLICE_LITERAL("a"),
     .kind = SERIES_CLASSIC_HISTOGRAM,
     .n_bounds = 1,
     .bounds = bounds},
    {.metric = SLICE_LITERAL("a"),
     .kind = SERIES_CLASSIC_HISTOGRAM,
     .n_bounds = 2,
     .bounds = bounds},
    {.metric = SLICE_LITERAL("a"),
     .kind = SERIES_CLASSIC_HISTOGRAM,
     .n_bounds = 1,
     .bounds = bounds + 1},
    {.metric = SLICE_LITERAL("a"),
     .kind = SERIES_CLASSIC_HISTOGRAM,
     .n_bounds = 1,
     .bounds = bounds + 2},
    {.metric = SLICE_LITERAL("a"),
     .kind = SERIES_CLASSIC_HISTOGRAM,
     .n_bounds = 1,
     .bounds = bounds + 3},
    {.metric = SLICE_LITERAL("a"),
     .kind = SERIES_CLASSIC_HISTOGRAM,
     .n_bounds = 2,
     .bounds = bounds + 3},
    {.metric = SLICE_LITERAL("aa")},
    {.metric = SLICE_LITERAL("b")},
    {.metric = SLICE_LITERAL("\xff")},
};

START_TEST(order_is_canonical)
{
    const size_t n = sizeof ordered / sizeof *ordered;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            int order = series_cmp(&ordered[i], &ordered[k]);
            ck_assert_msg((order > 0) - (order < 0) == (i > k) - (i < k), "rows %zu and %zu: %d", i,
                          k, order);
        }
    }
}
END_TEST

START_TEST(names_are_those_of_the_schemas)
{
    ck_assert_str_eq(series_kind_name(SERIES_COUNTER), "counter");
    ck_assert_str_eq(series_kind_name(SERIES_CLASSIC_HISTOGRAM), "classic_histogram");
    ck_assert_str_eq(series_kind_name((enum series_kind)4), "?");
    ck_assert_str_eq(batch_class_name(CLASS_CRITICAL), "critical");
    ck_assert_str_eq(batch_class_name(CLASS_VERBOSE), "verbose");
    ck_assert_str_eq(batch_class_name(N_CLASSES), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("series");
    TCase *t = tcase_create("all");
    tcase_add_test(t, ids_are_the_canonical_bytes_hash);
    tcase_add_test(t, ids_never_change);
    tcase_add_test(t, ids_tell_where_strings_end);
    tcase_add_test(t, order_is_canonical);
    tcase_add_test(t, names_are_those_of_the_schemas);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
