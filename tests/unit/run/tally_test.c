#include "runner.h"

#include "run/metrics.h"

#include <stdio.h>

START_TEST(nothing_counts_before_apply_and_nothing_twice)
{
    struct metrics *m = metrics_new();
    struct cell *c = metrics_cell(m, M_OUTBOX_BYTES, NULL);
    struct tally t;
    tally_init(&t);
    tally_apply(&t); /* an empty one */
    ck_assert(tally_add(&t, c, 2));
    ck_assert(tally_add(&t, c, 3));
    ck_assert_double_eq(cell_get(c), 0);
    tally_apply(&t);
    ck_assert_double_eq(cell_get(c), 5);
    tally_apply(&t);
    ck_assert_double_eq(cell_get(c), 5);
    tally_fini(&t);
    metrics_free(m);
}
END_TEST

START_TEST(an_aborted_transaction_leaves_no_trace)
{
    struct metrics *m = metrics_new();
    struct cell *c = metrics_cell(m, M_OUTBOX_BYTES, NULL);
    struct tally t;
    tally_init(&t);
    ck_assert(tally_add(&t, c, 100));
    tally_reset(&t);
    ck_assert(tally_add(&t, c, 1));
    tally_apply(&t);
    ck_assert_double_eq(cell_get(c), 1);
    tally_fini(&t);
    metrics_free(m);
}
END_TEST

/* A record whose output is taken back: what was counted before it stays. */
START_TEST(a_rewind_forgets_only_what_came_after_the_mark)
{
    struct metrics *m = metrics_new();
    struct cell *c = metrics_cell(m, M_OUTBOX_BYTES, NULL);
    struct tally t;
    tally_init(&t);
    ck_assert(tally_add(&t, c, 1));
    size_t mark = t.n;
    for (int i = 0; i < 1000; i++) { /* the same cell, and enough of it to grow */
        ck_assert(tally_add(&t, c, 10));
    }
    tally_rewind(&t, mark);
    ck_assert(tally_add(&t, c, 2));
    tally_apply(&t);
    ck_assert_double_eq(cell_get(c), 3);
    tally_fini(&t);
    metrics_free(m);
}
END_TEST

/* Against plain arrays: many cells, several rounds, each applied or forgotten. */
START_TEST(random_counts_agree_with_a_model)
{
    enum { N = 300, N_TALLIES = 50, N_ADDS = 2000 };
    static struct cell *cells[N];
    double committed[N] = {0};
    struct metrics *m = metrics_new();
    for (int i = 0; i < N; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        const struct slice topic = slice_str(text);
        cells[i] = metrics_cell(m, M_RECORDS_IN, &topic);
    }
    uint32_t random = 7;
    struct tally t;
    tally_init(&t);
    for (int round = 0; round < N_TALLIES; round++) {
        double open[N] = {0};
        for (int k = 0; k < N_ADDS; k++) {
            random = random * 1664525 + 1013904223;
            int i = (int)((random >> 8) % N);
            ck_assert(tally_add(&t, cells[i], 1 + (random >> 28)));
            open[i] += 1 + (random >> 28);
        }
        bool commit = round % 3 != 0;
        if (commit) {
            tally_apply(&t);
        } else {
            tally_reset(&t);
        }
        for (int i = 0; i < N; i++) {
            committed[i] += commit ? open[i] : 0;
            ck_assert_double_eq(cell_get(cells[i]), committed[i]);
        }
    }
    tally_fini(&t);
    metrics_free(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tally");
    TCase *tc = tcase_create("tally");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, nothing_counts_before_apply_and_nothing_twice);
    tcase_add_test(tc, an_aborted_transaction_leaves_no_trace);
    tcase_add_test(tc, a_rewind_forgets_only_what_came_after_the_mark);
    tcase_add_test(tc, random_counts_agree_with_a_model);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
