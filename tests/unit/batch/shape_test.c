#include "unit/runner.h"

#include <stdio.h>

#include "unit/batch/oracle.h"
#include "unit/batch/samples.h"

enum { BYTES = 1 << 20, N_SAMPLES = 400 };

static const struct {
    const char *name;
    const char *text; /* NULL: taken */
    uint32_t n_series;
    bool canonical; /* our encoder writes the same bytes */
} rows[] = {
    {"none", NULL, 0, true},
    {"one", NULL, 1, true},
    {"game", NULL, 10, true},
    {"many", NULL, 32, true},
    {"two_blocks", NULL, 10, false},
    {"sized_blocks", NULL, 10, false},
    {"unicode", NULL, 1, true},
    {"nul", NULL, 1, true},
    {"zero_bounds", NULL, 2, true},
    {"bad_order", "series 1: shape: not in canonical order, or twice the same", 0, false},
    {"bad_order_of_kinds", "series 1: shape: not in canonical order, or twice the same", 0, false},
    {"bad_order_of_labels", "series 1: shape: not in canonical order, or twice the same", 0, false},
    {"bad_series_twice", "series 1: shape: not in canonical order, or twice the same", 0, false},
    {"bad_symbol_twice", "shape: symbols 1 and 3 are the same", 0, false},
    {"bad_symbol_unused", "shape: a symbol that no series has", 0, false},
    {"bad_symbol_order", "series 0: shape: bad or cut off", 0, false},
    {"bad_symbol_beyond", "series 0: shape: bad or cut off", 0, false},
    {"bad_symbol_negative", "series 0: shape: bad or cut off", 0, false},
    {"bad_labels_order", "series 0: shape: labels are not sorted by name, or one comes twice", 0,
     false},
    {"bad_labels_twice", "series 0: shape: labels are not sorted by name, or one comes twice", 0,
     false},
    {"bad_label_odd", "series 0: shape: a label without a value", 0, false},
    {"bad_label_unnamed", "series 0: shape: a label without a name", 0, false},
    {"bad_metric_empty", "series 0: shape: no metric, or a gauge of deltas", 0, false},
    {"bad_not_utf8", "shape: a string is not UTF-8", 0, false},
    {"bad_source_not_utf8", "shape: a string is not UTF-8", 0, false},
    {"bad_long_text", "shape: a string of 1025 bytes, more than 1024", 0, false},
    {"bad_kind", "series 0: shape: bad or cut off", 0, false},
    {"bad_temporality", "series 0: shape: bad or cut off", 0, false},
    {"bad_gauge_of_deltas", "series 0: shape: no metric, or a gauge of deltas", 0, false},
    {"bad_bounds_order", "series 0: shape: bounds that do not rise, or of a kind that has none", 0,
     false},
    {"bad_bounds_nan", "series 0: shape: bounds that do not rise, or of a kind that has none", 0,
     false},
    {"bad_bounds_inf", "series 0: shape: bounds that do not rise, or of a kind that has none", 0,
     false},
    {"bad_bounds_of_counter",
     "series 0: shape: bounds that do not rise, or of a kind that has none", 0, false},
    {"bad_labels_65", "series 0: shape: more than 64 labels", 0, false},
    {"bad_huge_count", "shape: bad or cut off", 0, false},
    {"bad_least_count", "shape: bad or cut off", 0, false},
    {"bad_block_size", "shape: bad or cut off", 0, false},
    {"bad_length_negative", "shape: bad or cut off", 0, false},
    {"bad_varint_of_11", "shape: bad or cut off", 0, false},
    {"bad_behind_the_end", "shape: bytes behind its end", 0, false},
    {"bad_unknown_schema", "shape: Avro schema 3837363534333231 is not known; the current one is ",
     0, false},
    {"bad_no_head", "shape: not in Avro's single-object encoding (C3 01)", 0, false},
};

static bool decode(struct slice bytes, struct arena *a, struct shape *s, struct err *e)
{
    *e = (struct err)ERR_INIT;
    return shape_decode(bytes, SLICE_LITERAL("demo"), &shape_default_caps, a, s, e);
}

static void encode_again(const struct shape *s, struct arena *a, struct buf *out)
{
    struct err e = ERR_INIT;
    const struct series **order = arena_alloc(a, (s->n_series + 1) * sizeof(void *));
    ck_assert_ptr_nonnull(order);
    for (uint32_t i = 0; i < s->n_series; i++) {
        order[i] = &s->series[i];
    }
    ck_assert(shape_encode(s->source_name, order, s->n_series, a, out, &e));
    ck_assert(buf_ok(out));
}

