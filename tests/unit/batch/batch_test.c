#include "unit/runner.h"

#include "unit/batch/oracle.h"
#include "unit/batch/samples.h"

enum { BYTES = 1 << 20, N_SAMPLES = 400 };

static const struct {
    const char *name;
    const char *text; /* NULL: taken */
    bool canonical;
    const char *shape_text; /* NULL: agrees with its shape */
} rows[] = {
    {"heartbeat", NULL, true, NULL},
    {"full", NULL, true, NULL},
    {"gateway", NULL, true, NULL},
    {"times", NULL, true, NULL},
    {"times_in_blocks", NULL, false, NULL},
    {"numbers", NULL, true, NULL},
    {"sized_shape", NULL, true, NULL},
    {"specials", NULL, true, NULL},
    {"other_shape", NULL, true, "batch: 1 values, 5 counters and gauges in the shape"},
    {"bad_class", "batch: bad or cut off", false, NULL},
    {"bad_class_negative", "batch: bad or cut off", false, NULL},
    {"bad_values", "batch: values are not whole doubles", false, NULL},
    {"bad_points_without_shape", "batch: points without a shape", false, NULL},
    {"bad_partition_negative", "batch: origin is negative", false, NULL},
    {"bad_partition_wide", "batch: bad or cut off", false, NULL},
    {"bad_offset_negative", "batch: origin is negative", false, NULL},
    {"bad_tenant", "batch: tenant or topic is not UTF-8", false, NULL},
    {"bad_times_overflow", "batch: bad or cut off", false, NULL},
    {"bad_times_count", "batch: bad or cut off", false, NULL},
    {"bad_times_size", "batch: bad or cut off", false, NULL},
    {"bad_length", "batch: bad or cut off", false, NULL},
    {"bad_length_negative", "batch: bad or cut off", false, NULL},
    {"bad_behind_the_end", "batch: 1 bytes behind its end", false, NULL},
    {"bad_unknown_schema", "batch: Avro schema 3837363534333231 is not known; the current one is ",
     false, NULL},
    {"bad_no_head", "batch: not in Avro's single-object encoding (C3 01)", false, NULL},
    {"bad_head_only", "batch: bad or cut off", false, NULL},
    {"bad_empty", "batch: not in Avro's single-object encoding (C3 01)", false, NULL},
};

static bool decode(struct slice bytes, struct arena *a, struct batch *b, struct err *e)
{
    *e = (struct err)ERR_INIT;
    return batch_decode(bytes, &batch_default_caps, a, b, e);
}

/* As decoded, the deltas for the encoder beside the raw ones. */
static void encode_again(struct batch b, struct buf *out)
{
    int64_t *deltas[2];
    struct batch_times *times[2] = {&b.times, &b.starts};
    struct err e = ERR_INIT;
    for (size_t i = 0; i < 2; i++) {
        deltas[i] = malloc((times[i]->n_deltas + 1) * sizeof(int64_t));
        ck_assert(batch_times_decode(times[i], times[i]->n_deltas, deltas[i], &e));
        for (uint32_t k = 0; k < times[i]->n_deltas; k++) {
            deltas[i][k] -= times[i]->base_ms;
        }
        times[i]->deltas = deltas[i];
    }
    batch_encode(&b, out);
    ck_assert(buf_ok(out));
    free(deltas[0]);
    free(deltas[1]);
}

static void check_shape(const char *name, const struct batch *b, const char *text)
{
    struct arena a;
    struct shape s;
    struct err e = ERR_INIT;
    arena_init(&a, BYTES);
    ck_assert_msg(shape_decode(b->shape, b->tenant, &shape_default_caps, &a, &s, &e), "%s: %s",
                  name, e.text);
    bool ok = batch_check_shape(b, &s, &e);
    ck_assert_msg(ok == (text == NULL), "%s: %s", name, e.text);
    ck_assert_msg(ok || strcmp(e.text, text) == 0, "%s: %s", name, e.text);
    arena_fini(&a);
}

