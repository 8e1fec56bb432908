/* Against RFC 3720's values, and whole against piecewise. */
#include "runner.h"

#include "aws/crc32c.h"

START_TEST(published_values)
{
    uint8_t bytes[32] = {0};
    ck_assert_uint_eq(crc32c(0, SLICE_LITERAL("")), 0);
    ck_assert_uint_eq(crc32c(0, SLICE_LITERAL("123456789")), 0xe3069283U);
    ck_assert_uint_eq(crc32c(0, slice_of(bytes, sizeof bytes)), 0x8a9136aaU);
    memset(bytes, 0xff, sizeof bytes);
    ck_assert_uint_eq(crc32c(0, slice_of(bytes, sizeof bytes)), 0x62a8ab43U);
    for (uint8_t i = 0; i < 32; i++) {
        bytes[i] = i;
    }
    ck_assert_uint_eq(crc32c(0, slice_of(bytes, sizeof bytes)), 0x46dd794eU);
    for (size_t cut = 0; cut <= 32; cut++) {
        uint32_t first = crc32c(0, slice_of(bytes, cut));
        ck_assert_uint_eq(crc32c(first, slice_of(bytes + cut, 32 - cut)), 0x46dd794eU);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crc32c");
    TCase *c = tcase_create("crc32c");
    tcase_add_test(c, published_values);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
