#include "outcome.h"

#include "runner.h"

/* in = out + rejected + shed, whatever was found before the client left. */
START_TEST(what_was_not_answered_is_no_sample)
{
    struct metrics *m = metrics_new();
    const struct slice tenant = SLICE_LITERAL("t");
    struct outcome o = {.tenant = tenant,
                        .status = 200,
                        .n_in = 10,
                        .n_out = 4,
                        .n_shed = {[CLASS_STANDARD] = 1},
                        .n_shed_by_rule = {[CLASS_VERBOSE] = 2},
                        .n_by_reason = {[REASON_LABEL_FORBIDDEN] = 3}};
    const struct slice by_load[] = {tenant, SLICE_LITERAL("standard"), SLICE_LITERAL("overloaded")};
    const struct slice by_rule[] = {tenant, SLICE_LITERAL("verbose"), SLICE_LITERAL("operator")};
    const struct slice refused[] = {tenant, SLICE_LITERAL("label_forbidden")};
    outcome_count(&o, m);
    o.n_in = 0;
    outcome_count(&o, m);
    ck_assert_double_eq(cell_get(metrics_cell(m, M_SAMPLES_IN, &tenant)), 10);
    ck_assert_double_eq(cell_get(metrics_cell(m, M_SAMPLES_OUT, &tenant)), 4);
    ck_assert_double_eq(cell_get(metrics_cell(m, M_SAMPLES_SHED, by_load)), 1);
    ck_assert_double_eq(cell_get(metrics_cell(m, M_SAMPLES_SHED, by_rule)), 2);
    ck_assert_double_eq(cell_get(metrics_cell(m, M_SAMPLES_REJECTED, refused)), 3);
    metrics_free(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outcome");
    TCase *t = tcase_create("outcome");
    tcase_add_test(t, what_was_not_answered_is_no_sample);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