START_TEST(vectors_decode_or_say_why)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n_bytes;
        uint8_t *bytes = vector_read("shape", rows[i].name, &n_bytes);
        struct arena a;
        struct shape s;
        struct err e;
        arena_init(&a, BYTES);
        bool ok = decode(slice_of(bytes, n_bytes), &a, &s, &e);
        ck_assert_msg(ok == (rows[i].text == NULL), "%s: %s", rows[i].name, e.text);
        if (ok) {
            struct buf again;
            buf_init(&again, BYTES);
            encode_again(&s, &a, &again);
            ck_assert_msg(s.n_series == rows[i].n_series, "%s: %u", rows[i].name, s.n_series);
            ck_assert_msg(slice_eq(buf_slice(&again), s.bytes) == rows[i].canonical, "%s",
                          rows[i].name);
            buf_fini(&again);
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
        uint8_t *bytes = vector_read("shape", rows[i].name, &n_bytes);
        for (size_t len = 0; len < n_bytes; len++) {
            uint8_t *cut = malloc(len == 0 ? 1 : len); /* its own, so that overruns show */
            ck_assert_ptr_nonnull(cut);
            memcpy(cut, bytes, len);
            struct arena a;
            struct shape s;
            struct err e;
            arena_init(&a, BYTES);
            bool ok = decode(slice_of(cut, len), &a, &s, &e);
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
    struct buf ours_again;
    struct err e = ERR_INIT;
    buf_init(&ours, BYTES);
    buf_init(&theirs, BYTES);
    buf_init(&again, BYTES);
    buf_init(&ours_again, BYTES);
    ck_assert_msg(shape_dump(bytes, &shape_default_caps, &ours, &e), "%s: %s", name, e.text);
    ck_assert_msg(shape_dump_avro_c(bytes, &theirs, &again), "%s: avro-c refuses it", name);
    ck_assert_msg(slice_eq(buf_slice(&ours), buf_slice(&theirs)), "%s:\n%s\n%s", name,
                  buf_c_str(&ours), buf_c_str(&theirs));
    ck_assert_msg(shape_dump(buf_slice(&again), &shape_default_caps, &ours_again, &e),
                  "%s as avro-c writes it: %s", name, e.text);
    ck_assert(slice_eq(buf_slice(&ours), buf_slice(&ours_again)));
    ck_assert_msg(!canonical || slice_eq(buf_slice(&again), bytes), "%s: avro-c writes other bytes",
                  name);
    buf_fini(&ours);
    buf_fini(&theirs);
    buf_fini(&again);
    buf_fini(&ours_again);
}

START_TEST(vectors_read_as_by_avro_c)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].text != NULL) {
            continue;
        }
        size_t n_bytes;
        uint8_t *bytes = vector_read("shape", rows[i].name, &n_bytes);
        compare_with_avro_c(rows[i].name, slice_of(bytes, n_bytes), false);
        free(bytes);
    }
}
END_TEST

START_TEST(samples_survive_the_round_trip)
{
    for (uint64_t seed = 1; seed <= N_SAMPLES; seed++) {
        struct sample *sample = sample_new(seed);
        struct arena a;
        struct shape s;
        struct err e;
        arena_init(&a, BYTES);
        ck_assert_msg(decode(buf_slice(&sample->shape), &a, &s, &e), "%s", e.text);
        ck_assert_uint_eq(s.n_series, sample->n_series);
        uint32_t n_of[4] = {0};
        for (uint32_t i = 0; i < s.n_series; i++) {
            const struct series *want = sample->order[i];
            ck_assert_int_eq(series_cmp(&s.series[i], want), 0);
            struct hash128 id =
                series_id(SLICE_LITERAL("demo"), want->metric, want->labels, want->n_labels);
            ck_assert(hash128_eq(s.series[i].id, id));
            n_of[want->kind]++;
        }
        ck_assert_uint_eq(s.n_scalars, n_of[SERIES_COUNTER] + n_of[SERIES_GAUGE]);
        ck_assert_uint_eq(s.n_exp, n_of[SERIES_EXP_HISTOGRAM]);
        ck_assert_uint_eq(s.n_classic, n_of[SERIES_CLASSIC_HISTOGRAM]);
        ck_assert(s.source == source_id(SLICE_LITERAL("demo"), SLICE_LITERAL("server-7")));
        compare_with_avro_c("sample", buf_slice(&sample->shape), true);
        arena_fini(&a);
        sample_free(sample);
    }
}
END_TEST

START_TEST(equal_labels_are_shared)
{
    size_t n_bytes;
    uint8_t *bytes = vector_read("shape", "many", &n_bytes);
    struct arena a;
    struct shape s;
    struct err e;
    arena_init(&a, BYTES);
    ck_assert(decode(slice_of(bytes, n_bytes), &a, &s, &e));
    for (uint32_t i = 4; i < s.n_series; i++) { /* 8 metrics with the same 4 label sets */
        ck_assert_ptr_eq(s.series[i].labels, s.series[i - 4].labels);
    }
    arena_fini(&a);
    free(bytes);
}
END_TEST