START_TEST(vectors_decode_or_say_why)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n_bytes;
        uint8_t *bytes = vector_read("batch", rows[i].name, &n_bytes);
        struct arena a;
        struct batch b;
        struct err e;
        arena_init(&a, BYTES);
        bool ok = decode(slice_of(bytes, n_bytes), &a, &b, &e);
        ck_assert_msg(ok == (rows[i].text == NULL), "%s: %s", rows[i].name, e.text);
        ck_assert_uint_eq(a.held_bytes, 0); /* all is borrowed */
        if (ok) {
            struct buf again;
            buf_init(&again, BYTES);
            encode_again(b, &again);
            bool same = slice_eq(buf_slice(&again), slice_of(bytes, n_bytes));
            ck_assert_msg(same == rows[i].canonical, "%s", rows[i].name);
            buf_fini(&again);
            if (b.shape.len > 0) {
                check_shape(rows[i].name, &b, rows[i].shape_text);
            }
        } else {
            ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
            ck_assert_msg(strncmp(e.text, rows[i].text, strlen(rows[i].text)) == 0, "%s: %s",
                          rows[i].name, e.text);
        }
        arena_fini(&a);
        free(bytes);
    }
}
END_TEST

START_TEST(prefixes_are_refused)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n_bytes;
        uint8_t *bytes = vector_read("batch", rows[i].name, &n_bytes);
        for (size_t len = 0; len < n_bytes; len++) {
            uint8_t *cut = malloc(len == 0 ? 1 : len);
            ck_assert_ptr_nonnull(cut);
            memcpy(cut, bytes, len);
            struct arena a;
            struct batch b;
            struct err e;
            arena_init(&a, BYTES);
            bool ok = decode(slice_of(cut, len), &a, &b, &e);
            bool may = strcmp(rows[i].name, "bad_behind_the_end") == 0 && len + 1 == n_bytes;
            ck_assert_msg(ok == may, "%s cut to %zu", rows[i].name, len);
            ck_assert(ok || (e.kind == ERR_BAD_INPUT && e.text[0] != 0));
            arena_fini(&a);
            free(cut);
        }
        free(bytes);
    }
}
END_TEST

static void compare_with_avro_c(const char *name, struct slice bytes, bool canonical)
{
    struct buf ours;
    struct buf theirs;
    struct buf again;
    struct err e = ERR_INIT;
    buf_init(&ours, BYTES);
    buf_init(&theirs, BYTES);
    buf_init(&again, BYTES);
    ck_assert_msg(batch_dump(bytes, &batch_default_caps, &ours, &e), "%s: %s", name, e.text);
    ck_assert_msg(batch_dump_avro_c(bytes, &theirs, &again), "%s: avro-c refuses it", name);
    ck_assert_msg(slice_eq(buf_slice(&ours), buf_slice(&theirs)), "%s: read differently", name);
    ck_assert_msg(!canonical || slice_eq(buf_slice(&again), bytes), "%s: avro-c writes other bytes",
                  name);
    buf_reset(&ours);
    ck_assert_msg(batch_dump(buf_slice(&again), &batch_default_caps, &ours, &e), "%s: %s", name,
                  e.text);
    ck_assert(slice_eq(buf_slice(&ours), buf_slice(&theirs)));
    buf_fini(&ours);
    buf_fini(&theirs);
    buf_fini(&again);
}

START_TEST(vectors_read_as_by_avro_c)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].text == NULL) {
            size_t n_bytes;
            uint8_t *bytes = vector_read("batch", rows[i].name, &n_bytes);
            compare_with_avro_c(rows[i].name, slice_of(bytes, n_bytes), rows[i].canonical);
            free(bytes);
        }
    }
}
END_TEST

