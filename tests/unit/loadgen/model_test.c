#include "load.h"

#include <math.h>

#include "../runner.h"

enum { N_STEPS = 60 };

START_TEST(same_seed_same_load_in_any_order)
{
    struct model a;
    struct model b;
    load_open(&a, load_unruly());
    load_open(&b, load_unruly());
    for (int64_t step = 0; step < N_STEPS; step++) {
        for (uint32_t server = 0; server < a.p.n_servers; server++) {
            int64_t back = N_STEPS - 1 - step; /* b is asked backwards first */
            (void)model_epoch(&b, server, back);
            struct epoch x = model_epoch(&a, server, step);
            struct epoch y = model_epoch(&b, server, step);
            ck_assert_int_eq(x.reset_step, y.reset_step);
            ck_assert_int_eq(x.restart_step, y.restart_step);
            ck_assert_uint_eq(model_start_ns(&a, server, x), model_start_ns(&b, server, y));
            ck_assert_uint_eq(model_time_ns(&a, server, step), model_time_ns(&b, server, step));
            ck_assert_int_eq(model_counter(&a, server, 17, step, x),
                             model_counter(&b, server, 17, step, y));
        }
    }
    model_fini(&a);
    model_fini(&b);
}
END_TEST

START_TEST(other_seed_other_server_other_values)
{
    struct model_params p = load_params();
    struct model a;
    struct model b;
    load_open(&a, p);
    p.seed++;
    load_open(&b, p);
    struct epoch none = {0, 0};
    int n_same = 0;
    for (uint32_t i = 0; i < a.n_counters; i++) {
        n_same += model_counter(&a, 0, i, 3, none) == model_counter(&b, 0, i, 3, none);
        n_same += model_counter(&a, 0, i, 3, none) == model_counter(&a, 1, i, 3, none);
    }
    ck_assert_int_lt(n_same, 120); /* small and standing counters meet by chance */
    model_fini(&a);
    model_fini(&b);
}
END_TEST

/* A neighbour generator's servers are the same ones as if one generator drove all. */
START_TEST(first_server_shifts_the_same_servers)
{
    struct model_params p = load_params();
    struct model a;
    struct model b;
    load_open(&a, p);
    p.first_server = 3;
    load_open(&b, p);
    struct model_server x;
    struct model_server y;
    model_server(&a, 4, &x);
    model_server(&b, 1, &y);
    ck_assert_str_eq(x.source, "gs-000004");
    ck_assert_str_eq(x.source, y.source);
    ck_assert_str_eq(x.az, y.az);
    struct epoch none = {0, 0};
    ck_assert_int_eq(model_counter(&a, 4, 11, 9, none), model_counter(&b, 1, 11, 9, none));
    model_fini(&a);
    model_fini(&b);
}
END_TEST

START_TEST(counters_never_fall_within_an_epoch)
{
    struct model m;
    load_open(&m, load_unruly());
    int n_resets = 0;
    int n_restarts = 0;
    for (uint32_t server = 0; server < m.p.n_servers; server++) {
        for (int64_t step = 1; step < N_STEPS; step++) {
            struct epoch before = model_epoch(&m, server, step - 1);
            struct epoch after = model_epoch(&m, server, step);
            bool same = before.reset_step == after.reset_step;
            n_resets += !same;
            n_restarts += before.restart_step != after.restart_step;
            ck_assert(same == (after.reset_step != step));
            ck_assert(after.restart_step <= after.reset_step);
            uint64_t start_ns = model_start_ns(&m, server, after);
            ck_assert(start_ns < model_time_ns(&m, server, step));
            ck_assert((start_ns > model_time_ns(&m, server, step - 1)) ==
                      (after.restart_step == step));
            for (uint32_t i = 0; same && i < m.n_counters; i++) {
                ck_assert_int_ge(model_counter(&m, server, i, step, after),
                                 model_counter(&m, server, i, step - 1, before));
            }
        }
    }
    ck_assert_int_gt(n_resets, n_restarts);
    ck_assert_int_gt(n_restarts, 0);
    model_fini(&m);
}
END_TEST

