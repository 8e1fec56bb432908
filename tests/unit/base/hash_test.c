#include "runner.h"

#include "base/hash.h"

/* Fingerprints of canonical schemas, as the Avro project's own test data has them
 * (share/test/data/schema-tests.txt), and the fingerprint of nothing by its definition. */
static const struct {
    const char *schema;
    uint64_t fingerprint;
} schemas[] = {
    {"", UINT64_C(0xc15d213aa4d7a795)},
    {"\"null\"", UINT64_C(7195948357588979594)},
    {"\"boolean\"", (uint64_t)INT64_C(-6970731678124411036)},
    {"\"int\"", UINT64_C(0x7275d51a3f395c8f)},
    {"\"long\"", (uint64_t)INT64_C(-3434872931120570953)},
    {"\"float\"", UINT64_C(5583340709985441680)},
    {"\"double\"", (uint64_t)INT64_C(-8181574048448539266)},
    {"\"bytes\"", UINT64_C(5746618253357095269)},
    {"\"string\"", (uint64_t)INT64_C(-8142146995180207161)},
};

START_TEST(crc64_is_that_of_avro)
{
    uint64_t fp = crc64_avro(slice_str(schemas[_i].schema));
    ck_assert_msg(fp == schemas[_i].fingerprint, "%s: %016lx", schemas[_i].schema,
                  (unsigned long)fp);
}
END_TEST

/* Identities stay what they are for ever: XXH3 (xxHash 0.8), as xxhsum gives it. */
START_TEST(identities_are_xxh3)
{
    ck_assert_uint_eq(hash64(SLICE_LITERAL("")), UINT64_C(0x2d06800538d394c2));
    struct hash128 h = hash128(SLICE_LITERAL(""));
    ck_assert_uint_eq(h.hi, UINT64_C(0x99aa06d3014798d8));
    ck_assert_uint_eq(h.lo, UINT64_C(0x6001c324468d497f));
    ck_assert(!hash128_eq(h, hash128(SLICE_LITERAL("a"))));
}
END_TEST

START_TEST(seeds_and_extras_make_a_difference)
{
    struct slice s = SLICE_LITERAL("a key of some length, so that the long paths are taken, too");
    ck_assert_uint_eq(hash64_seeded(s, 0), hash64(s)); /* before a seed is drawn */
    ck_assert(hash64_seeded(s, 1) != hash64_seeded(s, 2));
    ck_assert(!hash128_eq(hash128_seeded(s, 1), hash128_seeded(s, 2)));
    uint64_t before = hash64_seeded(s, 1);
    struct hash128 before128 = hash128_seeded(s, 1);
    uint64_t identity = hash64(s);
    hash_seed_init();
    ck_assert(hash64_seeded(s, 1) != before);
    ck_assert(!hash128_eq(hash128_seeded(s, 1), before128));
    ck_assert_uint_eq(hash64(s), identity);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hash");
    TCase *tc = tcase_create("hash");
    tcase_add_loop_test(tc, crc64_is_that_of_avro, 0, sizeof schemas / sizeof schemas[0]);
    tcase_add_test(tc, identities_are_xxh3);
    tcase_add_test(tc, seeds_and_extras_make_a_difference);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
