#include "runner.h"

#include <math.h>

#include "parquet/bloom.h"
#include "parquet/bounds.h"

static const struct {
    const char *name;
    double values[4];
    size_t n;
    bool any;
    bool told;
    double min;
    double max;
} double_rows[] = {{"ascending", {1, 2, 3, 4}, 4, true, true, 1, 4},
                   {"one", {7}, 1, true, true, 7, 7},
                   {"infinities", {INFINITY, -INFINITY}, 2, true, true, -INFINITY, INFINITY},
                   {"+Inf alone", {INFINITY, INFINITY}, 2, true, true, INFINITY, INFINITY},
                   {"-Inf alone", {-INFINITY}, 1, true, true, -INFINITY, -INFINITY},
                   {"NaN first", {NAN, 3, 2}, 3, true, true, 2, 3},
                   {"NaN last", {3, 2, NAN}, 3, true, true, 2, 3},
                   {"NaN alone", {NAN, NAN}, 2, false, false, 0, 0},
                   {"NaN and one number", {NAN, 5}, 2, true, false, 5, 5},
                   {"+0", {0.0}, 1, true, true, -0.0, 0.0},
                   {"-0", {-0.0}, 1, true, true, -0.0, 0.0},
                   {"zero below", {0.0, 5}, 2, true, true, -0.0, 5},
                   {"zero above", {-5, -0.0}, 2, true, true, -5, 0.0}};

static void check_doubles(const struct bounds *b, int i)
{
    uint8_t room[8];
    ck_assert_msg(b->any == double_rows[i].any, "%s", double_rows[i].name);
    ck_assert_msg(bounds_can_be_told(b) == double_rows[i].told, "%s", double_rows[i].name);
    if (b->any) {
        ck_assert_mem_eq(bounds_min(b, PARQUET_DOUBLE, room).ptr, &double_rows[i].min, 8);
        ck_assert_mem_eq(bounds_max(b, PARQUET_DOUBLE, room).ptr, &double_rows[i].max, 8);
    }
}

START_TEST(doubles_leave_nan_out_and_widen_zeros)
{
    struct bounds b = {.any = false};
    struct bounds merged = {.any = false};
    bounds_add(&b, PARQUET_DOUBLE, double_rows[_i].values, double_rows[_i].n);
    check_doubles(&b, _i);
    for (size_t k = 0; k < double_rows[_i].n; k++) {
        struct bounds one = {.any = false};
        bounds_add(&one, PARQUET_DOUBLE, &double_rows[_i].values[k], 1);
        bounds_merge(&merged, PARQUET_DOUBLE, &one);
    }
    check_doubles(&merged, _i);
}
END_TEST

START_TEST(integers_are_compared_with_their_sign)
{
    const int32_t narrow[] = {3, -7, INT32_MAX, INT32_MIN};
    const int64_t wide[] = {3, -7, INT64_MAX, INT64_MIN};
    const uint8_t flags[] = {0, 1, 0};
    struct bounds b = {.any = false};
    bounds_add(&b, PARQUET_INT32, narrow, 4);
    ck_assert(b.min_int == INT32_MIN && b.max_int == INT32_MAX);
    b = (struct bounds){.any = false};
    bounds_add(&b, PARQUET_TIMESTAMP_MS, wide, 4);
    ck_assert(b.min_int == INT64_MIN && b.max_int == INT64_MAX);
    b = (struct bounds){.any = false};
    bounds_add(&b, PARQUET_BOOL, flags, 3);
    uint8_t room[8];
    ck_assert(bounds_min(&b, PARQUET_BOOL, room).len == 1 && room[0] == 0);
    ck_assert(bounds_max(&b, PARQUET_BOOL, room).len == 1 && room[0] == 1);
}
END_TEST

/* Cut to 8 bytes. */
static const struct {
    enum parquet_type type;
    const char *text;
    const char *min;
    const char *max;
    bool max_exact;
} text_rows[] = {{PARQUET_STRING, "short", "short", "short", true},
                 {PARQUET_STRING, "12345678", "12345678", "12345678", true},
                 {PARQUET_STRING, "123456789", "12345678", "12345679", false},
                 {PARQUET_STRING, "1234567ä", "1234567", "1234568", false},
                 {PARQUET_STRING, "ÿÿÿÿÿ", "ÿÿÿÿ", "ÿÿÿĀ", false},
                 {PARQUET_STRING, "a\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f",
                  "a\x7f\x7f\x7f\x7f\x7f\x7f\x7f", "b", false},
                 {PARQUET_STRING, "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f",
                  "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", true},
                 {PARQUET_BYTES, "1234567\xff\xff", "1234567\xff", "1234568", false},
                 {PARQUET_BYTES, "\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                  "\xff\xff\xff\xff\xff\xff\xff\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                  true}};

START_TEST(long_texts_are_cut_to_bounds_that_hold)
{
    struct bounds b = {.any = false};
    struct arena a;
    struct slice text = slice_str(text_rows[_i].text);
    arena_init(&a, 1 << 20);
    ck_assert(bounds_set_texts(&b, text_rows[_i].type, text, text, 8, &a));
    ck_assert_msg(slice_eq_str(b.min_text, text_rows[_i].min), "row %d: %.*s", _i,
                  SLICE_ARG(b.min_text));
    ck_assert_msg(slice_eq_str(b.max_text, text_rows[_i].max), "row %d: %.*s", _i,
                  SLICE_ARG(b.max_text));
    ck_assert(b.max_exact == text_rows[_i].max_exact && b.min_exact == (text.len <= 8));
    ck_assert(slice_cmp(b.min_text, text) <= 0 && slice_cmp(b.max_text, text) >= 0);
    arena_fini(&a);
}
END_TEST

/* XXH64's published test values: of nothing, and of "abc". */
START_TEST(bloom_hash_is_xxh64_of_seed_0)
{
    ck_assert_uint_eq(bloom_hash(SLICE_NONE), UINT64_C(0xef46db3751d8e999));
    ck_assert_uint_eq(bloom_hash(SLICE_LITERAL("abc")), UINT64_C(0x44bc2cf5ad770999));
}
END_TEST

START_TEST(bloom_filter_holds_all_and_excludes_most)
{
    enum { N = 2000 };
    static uint64_t hashes[2 * N];
    struct buf out;
    for (uint32_t i = 0; i < 2 * N; i++) {
        hashes[i] = bloom_hash(slice_of(&i, sizeof i));
    }
    buf_init(&out, 1 << 20);
    bloom_put(hashes, N, 1 << 20, &out);
    ck_assert(buf_ok(&out) && out.len > 4096 && out.len < 4096 + 32);
    struct slice blocks = slice_of(out.ptr + out.len - 4096, 4096);
    unsigned n_wrong = 0;
    for (size_t i = 0; i < 2 * N; i++) {
        bool held = bloom_may_hold(blocks, hashes[i]);
        ck_assert(held || i >= N);
        n_wrong += held && i >= N;
    }
    ck_assert_uint_lt(n_wrong, N / 50);
    buf_fini(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parquet_bounds");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, doubles_leave_nan_out_and_widen_zeros, 0,
                        sizeof double_rows / sizeof *double_rows);
    tcase_add_test(t, integers_are_compared_with_their_sign);
    tcase_add_loop_test(t, long_texts_are_cut_to_bounds_that_hold, 0,
                        sizeof text_rows / sizeof *text_rows);
    tcase_add_test(t, bloom_hash_is_xxh64_of_seed_0);
    tcase_add_test(t, bloom_filter_holds_all_and_excludes_most);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
