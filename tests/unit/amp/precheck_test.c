/* What is not sent since the store would refuse it; what was too old is told as gaps. */
#include "world.h"

static struct sender_options strict(void)
{
    struct sender_options o = usual;
    o.max_sample_age_ms = 3600000;
    o.out_of_order_ms = 60000;
    o.check_names = true;
    return o;
}

static struct world *strict_world(void)
{
    const struct sender_options o = strict();
    return world_new(&o, 1);
}

static void scrape_at(struct world *w, int64_t t_ms, int late_at, int64_t late_ms)
{
    const struct scrape_spec spec = {
        .first_metric = 100, .n = 10, .t_ms = t_ms, .late_at = late_at, .late_ms = late_ms};
    world_scrape(w, &spec);
}

static void check_end(struct world *w)
{
    check_accounts(w);
    check_released(w);
    for (size_t i = 0; i < w->n_records; i++) {
        ck_assert_uint_eq(w->n_holds[i], 0);
    }
    world_free(w);
}

START_TEST(what_is_too_old_is_a_gap)
{
    struct world *w = strict_world();
    for (int i = 0; i < 8; i++) { /* 70 minutes old, then 60, 50 … */
        scrape_at(w, epoch_ms - (7 - i) * INT64_C(600000), -1, 0);
    }
    world_run(w);
    ck_assert_uint_eq(w->n_gaps, 1);
    ck_assert_int_eq(w->gaps[0].from_ms, epoch_ms - 7 * INT64_C(600000));
    ck_assert_int_eq(w->gaps[0].to_ms, epoch_ms - 6 * INT64_C(600000));
    ck_assert_int_eq(w->gaps[0].n_samples, 20);
    ck_assert_int_eq(w->gaps[0].first_offset, 0);
    ck_assert_int_eq(w->gaps[0].last_offset, 1);
    ck_assert_str_eq(w->gaps[0].reason, "too_old_to_send");
    ck_assert_uint_eq(store_count(w), 60);
    ck_assert_uint_eq(w->n_letters, 0);
    ck_assert_double_eq(counted(w, M_SAMPLES_REJECTED, "too_old_to_send"), 20);
    check_end(w);
}
END_TEST

START_TEST(a_gap_is_told_before_its_offset_goes)
{
    struct world *w = strict_world();
    scrape_at(w, epoch_ms - INT64_C(4000000), -1, 0);
    world_take(w);
    world_pass(w, 200);
    world_turn(w);
    ck_assert(!w->released[0]);
    ck_assert_uint_eq(w->n_gaps, 0);
    ck_assert(!sender_is_idle(amp_sender(w->amp)));
    world_run(w);
    ck_assert_uint_eq(w->n_gaps, 1);
    check_end(w);
}
END_TEST

/* While it was tried again and again it has grown too old. */
START_TEST(what_grows_too_old_while_the_store_is_away_is_a_gap)
{
    struct world *w = strict_world();
    scrape_at(w, epoch_ms, -1, 0);
    world_take(w);
    world_pass(w, 100);
    world_turn(w);
    ck_assert(w->flights[0].busy || w->flights[1].busy || w->flights[2].busy || w->flights[3].busy);
    for (uint32_t s = 0; s < MAX_SHARDS; s++) {
        if (w->flights[s].busy) {
            world_answer(w, s, 503, "", true);
        }
    }
    world_pass(w, 3700000);
    scrape_at(w, w->now.wall_ms, -1, 0);
    world_run(w);
    ck_assert_uint_eq(w->n_gaps, 1);
    ck_assert_int_eq(w->gaps[0].from_ms, epoch_ms);
    ck_assert_uint_eq(store_count(w), 10);
    check_end(w);
}
END_TEST

START_TEST(one_point_too_old_leaves_the_others)
{
    struct world *w = strict_world();
    scrape_at(w, epoch_ms, 3, 3700000);
    world_run(w);
    ck_assert_uint_eq(store_count(w), 9);
    ck_assert_uint_eq(w->n_gaps, 1);
    ck_assert_int_eq(w->gaps[0].n_samples, 1);
    check_end(w);
}
END_TEST

