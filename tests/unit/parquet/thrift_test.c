#include "runner.h"

#include "parquet/thrift.h"

static void write_all(struct buf *out)
{
    struct thrift_struct s = thrift_begin(out);
    thrift_i32(&s, 1, -1);
    thrift_bool(&s, 2, true);
    thrift_bool(&s, 20, false);
    thrift_i64(&s, 21, INT64_MIN);
    thrift_text(&s, 22, "Parquet");
    struct thrift_struct inner = thrift_field_struct(&s, 23);
    thrift_i16(&inner, 1, -300);
    thrift_empty(&inner, 2);
    thrift_end(&inner);
    thrift_list(&s, 24, THRIFT_I64, 20);
    for (int i = 0; i < 20; i++) {
        buf_zigzag(out, i);
    }
    thrift_list(&s, 25, THRIFT_TRUE, 2);
    buf_u8(out, THRIFT_TRUE);
    buf_u8(out, THRIFT_FALSE);
    thrift_list(&s, 26, THRIFT_STRUCT, 1);
    struct thrift_struct element = thrift_begin(out);
    thrift_i32(&element, 3, 7);
    thrift_end(&element);
    thrift_end(&s);
}

/* By hand from thrift-compact-protocol.md. */
START_TEST(bytes_are_those_of_the_specification)
{
    struct buf out;
    buf_init(&out, 1000);
    write_all(&out);
    static const char want[] =
        "\x15\x01"                                      /* 1: i32 -1 */
        "\x11"                                          /* 2: true */
        "\x02\x28"                                      /* 20: false, its id in full */
        "\x16\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"  /* 21: the least i64 */
        "\x18\x07Parquet"                               /* 22 */
        "\x1c\x14\xd7\x04\x1c\x00\x00"                  /* 23: {1: i16 -300, 2: {}} */
        "\x19\xf6\x14\x00\x02\x04\x06\x08\x0a\x0c\x0e"; /* 24: 20 i64, from 0 on */
    ck_assert_mem_eq(out.ptr, want, sizeof want - 1);
    buf_fini(&out);
}
END_TEST

static void read_all(struct cursor *in, int *n_fields)
{
    struct thrift_reader r = thrift_read_begin(in);
    while (thrift_next(&r)) {
        (*n_fields)++;
        switch (r.id) {
        case 1:
            ck_assert_int_eq(thrift_read_i32(&r), cursor_ok(in) ? -1 : 0);
            break;
        case 2:
            ck_assert(thrift_read_bool(&r));
            break;
        case 20:
            ck_assert(!thrift_read_bool(&r));
            break;
        case 21:
            ck_assert_int_eq(thrift_read_i64(&r), cursor_ok(in) ? INT64_MIN : 0);
            break;
        case 22:
            ck_assert(slice_eq_str(thrift_read_bytes(&r), "Parquet") || !cursor_ok(in));
            break;
        default:
            thrift_skip(&r);
            break;
        }
    }
}

START_TEST(what_was_written_reads_back_and_no_prefix_does)
{
    struct buf out;
    buf_init(&out, 1000);
    write_all(&out);
    for (size_t len = 0; len <= out.len; len++) {
        uint8_t *copy = malloc(len + 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, out.ptr, len);
        struct cursor in = cursor_of(slice_of(copy, len));
        int n_fields = 0;
        read_all(&in, &n_fields);
        ck_assert_msg(cursor_ok(&in) == (len == out.len), "%zu of %zu bytes", len, out.len);
        ck_assert(len < out.len || (n_fields == 9 && !cursor_more(&in)));
        free(copy);
    }
    buf_fini(&out);
}
END_TEST

static const struct {
    const char *name;
    const char *bytes;
    size_t len;
} bad_rows[] = {
    {"an unknown type", "\x1d\x00", 2},
    {"a stop with an id", "\x10", 1},
    {"a list longer than the input", "\x19\xf5\xff\xff\xff\xff\x0f", 7},
    {"a text longer than the input",
     "\x18\x05"
     "abc",
     5},
    {"structs without end",
     "\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c"
     "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
     41},
    {"lists of lists without end",
     "\x19\x19\x19\x19\x19\x19\x19\x19\x19\x19\x19\x19\x19\x19\x19\x19\x19\x19\x19\x19\x05\x00",
     22}};

START_TEST(bad_input_is_refused)
{
    struct cursor in = cursor_of(slice_of(bad_rows[_i].bytes, bad_rows[_i].len));
    struct thrift_reader r = thrift_read_begin(&in);
    while (thrift_next(&r)) {
        thrift_skip(&r);
    }
    ck_assert_msg(!cursor_ok(&in), "%s", bad_rows[_i].name);
}
END_TEST

START_TEST(a_field_of_another_type_is_refused)
{
    struct cursor in = cursor_of(SLICE_LITERAL("\x15\x02\x00"));
    struct thrift_reader r = thrift_read_begin(&in);
    ck_assert(thrift_next(&r));
    ck_assert_int_eq(thrift_read_i64(&r), 0);
    ck_assert(!cursor_ok(&in) && !thrift_next(&r));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parquet_thrift");
    TCase *t = tcase_create("all");
    tcase_add_test(t, bytes_are_those_of_the_specification);
    tcase_add_test(t, what_was_written_reads_back_and_no_prefix_does);
    tcase_add_loop_test(t, bad_input_is_refused, 0, sizeof bad_rows / sizeof *bad_rows);
    tcase_add_test(t, a_field_of_another_type_is_refused);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