static void check_times(const struct batch_times *got, const struct batch_times *want, uint32_t n)
{
    int64_t times[SAMPLE_MAX_SERIES];
    struct err e = ERR_INIT;
    ck_assert(batch_times_decode(got, n, times, &e));
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_int_eq(times[i], want->base_ms + (want->n_deltas == 0 ? 0 : want->deltas[i]));
    }
}

START_TEST(samples_survive_the_round_trip)
{
    for (uint64_t seed = 1; seed <= N_SAMPLES; seed++) {
        struct sample *s = sample_new(seed);
        struct arena a;
        struct batch b;
        struct err e;
        arena_init(&a, BYTES);
        ck_assert_msg(decode(buf_slice(&s->bytes), &a, &b, &e), "%s", e.text);
        ck_assert(slice_eq(b.tenant, s->batch.tenant));
        ck_assert_int_eq(b.class, s->batch.class);
        ck_assert_uint_eq(b.source, s->batch.source);
        ck_assert_int_eq(b.received_ms, s->batch.received_ms);
        ck_assert(slice_eq(b.origin.topic, s->batch.origin.topic));
        ck_assert_int_eq(memcmp(b.origin.topic_id, s->batch.origin.topic_id, TOPIC_ID_BYTES), 0);
        ck_assert_int_eq(b.origin.partition, s->batch.origin.partition);
        ck_assert_int_eq(b.origin.offset, s->batch.origin.offset);
        ck_assert_int_eq(b.origin.index, s->batch.origin.index);
        ck_assert_uint_eq(b.redriven, s->batch.redriven);
        ck_assert(slice_eq(b.shape, s->batch.shape));
        ck_assert(slice_eq(b.values, s->batch.values));
        ck_assert(slice_eq(b.exp, s->batch.exp));
        ck_assert(slice_eq(b.classic, s->batch.classic));
        check_times(&b.times, &s->batch.times, s->n_series);
        check_times(&b.starts, &s->batch.starts, s->n_series);
        check_shape("sample", &b, NULL);
        compare_with_avro_c("sample", buf_slice(&s->bytes), true);
        arena_fini(&a);
        sample_free(s);
    }
}
END_TEST

START_TEST(caps_hold)
{
    size_t n_bytes;
    uint8_t *bytes = vector_read("batch", "times", &n_bytes);
    const struct {
        const char *text;
        struct batch_caps caps;
    } caps[] = {{"batch: 100", {n_bytes - 1, 10}},
                {"more than 9 points", {n_bytes, 9}},
                {NULL, {n_bytes, 10}}};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        struct arena a;
        struct batch b;
        struct err e = ERR_INIT;
        arena_init(&a, BYTES);
        bool ok = batch_decode(slice_of(bytes, n_bytes), &caps[i].caps, &a, &b, &e);
        ck_assert(ok == (caps[i].text == NULL));
        ck_assert(ok || i == 0 || strstr(e.text, caps[i].text) != NULL);
        ck_assert(ok || i != 0 || strstr(e.text, "bytes, more than") != NULL);
        arena_fini(&a);
    }
    free(bytes);
}
END_TEST

static const uint8_t two_exp[] = {2, 8, 1, 2, 8, 1};
static const uint8_t cut_exp[] = {2, 8, 1, 3, 8, 1};
static const uint8_t classic_5[] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 5, 2, 3}; /* one bound */