START_TEST(caps_hold)
{
    size_t n_bytes;
    uint8_t *bytes = vector_read("shape", "game", &n_bytes);
    const struct {
        const char *text;
        struct shape_caps caps;
        size_t arena_bytes;
    } caps[] = {
        {"bytes, more than 100", {100, 10, 2, 1024, 4}, BYTES},
        {"10 series, more than 9", {BYTES, 9, 2, 1024, 4}, BYTES},
        {"more than 1 labels", {BYTES, 10, 1, 1024, 4}, BYTES},
        {"a string of 10 bytes, more than 9", {BYTES, 10, 2, 9, 4}, BYTES},
        {"more than 3 bounds", {BYTES, 10, 2, 1024, 3}, BYTES},
        {"larger than the memory it may have", {BYTES, 10, 2, 1024, 4}, 600},
    };
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        struct arena a;
        struct shape s;
        struct err e = ERR_INIT;
        arena_init(&a, caps[i].arena_bytes);
        ck_assert(
            !shape_decode(slice_of(bytes, n_bytes), SLICE_LITERAL("t"), &caps[i].caps, &a, &s, &e));
        ck_assert_msg(strstr(e.text, caps[i].text) != NULL, "%s: %s", caps[i].text, e.text);
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
        arena_fini(&a);
    }
    free(bytes);
}
END_TEST

static size_t n_freed;

static void count_free(void *attached)
{
    n_freed++;
    free(attached);
}

START_TEST(cache_knows_a_shape_again)
{
    struct shape_cache cache;
    struct cached_shape *first;
    struct cached_shape *again;
    struct err e = ERR_INIT;
    struct sample *sample = sample_new(5);
    struct slice bytes = buf_slice(&sample->shape);
    shape_cache_init(&cache, BYTES, &shape_default_caps, count_free);
    n_freed = 0;
    ck_assert(shape_cache_get(&cache, SLICE_LITERAL("a"), bytes, &first, &e));
    ck_assert_ptr_null(first->attached);
    first->attached = malloc(1);
    ck_assert(shape_cache_get(&cache, SLICE_LITERAL("a"), bytes, &again, &e));
    ck_assert_ptr_eq(first, again);
    ck_assert_ptr_nonnull(again->attached);
    ck_assert(shape_cache_get(&cache, SLICE_LITERAL("b"), bytes, &again, &e));
    ck_assert_ptr_ne(first, again);
    ck_assert(first->shape.source != again->shape.source);
    ck_assert(!hash128_eq(first->shape.series[0].id, again->shape.series[0].id));
    ck_assert_uint_eq(cache.n_hits, 1);
    ck_assert_uint_eq(cache.n_misses, 2);
    memset(sample->shape.ptr, 0, sample->shape.len); /* nothing is borrowed from the record */
    ck_assert_int_eq(series_cmp(&first->shape.series[0], &again->shape.series[0]), 0);
    ck_assert_uint_gt(first->shape.series[0].metric.len, 0);
    ck_assert_uint_ne(first->shape.series[0].metric.ptr[0], 0);
    ck_assert_uint_ne(first->shape.source_name.ptr[0], 0);
    shape_cache_fini(&cache);
    ck_assert_uint_eq(n_freed, 1);
    sample_free(sample);
}
END_TEST

START_TEST(cache_refuses_bad_shapes_each_time)
{
    struct shape_cache cache;
    struct cached_shape *cached;
    struct err e = ERR_INIT;
    shape_cache_init(&cache, BYTES, &shape_default_caps, NULL);
    for (int i = 0; i < 2; i++) {
        ck_assert(!shape_cache_get(&cache, SLICE_LITERAL("a"), SLICE_LITERAL("bad"), &cached, &e));
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    }
    ck_assert_uint_eq(cache.n_misses, 2);
    ck_assert_uint_eq(cache.table.n, 0);
    shape_cache_fini(&cache);
}
END_TEST

START_TEST(cache_keeps_its_ceiling)
{
    struct shape_cache cache;
    struct err e = ERR_INIT;
    const size_t max_bytes = 200 * 1024;
    shape_cache_init(&cache, max_bytes, &shape_default_caps, count_free);
    n_freed = 0;
    size_t n_attached = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct sample *sample = sample_new(seed);
        struct cached_shape *cached;
        ck_assert(
            shape_cache_get(&cache, SLICE_LITERAL("t"), buf_slice(&sample->shape), &cached, &e));
        if (cached->attached == NULL) {
            cached->attached = malloc(1);
            n_attached++;
        }
        ck_assert_uint_eq(cached->shape.n_series, sample->n_series);
        ck_assert_uint_le(cache.table.cost_bytes, max_bytes);
        ck_assert_uint_le(cached->arena.held_bytes, cached->arena.used_bytes + 1024);
        sample_free(sample);
    }
    ck_assert_uint_gt(cache.table.n, 5);
    ck_assert_uint_gt(cache.table.n_evicted, 100);
    shape_cache_fini(&cache);
    ck_assert_uint_eq(n_freed, n_attached);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shape");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, vectors_decode_or_say_why);
    tcase_add_test(t, prefixes_are_refused);
    tcase_add_test(t, vectors_read_as_by_avro_c);
    tcase_add_test(t, samples_survive_the_round_trip);
    tcase_add_test(t, equal_labels_are_shared);
    tcase_add_test(t, caps_hold);
    tcase_add_test(t, cache_knows_a_shape_again);
    tcase_add_test(t, cache_refuses_bad_shapes_each_time);
    tcase_add_test(t, cache_keeps_its_ceiling);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