static void histogram_check(const struct model_histogram *h, const struct model_histogram *before)
{
    uint64_t count = h->zero_count;
    double least = 0;
    double most = 0;
    double base = exp2(exp2(-h->scale));
    ck_assert_uint_le(h->n_buckets, MAX_BUCKETS);
    for (uint32_t i = 0; i < h->n_buckets; i++) {
        count += h->counts[i];
        least += (double)h->counts[i] * pow(base, h->offset + (double)i);
        most += (double)h->counts[i] * pow(base, h->offset + (double)i + 1);
        ck_assert_uint_ge(h->counts[i], before->counts[i]);
    }
    ck_assert_uint_eq(count, h->count);
    ck_assert_double_ge(h->sum, least);
    ck_assert_double_le(h->sum, most);
    ck_assert_double_ge(h->sum, before->sum);
    ck_assert_uint_ge(h->zero_count, before->zero_count);
}

START_TEST(histograms_are_consistent)
{
    struct model m;
    load_open(&m, load_params());
    struct epoch none = {0, 0};
    int n_gaps = 0;
    for (uint32_t server = 0; server < m.p.n_servers; server++) {
        for (uint32_t i = m.n_counters; i < m.p.n_series; i++) {
            struct model_histogram before = {.sum = 0};
            for (int64_t step = 0; step < N_STEPS; step++) {
                struct model_histogram h;
                model_histogram(&m, server, i, step, none, &h);
                histogram_check(&h, &before);
                before = h;
            }
            n_gaps += before.counts[before.n_buckets / 2] == 0;
        }
    }
    ck_assert_int_gt(n_gaps, 0); /* empty buckets between full ones do occur */
    model_fini(&m);
}
END_TEST

START_TEST(times_rise_and_are_found_again)
{
    struct model m;
    load_open(&m, load_unruly());
    for (uint32_t server = 0; server < m.p.n_servers; server++) {
        for (int64_t step = 0; step < N_STEPS; step++) {
            int64_t time_ms = model_time_ms(&m, server, step);
            ck_assert_int_eq(model_step_at(&m, server, time_ms), step);
            ck_assert_int_eq(model_step_at(&m, server, time_ms + 1), -1);
            ck_assert_int_eq((int64_t)(model_time_ns(&m, server, step) / 1000000), time_ms);
            ck_assert_int_lt(time_ms, model_time_ms(&m, server, step + 1));
        }
        ck_assert_int_eq(model_step_at(&m, server, m.p.start_ms - 1), -1);
    }
    /* Ordinary until 30 s, five times as often for 10 s, ordinary again. */
    ck_assert_int_eq(model_elapsed_ms(&m, 0, 3), 30000);
    ck_assert_int_eq(model_elapsed_ms(&m, 0, 4), 32000);
    ck_assert_int_eq(model_elapsed_ms(&m, 0, 8), 40000);
    ck_assert_int_eq(model_elapsed_ms(&m, 0, 9), 50000);
    model_fini(&m);
}
END_TEST

/* The global order of scrapes is that of time: the sender's pacing and end rest on it. */
START_TEST(scrapes_are_in_order_of_time)
{
    struct model m;
    load_open(&m, load_unruly());
    for (int64_t scrape = 1; scrape < N_STEPS * 5; scrape++) {
        ck_assert_int_le(model_elapsed_ms(&m, (uint32_t)((scrape - 1) % 5), (scrape - 1) / 5),
                         model_elapsed_ms(&m, (uint32_t)(scrape % 5), scrape / 5));
    }
    model_fini(&m);
}
END_TEST