/* By one point, by a whole scrape, and by a scrape whose shape was not seen last. */
START_TEST(what_is_behind_its_series_goes_to_the_dlq_unsent)
{
    struct world *w = strict_world();
    scrape_at(w, epoch_ms, -1, 0);
    world_run(w);
    unsigned n_requests = w->store.n_requests;
    scrape_at(w, epoch_ms + 1000, 4, 100000);
    scrape_at(w, epoch_ms - 70000, -1, 0);
    const struct scrape_spec part = {
        .first_metric = 104, .n = 3, .t_ms = epoch_ms - 80000, .late_at = -1};
    world_scrape(w, &part);
    world_run(w);
    ck_assert_uint_eq(w->n_letters, 1 + 10 + 3);
    ck_assert_str_eq(w->letters[0].reason, "store_too_old");
    ck_assert_uint_eq(store_count(w), 19);
    ck_assert_uint_eq(w->store.n_requests, n_requests + 1);
    check_end(w);
}
END_TEST

START_TEST(within_the_window_the_store_judges)
{
    struct world *w = strict_world();
    scrape_at(w, epoch_ms, -1, 0);
    world_run(w);
    scrape_at(w, epoch_ms - 30000, -1, 0);
    world_run(w);
    ck_assert_uint_eq(store_count(w), 20);
    ck_assert_uint_eq(w->n_letters, 0);
    check_end(w);
}
END_TEST

START_TEST(the_same_again_is_not_sent)
{
    struct world *w = strict_world();
    scrape_at(w, epoch_ms, -1, 0);
    world_run(w);
    unsigned n_requests = w->store.n_requests;
    scrape_at(w, epoch_ms, -1, 0);
    world_run(w);
    ck_assert_uint_eq(w->store.n_requests, n_requests);
    ck_assert_double_eq(counted(w, M_SAMPLES_REJECTED, "duplicate"), 10);
    ck_assert_uint_eq(w->n_letters, 0);
    check_end(w);
}
END_TEST

/* Of a scrape with several times only the oldest is known of all its series, and that not as a
 * time of each: a late sample that has just this time is no duplicate. */
START_TEST(the_oldest_time_of_a_scrape_is_not_every_series_own)
{
    struct world *w = strict_world();
    w->store.window_ms = 60000;
    scrape_at(w, epoch_ms, 3, 10000);
    world_run(w);
    scrape_at(w, epoch_ms - 10000, -1, 0);
    world_run(w);
    ck_assert_uint_eq(store_count(w), 19);
    check_end(w);
}
END_TEST

/* What the store refused does not count as its newest: one time ahead must not close a series. */
START_TEST(a_refused_sample_does_not_close_its_series)
{
    struct world *w = strict_world();
    const struct scrape_spec ahead = {.first_metric = 9,
                                      .n = 1,
                                      .t_ms = epoch_ms + 500000,
                                      .late_at = -1}; /* refused: metric_9 */
    const struct scrape_spec usual_one = {
        .first_metric = 9, .n = 1, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &ahead);
    world_run(w);
    unsigned n_requests = w->store.n_requests;
    world_scrape(w, &usual_one);
    world_run(w);
    ck_assert_uint_gt(w->store.n_requests, n_requests);
    check_end(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("precheck");
    TCase *c = tcase_create("precheck");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, what_is_too_old_is_a_gap);
    tcase_add_test(c, a_gap_is_told_before_its_offset_goes);
    tcase_add_test(c, what_grows_too_old_while_the_store_is_away_is_a_gap);
    tcase_add_test(c, one_point_too_old_leaves_the_others);
    tcase_add_test(c, what_is_behind_its_series_goes_to_the_dlq_unsent);
    tcase_add_test(c, within_the_window_the_store_judges);
    tcase_add_test(c, the_same_again_is_not_sent);
    tcase_add_test(c, the_oldest_time_of_a_scrape_is_not_every_series_own);
    tcase_add_test(c, a_refused_sample_does_not_close_its_series);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
