#include "runner.h"

#include "base/buf.h"
#include "base/cursor.h"

#include <inttypes.h>

static const struct {
    const char *name;
    struct slice bytes;
    bool ok;
    uint64_t value;
    size_t used; /* bytes taken when ok */
} varints[] = {
    {"zero", SLICE_LITERAL("\x00"), true, 0, 1},
    {"one byte at most", SLICE_LITERAL("\x7f"), true, 127, 1},
    {"two bytes at least", SLICE_LITERAL("\x80\x01"), true, 128, 2},
    {"300", SLICE_LITERAL("\xac\x02rest"), true, 300, 2},
    {"32 bits", SLICE_LITERAL("\xff\xff\xff\xff\x0f"), true, UINT32_MAX, 5},
    {"63 bits", SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), true, INT64_MAX, 9},
    {"64 bits", SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), true, UINT64_MAX, 10},
    {"only the 64th bit", SLICE_LITERAL("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), true,
     UINT64_C(1) << 63, 10},
    {"zero in ten bytes", SLICE_LITERAL("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), true, 0, 10},
    {"zero in two bytes", SLICE_LITERAL("\x80\x00"), true, 0, 2},
    {"a 65th bit", SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), false, 0, 0},
    {"a 70th bit", SLICE_LITERAL("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x40"), false, 0, 0},
    {"eleven bytes", SLICE_LITERAL("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), false, 0, 0},
    {"eleven bytes, tenth small", SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00"),
     false, 0, 0},
    {"nothing", SLICE_LITERAL(""), false, 0, 0},
    {"cut after one", SLICE_LITERAL("\x80"), false, 0, 0},
    {"cut after nine", SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff"), false, 0, 0},
};

START_TEST(varint)
{
    struct cursor c = cursor_of(varints[_i].bytes);
    uint64_t v = cursor_varint(&c);
    ck_assert_msg(cursor_ok(&c) == varints[_i].ok, "%s", varints[_i].name);
    ck_assert_msg(v == varints[_i].value, "%s: %" PRIu64, varints[_i].name, v);
    if (varints[_i].ok) {
        ck_assert_msg(cursor_at(&c) == varints[_i].used, "%s: %zu bytes", varints[_i].name,
                      cursor_at(&c));
    } else {
        ck_assert(!cursor_more(&c));
        ck_assert_uint_eq(cursor_left(&c), 0);
    }
}
END_TEST

static const struct {
    const char *name;
    struct slice bytes;
    int64_t value;
} zigzags[] = {
    {"0", SLICE_LITERAL("\x00"), 0},
    {"-1", SLICE_LITERAL("\x01"), -1},
    {"1", SLICE_LITERAL("\x02"), 1},
    {"-64", SLICE_LITERAL("\x7f"), -64},
    {"64", SLICE_LITERAL("\x80\x01"), 64},
    {"the largest", SLICE_LITERAL("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"), INT64_MAX},
    {"the smallest", SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), INT64_MIN},
};

START_TEST(zigzag)
{
    struct cursor c = cursor_of(zigzags[_i].bytes);
    int64_t v = cursor_zigzag(&c);
    ck_assert_msg(cursor_ok(&c) && v == zigzags[_i].value, "%s: %" PRId64, zigzags[_i].name, v);
    struct buf b;
    buf_init(&b, 100);
    buf_zigzag(&b, v);
    ck_assert_msg(slice_eq(buf_slice(&b), zigzags[_i].bytes), "%s: written otherwise",
                  zigzags[_i].name);
    buf_fini(&b);
}
END_TEST

enum reader { TAKE_4, U8, LE32, LE64, DOUBLE, VARINT_BYTES, ZIGZAG_BYTES };

/* Rows: what is read from which bytes, whether it works, and how many bytes it takes. */
static const struct {
    const char *name;
    enum reader reader;
    struct slice bytes;
    bool ok;
    size_t used;
} reads[] = {
    {"take all", TAKE_4, SLICE_LITERAL("abcd"), true, 4},
    {"take one too many", TAKE_4, SLICE_LITERAL("abc"), false, 0},
    {"u8", U8, SLICE_LITERAL("\xff"), true, 1},
    {"u8 of nothing", U8, SLICE_LITERAL(""), false, 0},
    {"le32", LE32, SLICE_LITERAL("\1\0\0\0"), true, 4},
    {"le32 short", LE32, SLICE_LITERAL("\1\0\0"), false, 0},
    {"le64", LE64, SLICE_LITERAL("\1\0\0\0\0\0\0\0"), true, 8},
    {"le64 short", LE64, SLICE_LITERAL("\1\0\0\0\0\0\0"), false, 0},
    {"double", DOUBLE, SLICE_LITERAL("\0\0\0\0\0\0\xf0\x3f"), true, 8},
    {"double short", DOUBLE, SLICE_LITERAL("\0\0\0\0\0\0\xf0"), false, 0},
    {"bytes, none", VARINT_BYTES, SLICE_LITERAL("\0"), true, 1},
    {"bytes, two", VARINT_BYTES, SLICE_LITERAL("\2abc"), true, 3},
    {"bytes, short", VARINT_BYTES, SLICE_LITERAL("\3ab"), false, 0},
    {"bytes, 2^64-1", VARINT_BYTES, SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     false, 0},
    {"Avro bytes, two", ZIGZAG_BYTES, SLICE_LITERAL("\4abc"), true, 3},
    {"Avro bytes, short", ZIGZAG_BYTES, SLICE_LITERAL("\6ab"), false, 0},
    {"Avro bytes, -1", ZIGZAG_BYTES, SLICE_LITERAL("\1abcdef"), false, 0},
    {"Avro bytes, the smallest", ZIGZAG_BYTES,
     SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01xx"), false, 0},
};

START_TEST(read_one)
{
    struct cursor c = cursor_of(reads[_i].bytes);
    struct slice s = SLICE_NONE;
    double number = 0;
    switch (reads[_i].reader) {
    case TAKE_4:
        s = cursor_take(&c, 4);
        break;
    case U8:
        number = cursor_u8(&c);
        break;
    case LE32:
        number = cursor_le32(&c);
        break;
    case LE64:
        number = (double)cursor_le64(&c);
        break;
    case DOUBLE:
        number = cursor_double(&c);
        break;
    case VARINT_BYTES:
        s = cursor_varint_bytes(&c);
        break;
    case ZIGZAG_BYTES:
        s = cursor_zigzag_bytes(&c);
        break;
    }
    ck_assert_msg(cursor_ok(&c) == reads[_i].ok, "%s", reads[_i].name);
    if (reads[_i].ok) {
        ck_assert_msg(cursor_at(&c) == reads[_i].used, "%s: %zu bytes", reads[_i].name,
                      cursor_at(&c));
        if (reads[_i].reader >= LE32 && reads[_i].reader <= DOUBLE) {
            ck_assert_double_eq(number, 1);
        }
    } else {
        ck_assert_uint_eq(s.len, 0);
        ck_assert_double_eq(number, 0);
    }
}
END_TEST

START_TEST(after_a_failure_everything_fails)
{
    struct cursor c = cursor_of(SLICE_LITERAL("\1\2\3\4\5\6\7\10\11\12"));
    (void)cursor_take(&c, 11);
    ck_assert(!cursor_ok(&c));
    ck_assert(!cursor_more(&c));
    ck_assert_uint_eq(cursor_u8(&c), 0);
    ck_assert_uint_eq(cursor_le32(&c), 0);
    ck_assert_uint_eq(cursor_le64(&c), 0);
    ck_assert_uint_eq(cursor_varint(&c), 0);
    ck_assert_ptr_null(cursor_take(&c, 1).ptr);
    ck_assert(!cursor_ok(&c));
}
END_TEST

START_TEST(a_nested_cursor_ends_with_its_slice)
{
    struct cursor c = cursor_of(SLICE_LITERAL("\2ab\1c"));
    struct cursor inner = cursor_of(cursor_varint_bytes(&c));
    ck_assert_uint_eq(cursor_u8(&inner), 'a');
    ck_assert_uint_eq(cursor_u8(&inner), 'b');
    ck_assert(!cursor_more(&inner));
    ck_assert(cursor_ok(&inner));
    (void)cursor_u8(&inner);
    ck_assert(!cursor_ok(&inner));
    ck_assert(cursor_ok(&c));
    ck_assert_uint_eq(cursor_left(&c), 2);
    struct cursor none = cursor_of(SLICE_NONE);
    ck_assert(cursor_ok(&none));
    ck_assert_uint_eq(cursor_take(&none, 0).len, 0);
    ck_assert(cursor_ok(&none));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cursor");
    TCase *tc = tcase_create("cursor");
    tcase_add_loop_test(tc, varint, 0, sizeof varints / sizeof varints[0]);
    tcase_add_loop_test(tc, zigzag, 0, sizeof zigzags / sizeof zigzags[0]);
    tcase_add_loop_test(tc, read_one, 0, sizeof reads / sizeof reads[0]);
    tcase_add_test(tc, after_a_failure_everything_fails);
    tcase_add_test(tc, a_nested_cursor_ends_with_its_slice);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
