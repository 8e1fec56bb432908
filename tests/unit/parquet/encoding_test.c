#include "runner.h"

#include "parquet/decode.h"
#include "parquet/encoding.h"

enum { MAX_VALUES = 3000 };

static void check_bytes(const struct buf *b, const char *want, size_t n)
{
    ck_assert(buf_ok(b));
    ck_assert_uint_eq(b->len, n);
    ck_assert_mem_eq(b->ptr, want, n);
}

/* Encodings.md: 0 to 7 at 3 bits. */
START_TEST(bits_are_packed_from_the_lowest_on)
{
    const uint32_t values[] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct buf out;
    buf_init(&out, 100);
    rle_encode(values, 8, 3, &out);
    check_bytes(&out, "\x03\x88\xc6\xfa", 4);
    buf_fini(&out);
}
END_TEST

START_TEST(runs_of_eight_and_more_are_one_token)
{
    uint32_t values[100];
    struct buf out;
    for (size_t i = 0; i < 100; i++) {
        values[i] = 300;
    }
    buf_init(&out, 100);
    rle_encode(values, 100, 9, &out);
    check_bytes(&out, "\xc8\x01\x2c\x01", 4);
    buf_reset(&out);
    rle_encode(values, 7, 9, &out); /* 7: one group of literals, filled up with zeros */
    ck_assert_uint_eq(out.len, 1 + 9);
    buf_fini(&out);
}
END_TEST

static uint32_t random_state;

static uint32_t next_random(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8;
}

/* Runs of random lengths, so that literals and runs meet at every place of a group. */
START_TEST(levels_of_every_width_round_trip)
{
    static uint32_t values[MAX_VALUES];
    static uint32_t got[MAX_VALUES];
    struct buf out;
    buf_init(&out, 1 << 20);
    for (unsigned bit_width = 1; bit_width <= 32; bit_width++) {
        for (unsigned longest = 1; longest <= 40; longest += 13) {
            random_state = bit_width * 100 + longest;
            size_t n = next_random() % MAX_VALUES;
            for (size_t i = 0; i < n;) {
                uint32_t v = (next_random() ^ next_random() << 16) &
                             (uint32_t)((UINT64_C(1) << bit_width) - 1);
                for (size_t run = next_random() % longest + 1; run > 0 && i < n; run--) {
                    values[i++] = v;
                }
            }
            buf_reset(&out);
            rle_encode(values, n, bit_width, &out);
            struct cursor in = cursor_of(buf_slice(&out));
            ck_assert(rle_decode(&in, bit_width, n, got));
            ck_assert(!cursor_more(&in));
            ck_assert_mem_eq(values, got, n * sizeof *values);
        }
    }
    buf_fini(&out);
}
END_TEST

/* Encodings.md, "Example 2": 7, 5, 3, 1, 2, 3, 4, 5 has deltas from -2 on. */
START_TEST(deltas_are_as_the_specification_has_them)
{
    const int64_t values[] = {7, 5, 3, 1, 2, 3, 4, 5};
    struct buf out;
    buf_init(&out, 1000);
    delta_encode(slice_of(values, sizeof values), 8, &out);
    check_bytes(&out, "\x80\x01\x04\x08\x0e\x03\x02\x00\x00\x00\xc0\x3f\x00\x00\x00\x00\x00\x00",
                18);
    buf_fini(&out);
}
END_TEST

static const struct {
    const char *name;
    int64_t step;
    uint64_t mask; /* of what is random */
} delta_rows[] = {{"constant", 0, 0},          {"steady", 10000, 0},
                  {"jitter", 10000, 0xff},     {"down", -7, 1},
                  {"all bits", 0, UINT64_MAX}, {"extremes in turn", INT64_MAX, 0}};

START_TEST(deltas_round_trip)
{
    static uint8_t plain[MAX_VALUES * 8];
    static uint8_t got[MAX_VALUES * 8];
    struct buf out;
    buf_init(&out, 1 << 20);
    for (unsigned width = 4; width <= 8; width += 4) {
        for (size_t n = 0; n < 700; n += n < 140 ? 1 : 97) {
            uint64_t v = (uint64_t)INT64_MIN;
            for (size_t i = 0; i < n; i++) {
                v += (uint64_t)delta_rows[_i].step;
                uint64_t with = v + (((uint64_t)next_random() << 40 ^
                                      (uint64_t)next_random() << 20 ^ next_random()) &
                                     delta_rows[_i].mask);
                memcpy(plain + i * width, &with, width);
            }
            buf_reset(&out);
            delta_encode(slice_of(plain, n * width), width, &out);
            struct cursor in = cursor_of(buf_slice(&out));
            ck_assert_msg(delta_decode(&in, width, n, got), "%s, %zu values of %u",
                          delta_rows[_i].name, n, width);
            ck_assert(!cursor_more(&in));
            ck_assert_mem_eq(plain, got, n * width);
        }
    }
    buf_fini(&out);
}
END_TEST

