#include "runner.h"

#include "stage/gap_record.h"

#include <string.h>

enum { N_SAMPLES = 5 };

static void encode(struct buf *out)
{
    const struct gap_record g = {.sink = "sluice-amp",
                                 .tenant = SLICE_LITERAL("demo"),
                                 .source = UINT64_MAX - 4,
                                 .from_ms = -1,
                                 .to_ms = INT64_C(1795798800000),
                                 .reason = "too_old_to_send",
                                 .n_samples = N_SAMPLES,
                                 .topic = SLICE_LITERAL("metrics.admitted"),
                                 .topic_id = (const uint8_t *)"0123456789abcde",
                                 .partition = 7,
                                 .first_offset = 10,
                                 .last_offset = INT64_MAX};
    buf_init(out, 4096);
    gap_record_encode(&g, out);
    ck_assert(buf_ok(out));
}

START_TEST(test_there_and_back)
{
    struct buf bytes;
    struct gap_told told;
    struct err e = ERR_INIT;
    encode(&bytes);
    ck_assert_msg(gap_record_decode(buf_slice(&bytes), &told, &e), "%s", e.text);
    ck_assert(slice_eq_str(told.sink, "sluice-amp"));
    ck_assert(slice_eq_str(told.tenant, "demo"));
    ck_assert_uint_eq(told.source, UINT64_MAX - 4);
    ck_assert_int_eq(told.from_ms, -1);
    ck_assert_int_eq(told.to_ms, INT64_C(1795798800000));
    ck_assert_int_eq(told.n_samples, N_SAMPLES);
    ck_assert_int_eq(told.first_offset, 10);
    ck_assert_int_eq(told.last_offset, INT64_MAX);
    ck_assert_int_eq(told.partition, 7);
    ck_assert_mem_eq(told.topic_id, "0123456789abcde", sizeof told.topic_id);
    buf_fini(&bytes);
}
END_TEST

START_TEST(test_every_prefix_is_refused)
{
    struct buf bytes;
    struct gap_told told;
    encode(&bytes);
    buf_u8(&bytes, 0);
    for (size_t n = 0; n <= bytes.len; n++) {
        struct err e = ERR_INIT;
        uint8_t *copy = malloc(n + 1); /* so that an overrun shows */
        memcpy(copy, bytes.ptr, n);
        bool ok = gap_record_decode(slice_of(copy, n), &told, &e);
        ck_assert_msg(ok == (n == bytes.len - 1), "%zu of %zu bytes", n, bytes.len);
        ck_assert(ok || e.kind == ERR_BAD_INPUT);
        free(copy);
    }
    buf_fini(&bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gap_record");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, test_there_and_back);
    tcase_add_test(tc, test_every_prefix_is_refused);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
