#include "runner.h"

#include "base/buf.h"
#include "base/cursor.h"

START_TEST(values_read_back_as_written)
{
    struct buf b;
    buf_init(&b, 1000);
    buf_u8(&b, 0xfe);
    buf_le32(&b, 0x01020304);
    buf_le64(&b, UINT64_C(0x0102030405060708));
    buf_double(&b, -2.5);
    buf_varint_bytes(&b, SLICE_LITERAL("protobuf"));
    buf_zigzag_bytes(&b, SLICE_LITERAL("avro"));
    buf_varint_bytes(&b, SLICE_NONE);
    ck_assert(buf_ok(&b));
    ck_assert_uint_eq(b.ptr[1], 4); /* little-endian */
    struct cursor c = cursor_of(buf_slice(&b));
    ck_assert_uint_eq(cursor_u8(&c), 0xfe);
    ck_assert_uint_eq(cursor_le32(&c), 0x01020304);
    ck_assert_uint_eq(cursor_le64(&c), UINT64_C(0x0102030405060708));
    ck_assert_double_eq(cursor_double(&c), -2.5);
    ck_assert(slice_eq_str(cursor_varint_bytes(&c), "protobuf"));
    ck_assert(slice_eq_str(cursor_zigzag_bytes(&c), "avro"));
    ck_assert_uint_eq(cursor_varint_bytes(&c).len, 0);
    ck_assert(cursor_ok(&c) && !cursor_more(&c));
    buf_fini(&b);
}
END_TEST

START_TEST(varints_of_every_length_round_trip)
{
    struct buf b;
    buf_init(&b, 100);
    for (int bit = 0; bit < 64; bit++) {
        for (int below = 0; below < 2; below++) {
            uint64_t v = (UINT64_C(1) << bit) - (uint64_t)below;
            buf_reset(&b);
            buf_varint(&b, v);
            struct cursor c = cursor_of(buf_slice(&b));
            ck_assert_uint_eq(cursor_varint(&c), v);
            ck_assert(cursor_ok(&c) && !cursor_more(&c));
            int n_bits = v == 0 ? 1 : 64 - __builtin_clzll(v);
            ck_assert_uint_eq(b.len, (size_t)(n_bits + 6) / 7);
        }
    }
    buf_fini(&b);
}
END_TEST

/* Rows: ceiling, bytes written one piece after the other, is there room? */
static const struct {
    const char *name;
    size_t max_bytes;
    size_t pieces[3];
    bool ok;
    size_t len;
} ceilings[] = {
    {"exactly full in one", 10, {10, 0, 0}, true, 10},
    {"exactly full in three", 10, {3, 3, 4}, true, 10},
    {"one too many", 10, {11, 0, 0}, false, 0},
    {"one too many at the end", 10, {5, 5, 1}, false, 10},
    {"a piece that fits after one that did not", 10, {5, 6, 1}, false, 5},
    {"above the first allocation", 300, {200, 100, 0}, true, 300},
    {"above the first allocation, too many", 300, {200, 101, 0}, false, 200},
    {"no room at all", 0, {1, 0, 0}, false, 0},
    {"nothing into no room", 0, {0, 0, 0}, true, 0},
};

START_TEST(the_ceiling_holds_and_failure_stays)
{
    static const uint8_t bytes[512];
    struct buf b;
    buf_init(&b, ceilings[_i].max_bytes);
    for (int i = 0; i < 3; i++) {
        buf_put(&b, bytes, ceilings[_i].pieces[i]);
    }
    ck_assert_msg(buf_ok(&b) == ceilings[_i].ok, "%s", ceilings[_i].name);
    ck_assert_msg(b.cap <= ceilings[_i].max_bytes, "%s: holds %zu", ceilings[_i].name, b.cap);
    if (ceilings[_i].ok) {
        ck_assert_uint_eq(b.len, ceilings[_i].len);
    }
    buf_reset(&b);
    ck_assert(buf_ok(&b));
    ck_assert_uint_eq(b.len, 0);
    buf_fini(&b);
}
END_TEST

START_TEST(a_size_that_wraps_around_is_refused)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_u8(&b, 1);
    ck_assert_ptr_null(buf_extend(&b, SIZE_MAX));
    ck_assert(!buf_ok(&b));
    buf_fini(&b);
}
END_TEST

START_TEST(printf_grows_and_fails_at_the_ceiling)
{
    struct buf b;
    buf_init(&b, 600);
    for (int i = 0; i < 100; i++) {
        buf_printf(&b, "%d,", i);
    }
    ck_assert(buf_ok(&b));
    ck_assert_uint_eq(b.len, 290);
    ck_assert(slice_starts_with(buf_slice(&b), slice_str("0,1,2,3,")));
    ck_assert(slice_ends_with(buf_slice(&b), slice_str(",98,99,")));
    buf_printf(&b, "%0400d", 7);
    ck_assert(!buf_ok(&b));
    ck_assert_uint_eq(b.len, 290);
    buf_fini(&b);
}
END_TEST

START_TEST(printf_has_room_for_the_nul_behind_its_text)
{
    for (size_t before = 0; before < 600; before++) {
        struct buf b;
        buf_init(&b, 1000);
        for (size_t i = 0; i < before; i++) {
            buf_u8(&b, '.');
        }
        buf_printf(&b, "%s", "text");
        ck_assert_uint_eq(b.len, before + 4);
        ck_assert_uint_lt(b.len, b.cap);
        buf_fini(&b);
    }
}
END_TEST

START_TEST(a_c_string_ends_in_nul_that_does_not_count)
{
    struct buf b;
    buf_init(&b, 4);
    ck_assert_str_eq(buf_c_str(&b), "");
    buf_put(&b, "abc", 3);
    ck_assert_str_eq(buf_c_str(&b), "abc");
    ck_assert_uint_eq(b.len, 3);
    buf_u8(&b, 'd');
    ck_assert_str_eq(buf_c_str(&b), ""); /* no room for the NUL */
    ck_assert(!buf_ok(&b));
    buf_fini(&b);
}
END_TEST

START_TEST(take_moves_the_bytes_out)
{
    struct buf b;
    buf_init(&b, 100);
    buf_put(&b, "moved", 5);
    size_t len;
    uint8_t *p = buf_take(&b, &len);
    ck_assert_uint_eq(len, 5);
    ck_assert_mem_eq(p, "moved", 5);
    ck_assert_uint_eq(b.len, 0);
    buf_put(&b, "again", 5);
    ck_assert(slice_eq_str(buf_slice(&b), "again"));
    ck_assert_mem_eq(p, "moved", 5);
    free(p);
    buf_fini(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf");
    TCase *tc = tcase_create("buf");
    tcase_add_test(tc, values_read_back_as_written);
    tcase_add_test(tc, varints_of_every_length_round_trip);
    tcase_add_loop_test(tc, the_ceiling_holds_and_failure_stays, 0,
                        sizeof ceilings / sizeof ceilings[0]);
    tcase_add_test(tc, a_size_that_wraps_around_is_refused);
    tcase_add_test(tc, printf_grows_and_fails_at_the_ceiling);
    tcase_add_test(tc, printf_has_room_for_the_nul_behind_its_text);
    tcase_add_test(tc, a_c_string_ends_in_nul_that_does_not_count);
    tcase_add_test(tc, take_moves_the_bytes_out);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