START_TEST(columns_must_fit_the_shape)
{
    const double bound = 1.0;
    const struct series series[] = {
        {.metric = SLICE_LITERAL("a"), .kind = SERIES_COUNTER},
        {.metric = SLICE_LITERAL("b"), .kind = SERIES_EXP_HISTOGRAM},
        {.metric = SLICE_LITERAL("c"), .kind = SERIES_EXP_HISTOGRAM},
        {.metric = SLICE_LITERAL("d"),
         .kind = SERIES_CLASSIC_HISTOGRAM,
         .n_bounds = 1,
         .bounds = &bound},
    };
    const struct shape shape = {
        .n_series = 4, .n_scalars = 1, .n_exp = 2, .n_classic = 1, .series = series};
    static uint8_t large[3 + HISTOGRAM_MAX_BYTES + 1] = {0x81, 0x80, 0x04};
    const double value = 7;
    const struct {
        const char *text;
        struct batch batch;
    } cases[] = {
#define COLUMNS(n_values, e, c)                                                                    \
    .values = {(const uint8_t *)&value, 8 * (n_values)}, .exp = {e, sizeof e},                     \
    .classic = {c, sizeof c}
        {NULL, {COLUMNS(1, two_exp, classic_5)}},
        {NULL,
         {COLUMNS(1, two_exp, classic_5), .times = {.n_deltas = 4}, .starts = {.n_deltas = 4}}},
        {"batch: 0 values, 1 counters and gauges in the shape", {COLUMNS(0, two_exp, classic_5)}},
        {"batch: 3 times and 0 starts, 4 series in the shape",
         {COLUMNS(1, two_exp, classic_5), .times = {.n_deltas = 3}}},
        {"batch: 0 times and 5 starts, 4 series in the shape",
         {COLUMNS(1, two_exp, classic_5), .starts = {.n_deltas = 5}}},
        {"batch: exponential histogram 1 of 2 is cut off", {COLUMNS(1, cut_exp, classic_5)}},
        {"batch: exponential histogram 0 has 65537 bytes, more than 65536",
         {COLUMNS(1, large, classic_5)}},
        {"batch: classic histogram of series 3: bad or cut off", {COLUMNS(1, two_exp, two_exp)}},
#undef COLUMNS
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        bool ok = batch_check_shape(&cases[i].batch, &shape, &e);
        ck_assert_msg(ok == (cases[i].text == NULL), "row %zu: %s", i, e.text);
        ck_assert_msg(ok || strcmp(e.text, cases[i].text) == 0, "row %zu: %s", i, e.text);
    }
    struct err e = ERR_INIT;
    struct batch more = cases[0].batch;
    const struct shape fewer = {.n_series = 2, .n_scalars = 1, .n_exp = 1, .series = series};
    ck_assert(!batch_check_shape(&more, &fewer, &e));
    ck_assert_str_eq(e.text, "batch: more exponential histograms than the shape has");
    more.exp.len = 3;
    ck_assert(!batch_check_shape(&more, &fewer, &e));
    ck_assert_str_eq(e.text, "batch: more classic histograms than the shape has");
}
END_TEST

START_TEST(times_of_another_count_are_refused)
{
    const int64_t deltas[] = {1, 2, 3};
    const struct batch_times times = {.base_ms = 10, .n_deltas = 3, .deltas = deltas};
    const struct batch_times beyond = {.base_ms = INT64_MAX - 2, .n_deltas = 3, .deltas = deltas};
    int64_t out[4];
    struct err e = ERR_INIT;
    ck_assert(batch_times_decode(&times, 3, out, &e));
    ck_assert_int_eq(out[2], 13);
    ck_assert(!batch_times_decode(&times, 4, out, &e));
    ck_assert(!batch_times_decode(&times, 2, out, &e));
    ck_assert(!batch_times_decode(&beyond, 3, out, &e));
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
}
END_TEST

START_TEST(partition_is_of_the_unsigned_source)
{
    ck_assert_int_eq(batch_partition(UINT64_MAX, 12), 3);
    ck_assert_int_eq(batch_partition(0, 12), 0);
    ck_assert_int_eq(batch_partition(UINT64_C(1) << 63, 100), 8);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batch");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, vectors_decode_or_say_why);
    tcase_add_test(t, prefixes_are_refused);
    tcase_add_test(t, vectors_read_as_by_avro_c);
    tcase_add_test(t, samples_survive_the_round_trip);
    tcase_add_test(t, caps_hold);
    tcase_add_test(t, columns_must_fit_the_shape);
    tcase_add_test(t, times_of_another_count_are_refused);
    tcase_add_test(t, partition_is_of_the_unsigned_source);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
