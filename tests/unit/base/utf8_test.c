#include "runner.h"

#include "base/utf8.h"

#include <stdint.h>

/* Rows: bytes and the offset of the first bad one (the length when all are good). */
static const struct {
    const char *name;
    struct slice bytes;
    size_t bad_at;
} rows[] = {
    {"nothing", SLICE_LITERAL(""), 0},
    {"ASCII", SLICE_LITERAL("plain"), 5},
    {"NUL is a character", SLICE_LITERAL("a\0b"), 3},
    {"U+007F", SLICE_LITERAL("\x7f"), 1},
    {"U+0080", SLICE_LITERAL("\xc2\x80"), 2},
    {"U+07FF", SLICE_LITERAL("\xdf\xbf"), 2},
    {"U+0800", SLICE_LITERAL("\xe0\xa0\x80"), 3},
    {"U+D7FF", SLICE_LITERAL("\xed\x9f\xbf"), 3},
    {"U+E000", SLICE_LITERAL("\xee\x80\x80"), 3},
    {"U+FFFF", SLICE_LITERAL("\xef\xbf\xbf"), 3},
    {"U+10000", SLICE_LITERAL("\xf0\x90\x80\x80"), 4},
    {"U+10FFFF", SLICE_LITERAL("\xf4\x8f\xbf\xbf"), 4},
    {"mixed", SLICE_LITERAL("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z"), 11},
    {"a tail alone", SLICE_LITERAL("ab\x80"), 2},
    {"overlong NUL", SLICE_LITERAL("\xc0\x80"), 0},
    {"overlong slash", SLICE_LITERAL("\xc1\xaf"), 0},
    {"overlong in three", SLICE_LITERAL("\xe0\x9f\xbf"), 0},
    {"overlong in four", SLICE_LITERAL("\xf0\x8f\xbf\xbf"), 0},
    {"first surrogate", SLICE_LITERAL("x\xed\xa0\x80"), 1},
    {"last surrogate", SLICE_LITERAL("\xed\xbf\xbf"), 0},
    {"U+110000", SLICE_LITERAL("\xf4\x90\x80\x80"), 0},
    {"lead F5", SLICE_LITERAL("\xf5\x80\x80\x80"), 0},
    {"five bytes", SLICE_LITERAL("\xf8\x88\x80\x80\x80"), 0},
    {"FE", SLICE_LITERAL("\xfe"), 0},
    {"FF", SLICE_LITERAL("abc\xff"), 3},
    {"two bytes cut", SLICE_LITERAL("a\xc3"), 1},
    {"three bytes cut", SLICE_LITERAL("a\xe2\x82"), 1},
    {"four bytes cut", SLICE_LITERAL("a\xf0\x9f\x98"), 1},
    {"second byte bad",
     SLICE_LITERAL("\xc3"
                   "a"),
     0},
    {"third byte bad",
     SLICE_LITERAL("\xe2\x82"
                   "a"),
     0},
    {"third byte bad, bytes behind", SLICE_LITERAL("\xe2\x82\xc3\xa4 and more"), 0},
    {"fourth byte bad", SLICE_LITERAL("\xf0\x9f\x98\xc0"), 0},
    {"behind a run of eight", SLICE_LITERAL("12345678\xff"), 8},
    {"at the end of a run of eight",
     SLICE_LITERAL("1234567\xff"
                   "12345678"),
     7},
    {"across runs of eight",
     SLICE_LITERAL("1234567\xc3\xa4"
                   "12345678"),
     17},
};

START_TEST(check)
{
    size_t at = utf8_check(rows[_i].bytes);
    ck_assert_msg(at == rows[_i].bad_at, "%s: %zu", rows[_i].name, at);
    ck_assert(utf8_valid(rows[_i].bytes) == (rows[_i].bad_at == rows[_i].bytes.len));
}
END_TEST

static size_t put_code_point(uint32_t u, uint8_t out[4])
{
    if (u < 0x80) {
        out[0] = (uint8_t)u;
        return 1;
    }
    size_t len = u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (u & 0x3f));
        u >>= 6;
    }
    out[0] = (uint8_t)(leads[len] | u);
    return len;
}

START_TEST(every_code_point_but_surrogates_is_valid)
{
    for (uint32_t u = 0; u < 0x112000; u++) {
        uint8_t bytes[4];
        struct slice s = slice_of(bytes, put_code_point(u, bytes));
        bool want = (u < 0xd800 || u > 0xdfff) && u <= 0x10ffff;
        if (utf8_valid(s) != want) {
            ck_abort_msg("U+%04X", u);
        }
    }
}
END_TEST

/* All two- and three-byte strings: valid ones are as many as the standard has. */
START_TEST(there_are_no_other_valid_strings)
{
    uint32_t n_valid[4] = {0};
    uint8_t b[3];
    for (uint32_t x = 0; x < 1 << 24; x++) {
        b[0] = (uint8_t)(x >> 16);
        b[1] = (uint8_t)(x >> 8);
        b[2] = (uint8_t)x;
        n_valid[3] += utf8_valid(slice_of(b, 3));
        n_valid[2] += b[2] == 0 && utf8_valid(slice_of(b, 2));
        n_valid[1] += b[2] == 0 && b[1] == 0 && utf8_valid(slice_of(b, 1));
    }
    const uint32_t one = 0x80;
    const uint32_t two = 0x800 - 0x80;
    const uint32_t three = 0x10000 - 0x800 - 0x800;
    ck_assert_uint_eq(n_valid[1], one);
    ck_assert_uint_eq(n_valid[2], two + one * one);
    ck_assert_uint_eq(n_valid[3], three + 2 * one * two + one * one * one);
}
END_TEST

static const struct {
    const char *name;
    const char *text;
    size_t max_bytes;
    size_t fit;
} fits[] = {
    {"all of it", "abc", 3, 3},
    {"more than all", "abc", 9, 3},
    {"a part", "abc", 2, 2},
    {"nothing", "abc", 0, 0},
    {"before two bytes", "a\xc3\xa4", 2, 1},
    {"after two bytes", "a\xc3\xa4z", 3, 3},
    {"in three bytes", "\xe2\x82\xac", 2, 0},
    {"in four bytes", "ab\xf0\x9f\x98\x80", 5, 2},
    {"only tails", "\x80\x80\x80", 2, 0},
};

START_TEST(fit)
{
    size_t n = utf8_fit(slice_str(fits[_i].text), fits[_i].max_bytes);
    ck_assert_msg(n == fits[_i].fit, "%s: %zu", fits[_i].name, n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("utf8");
    TCase *tc = tcase_create("utf8");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, check, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(tc, every_code_point_but_surrogates_is_valid);
    tcase_add_test(tc, there_are_no_other_valid_strings);
    tcase_add_loop_test(tc, fit, 0, sizeof fits / sizeof fits[0]);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
