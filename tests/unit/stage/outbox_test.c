#include "runner.h"

#include "stage/record.h"

static struct outgoing letter(const char *key, const char *value)
{
    return (struct outgoing){.output = 0, .partition = 3, .key = slice_str(key), .value = slice_str(value)};
}

START_TEST(records_are_copied)
{
    struct outbox o;
    struct err e = ERR_INIT;
    outbox_init(&o, 1 << 20);
    char value[] = "value";
    struct outgoing r = letter("key", value);
    ck_assert(outbox_put(&o, &r, &e));
    value[0] = 'X';
    ck_assert_uint_eq(o.n, 1);
    ck_assert(slice_eq_str(o.records[0].value, "value"));
    ck_assert(slice_eq_str(o.records[0].key, "key"));
    ck_assert_int_eq(o.records[0].partition, 3);
    ck_assert_uint_eq(o.n_bytes, 8);
    outbox_fini(&o);
}
END_TEST

START_TEST(a_tombstone_and_an_empty_value_stay_apart)
{
    struct outbox o;
    struct err e = ERR_INIT;
    outbox_init(&o, 1 << 20);
    struct outgoing tombstone = {.key = SLICE_LITERAL("k"), .value = SLICE_NONE};
    struct outgoing empty = {.key = SLICE_LITERAL("k"), .value = SLICE_LITERAL("")};
    ck_assert(outbox_put(&o, &tombstone, &e) && outbox_put(&o, &empty, &e));
    ck_assert_ptr_null(o.records[0].value.ptr);
    ck_assert_ptr_nonnull(o.records[1].value.ptr);
    outbox_fini(&o);
}
END_TEST

START_TEST(at_the_ceiling_it_says_retry_and_a_rewind_forgets_the_rest)
{
    struct outbox o;
    struct err e = ERR_INIT;
    struct metrics *m = metrics_new();
    struct slice tenant = SLICE_LITERAL("demo");
    struct cell *cell = metrics_cell(m, M_SAMPLES_IN, &tenant);
    outbox_init(&o, 256 * 1024);
    struct outgoing small = letter("k", "v");
    ck_assert(outbox_put(&o, &small, &e));
    struct outbox_mark mark = outbox_mark(&o);
    static char big[100000];
    memset(big, 'b', sizeof big - 1);
    struct outgoing large = letter("k", big);
    size_t n = 0;
    while (outbox_put(&o, &large, &e)) {
        ck_assert(tally_add(&o.tally, cell, 5));
        ck_assert(outbox_age(&o, 1000 + (int64_t)n, 1, &e));
        n++;
        ck_assert_uint_lt(n, 10);
    }
    ck_assert_uint_ge(n, 1);
    ck_assert_int_eq(e.kind, ERR_RETRY);
    outbox_rewind(&o, mark);
    ck_assert_uint_eq(o.n, 1);
    ck_assert_uint_eq(o.n_bytes, 2);
    ck_assert_uint_eq(o.n_ages, 0);
    tally_apply(&o.tally);
    ck_assert(cell_get(cell) == 0);
    outbox_reset(&o);
    ck_assert(outbox_put(&o, &large, &e));
    outbox_fini(&o);
    metrics_free(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outbox");
    TCase *tests = tcase_create("outbox");
    tcase_add_test(tests, records_are_copied);
    tcase_add_test(tests, a_tombstone_and_an_empty_value_stay_apart);
    tcase_add_test(tests, at_the_ceiling_it_says_retry_and_a_rewind_forgets_the_rest);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
