#include "latency.h"

#include "../runner.h"

START_TEST(quantiles_are_within_two_percent)
{
    struct latency l = {0};
    for (int i = 1; i <= 1000; i++) {
        latency_add(&l, i / 1000.0);
    }
    static const double shares[] = {0.001, 0.5, 0.99, 1};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        double at = latency_quantile(&l, shares[i]);
        ck_assert_double_ge(at, shares[i]);
        ck_assert_double_le(at, shares[i] * 1.021);
    }
}
END_TEST

START_TEST(what_is_out_of_reach_is_kept)
{
    struct latency l = {0};
    ck_assert(latency_quantile(&l, 0.5) == 0);
    latency_add(&l, -1);
    latency_add(&l, 0);
    ck_assert_double_le(latency_quantile(&l, 1), 1.1e-6);
    latency_add(&l, 1e9);
    ck_assert_double_ge(latency_quantile(&l, 1), 600);
    ck_assert_uint_eq(l.n, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("latency");
    TCase *c = tcase_create("latency");
    tcase_add_test(c, quantiles_are_within_two_percent);
    tcase_add_test(c, what_is_out_of_reach_is_kept);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