START_TEST(split_and_bits_round_trip)
{
    const char *text = "abcdefgh01234567ABCDEFGH";
    uint8_t got[24];
    struct buf out;
    buf_init(&out, 1000);
    split_encode(slice_str(text), 8, &out);
    ck_assert_mem_eq(out.ptr, "a0Ab1B", 6);
    struct cursor in = cursor_of(buf_slice(&out));
    ck_assert(split_decode(&in, 8, 3, got) && !cursor_more(&in));
    ck_assert_mem_eq(got, text, 24);

    const uint8_t flags[] = {1, 0, 0, 1, 1, 0, 0, 0, 1, 1};
    buf_reset(&out);
    bits_encode(slice_of(flags, sizeof flags), &out);
    check_bytes(&out, "\x19\x03", 2);
    in = cursor_of(buf_slice(&out));
    ck_assert(bits_decode(&in, 10, got) && !cursor_more(&in));
    ck_assert_mem_eq(got, flags, sizeof flags);
    buf_fini(&out);
}
END_TEST

/* What is cut short is refused, and nothing beyond it is read (the sanitizers look). */
START_TEST(prefixes_are_refused)
{
    uint32_t ids[200];
    int64_t values[200];
    uint8_t got[200 * 8];
    struct buf out;
    buf_init(&out, 1 << 16);
    for (uint32_t i = 0; i < 200; i++) {
        ids[i] = i < 100 ? i % 7 : 3;
        values[i] = (int64_t)i * i;
    }
    for (int way = 0; way < 3; way++) {
        buf_reset(&out);
        switch (way) {
        case 0:
            rle_encode(ids, 200, 3, &out);
            break;
        case 1:
            delta_encode(slice_of(values, sizeof values), 8, &out);
            break;
        default:
            split_encode(slice_of(values, sizeof values), 8, &out);
            break;
        }
        for (size_t len = 0; len < out.len; len++) {
            uint8_t *copy = malloc(len + 1);
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, out.ptr, len);
            struct cursor in = cursor_of(slice_of(copy, len));
            bool ok = way == 0   ? rle_decode(&in, 3, 200, ids)
                      : way == 1 ? delta_decode(&in, 8, 200, got)
                                 : split_decode(&in, 8, 200, got);
            ck_assert_msg(!ok, "way %d: %zu of %zu bytes", way, len, out.len);
            free(copy);
        }
    }
    buf_fini(&out);
}
END_TEST

static const struct {
    const char *name;
    const char *bytes;
    size_t len;
    unsigned bit_width;
} bad_rows[] = {{"a token without values", "\x00\x01", 2, 1},
                {"literals without a group", "\x01", 1, 1},
                {"a run that is too long", "\x14\x01", 2, 1},
                {"a value that is too wide", "\x10\x02", 2, 1},
                {"endless groups", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, 1}};

START_TEST(bad_levels_are_refused)
{
    uint32_t got[8];
    struct cursor in = cursor_of(slice_of(bad_rows[_i].bytes, bad_rows[_i].len));
    ck_assert_msg(!rle_decode(&in, bad_rows[_i].bit_width, 8, got), "%s", bad_rows[_i].name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parquet_encoding");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, bits_are_packed_from_the_lowest_on);
    tcase_add_test(t, runs_of_eight_and_more_are_one_token);
    tcase_add_test(t, levels_of_every_width_round_trip);
    tcase_add_test(t, deltas_are_as_the_specification_has_them);
    tcase_add_loop_test(t, deltas_round_trip, 0, sizeof delta_rows / sizeof *delta_rows);
    tcase_add_test(t, split_and_bits_round_trip);
    tcase_add_test(t, prefixes_are_refused);
    tcase_add_loop_test(t, bad_levels_are_refused, 0, sizeof bad_rows / sizeof *bad_rows);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