START_TEST(order_is_the_order_of_sending)
{
    struct model m;
    load_open(&m, load_unruly());
    int n_late = 0;
    for (uint32_t server = 0; server < m.p.n_servers; server++) {
        int64_t last = -1;
        for (int64_t slot = 0; slot < N_STEPS; slot++) {
            for (int64_t back = 0; back <= MAX_LATE_STEPS; back++) {
                /* The server's own scrape, then the held ones, the longest held first. */
                int64_t step = back == 0 ? slot : slot - (MAX_LATE_STEPS + 1 - back);
                if (step < 0 || model_late_steps(&m, server, step) != slot - step) {
                    continue;
                }
                ck_assert_int_gt(model_order(&m, server, step), last);
                last = model_order(&m, server, step);
                n_late += slot != step;
            }
        }
    }
    ck_assert_int_gt(n_late, 10);
    model_fini(&m);
}
END_TEST

START_TEST(probabilities_are_kept)
{
    struct model_params p = load_unruly();
    p.n_servers = 1000;
    struct model m;
    load_open(&m, p);
    int n_copies = 0;
    int n_garbage = 0;
    for (uint32_t server = 0; server < p.n_servers; server++) {
        for (int64_t step = 0; step < 10; step++) {
            n_copies += model_copies(&m, server, step) == 2;
            n_garbage += model_garbage(&m, server, step);
            uint8_t bytes[600];
            size_t n = model_garbage_bytes(&m, server, step, bytes, sizeof bytes);
            ck_assert_uint_ge(n, 16);
            ck_assert_uint_le(n, sizeof bytes);
            ck_assert_uint_eq(bytes[0] & 7, 7);
        }
    }
    ck_assert_int_ge(n_copies, 1800);
    ck_assert_int_le(n_copies, 2200);
    ck_assert_int_ge(n_garbage, 1800);
    ck_assert_int_le(n_garbage, 2200);
    model_fini(&m);
}
END_TEST

START_TEST(bad_parameters_are_refused)
{
    static const struct {
        const char *name;
        struct model_params change;
    } cases[] = {
        {"no server", {.n_servers = 0, .n_series = 1, .interval_ms = 1}},
        {"no series", {.n_servers = 1, .n_series = 0, .interval_ms = 1}},
        {"too many servers", {.n_servers = MAX_SERVERS + 1, .n_series = 1, .interval_ms = 1}},
        {"number too high",
         {.n_servers = 2, .first_server = MAX_SERVERS - 1, .n_series = 1, .interval_ms = 1}},
        {"no interval", {.n_servers = 1, .n_series = 1, .interval_ms = 0}},
        {"probability", {.n_servers = 1, .n_series = 1, .interval_ms = 1, .late = 1.5}},
        {"factor beyond the interval",
         {.n_servers = 1, .n_series = 1, .interval_ms = 2, .n_bursts = 1, .bursts = {{3, 0, 9}}}},
        {"bursts overlap",
         {.n_servers = 1,
          .n_series = 1,
          .interval_ms = 100,
          .n_bursts = 2,
          .bursts = {{3, 0, 9}, {3, 8, 20}}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model m;
        struct model_params p = cases[i].change;
        struct err e = ERR_INIT;
        p.start_ms = INT64_C(1790000000000);
        ck_assert_msg(!model_init(&m, &p, &e), "%s", cases[i].name);
        ck_assert_int_eq(e.kind, ERR_CONFIG);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loadgen model");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    suite_add_tcase(suite, all);
    tcase_add_test(all, same_seed_same_load_in_any_order);
    tcase_add_test(all, other_seed_other_server_other_values);
    tcase_add_test(all, first_server_shifts_the_same_servers);
    tcase_add_test(all, counters_never_fall_within_an_epoch);
    tcase_add_test(all, histograms_are_consistent);
    tcase_add_test(all, times_rise_and_are_found_again);
    tcase_add_test(all, scrapes_are_in_order_of_time);
    tcase_add_test(all, order_is_the_order_of_sending);
    tcase_add_test(all, probabilities_are_kept);
    tcase_add_test(all, bad_parameters_are_refused);
    return run_suite(suite);
}
