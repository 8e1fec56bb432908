/* The sender against a store in memory: single rules. What the store refuses is refusals_test.c's,
 * whole lives are lives_test.c's. */
#include "world.h"

START_TEST(all_is_delivered_in_requests_of_the_right_size)
{
    struct world *w = world_new(&usual, 1);
    w->store.max_request = 40;
    for (int round = 0; round < 5; round++) {
        for (unsigned server = 0; server < 6; server++) {
            const struct scrape_spec spec = {.server = server,
                                             .first_metric = 100,
                                             .n = 25,
                                             .t_ms = epoch_ms + round * 10000,
                                             .late_at = -1,
                                             .histograms = true};
            world_scrape(w, &spec);
        }
    }
    world_run(w);
    ck_assert_uint_eq(store_count(w), 5 * 6 * 25);
    ck_assert_uint_eq(w->store.n_order_violations, 0);
    ck_assert_uint_eq(w->n_overlaps, 0);
    ck_assert_double_eq(counted(w, M_SAMPLES_OUT, ""), 750);
    ck_assert_uint_eq(w->n_letters, 0);
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

START_TEST(a_deadline_sends_what_is_not_full)
{
    struct world *w = world_new(&usual, 1);
    const struct scrape_spec spec = {.n = 5, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    world_take(w);
    world_turn(w);
    ck_assert_uint_eq(w->n_sends, 0);
    ck_assert_int_eq(sender_wait_ms(amp_sender(w->amp), w->now.mono_ms, 1000), 100);
    world_pass(w, 100);
    world_turn(w);
    ck_assert_uint_eq(w->n_sends, 1);
    world_run(w);
    world_free(w);
}
END_TEST

static const struct {
    int status;
    int64_t retry_after_ms;
    int notice; /* or -1 */
    bool denied;
} later_rows[] = {
    {429, 0, -1, false},
    {429, 2000, -1, false},
    {503, 0, -1, false},
    {0, 0, -1, false},
    {0, 0, NOTICE_AUTH, true},
    {400, 0, NOTICE_AUTH, true},
    {401, 0, NOTICE_AUTH, true},
    {403, 0, NOTICE_AUTH, false},
    {404, 0, NOTICE_MISROUTED, false},
    {302, 0, NOTICE_MISROUTED, false},
    {503, 999999, -1, false},
};

START_TEST(retries_back_off_and_honour_retry_after)
{
    struct err e = ERR_INIT;
    struct sender_options one = usual;
    one.n_shards = 1;
    struct world *w = world_new(&one, 1);
    const struct scrape_spec spec = {.first_metric = 1, .n = 3, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    world_take(w);
    world_pass(w, 100);
    world_turn(w);
    int64_t last_ms = 0;
    for (int i = 0; i < 12; i++) {
        ck_assert(w->flights[0].busy);
        series_mark(w, slice_of(w->flights[0].body, w->flights[0].n_body), false);
        w->flights[0].busy = false;
        const struct sender_answer a = {.status = later_rows[_i].status,
                                        .maybe_sent = true,
                                        .error = "timeout",
                                        .denied = later_rows[_i].denied,
                                        .advice = "advice",
                                        .retry_after_ms = later_rows[_i].retry_after_ms};
        ck_assert(sender_answer(amp_sender(w->amp), 0, &a, w->now, &e));
        int64_t wait_ms = sender_wait_ms(amp_sender(w->amp), w->now.mono_ms, 1000000);
        int64_t asked_ms =
            later_rows[_i].retry_after_ms < 5000 ? later_rows[_i].retry_after_ms : 5000;
        ck_assert_int_ge(wait_ms, asked_ms);
        ck_assert_int_ge(wait_ms, 5);
        ck_assert_int_le(wait_ms, asked_ms + 1000);
        if (i > 8 && asked_ms == 0) {
            ck_assert_int_ge(wait_ms, 500);
        }
        last_ms = wait_ms;
        world_pass(w, wait_ms - 1);
        world_turn(w);
        ck_assert(!w->flights[0].busy);
        world_pass(w, 1);
        world_turn(w);
    }
    ck_assert_int_gt(last_ms, 0);
    const struct cell *denied = metrics_cell(w->metrics, M_RW_DENIED, NULL);
    if (later_rows[_i].notice >= 0) {
        ck_assert_uint_eq(w->n_notices[later_rows[_i].notice], 12);
    }
    ck_assert_double_eq(cell_get(denied), later_rows[_i].notice >= 0 ? 1 : 0);
    world_run(w);
    ck_assert_double_eq(cell_get(denied), 0);
    ck_assert_uint_eq(store_count(w), 3);
    check_accounts(w);
    world_free(w);
}
END_TEST

START_TEST(a_lost_partition_is_dropped_in_silence)
{
    struct sender_options one = usual;
    one.n_shards = 1;
    struct world *w = world_new(&one, 1);
    for (unsigned i = 0; i < 3; i++) {
        const struct scrape_spec spec = {
            .first_metric = 1, .n = 30, .t_ms = epoch_ms + i * 10000, .late_at = -1};
        world_scrape(w, &spec);
    }
    world_take(w);
    world_take(w);
    world_turn(w);
    ck_assert(w->flights[0].busy);
    w->lost = true;
    world_answer(w, 0, 400, "too old sample", true);
    for (int i = 0; i < 10; i++) {
        world_pass(w, 100);
        world_turn(w);
    }
    ck_assert(sender_is_idle(amp_sender(w->amp)));
    ck_assert_uint_eq(w->n_sends, 1);
    ck_assert_uint_eq(w->n_letters, 0);
    ck_assert_double_eq(counted(w, M_SAMPLES_IN, ""), 0);
    check_accounts(w);
    world_free(w);
}
END_TEST

START_TEST(records_that_cannot_be_read_and_heartbeats)
{
    struct world *w = world_new(&usual, 1);
    struct fixture *f = fixture_new();
    world_add(w, SLICE_LITERAL("garbage"));
    f->batch =
        (struct batch){.tenant = SLICE_LITERAL("demo"), .class = CLASS_STANDARD, .source = 5};
    world_add(w, fixture_record(f));
    const struct scrape_spec spec = {.first_metric = 1, .n = 3, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    struct slice whole = w->records[2];
    for (size_t cut = 0; cut < whole.len; cut += 7) {
        world_add(w, slice_of(whole.ptr, cut));
    }
    world_run(w);
    check_released(w);
    ck_assert_uint_eq(w->n_rejected_records, w->n_records - 2);
    ck_assert_uint_eq(store_count(w), 3);
    fixture_free(f);
    world_free(w);
}
END_TEST

START_TEST(at_the_series_limit_known_series_flow_and_new_ones_wait)
{
    struct world *w = world_new(&usual, 1);
    w->store.keeps_good = _i == 1;
    w->store.window_ms = 0;
    w->store.silent = _i < 2;
    const struct scrape_spec known = {
        .server = 1, .first_metric = 100, .n = 20, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &known);
    world_run(w);
    w->store.max_series = 20;
    for (unsigned i = 1; i <= 10; i++) {
        const struct scrape_spec both = {
            .server = 1, .first_metric = 100, .n = 30, .t_ms = epoch_ms + i * 10000, .late_at = -1};
        world_scrape(w, &both);
    }
    for (int i = 0; i < 500; i++) {
        if (w->next < w->n_records) {
            world_take(w);
        }
        world_turn(w);
        for (uint32_t s = 0; s < MAX_SHARDS; s++) {
            if (w->flights[s].busy) {
                world_serve(w, s);
            }
        }
        world_pass(w, 20);
    }
    ck_assert_uint_eq(store_count(w), 20 * 11);
    ck_assert_uint_eq(w->n_notices[NOTICE_LIMITED], 1);
    ck_assert_double_eq(cell_get(metrics_cell(w->metrics, M_RW_LIMITED, NULL)), 1);
    ck_assert_uint_eq(w->n_letters, 0);
    ck_assert_uint_lt(w->n_sends, 200);
    w->store.max_series = 0;
    for (unsigned i = 11; i <= 20; i++) { /* the waiting ones' turn comes first */
        const struct scrape_spec both = {
            .server = 1, .first_metric = 100, .n = 30, .t_ms = epoch_ms + i * 10000, .late_at = -1};
        world_scrape(w, &both);
    }
    world_run(w);
    ck_assert_uint_eq(store_count(w), 20 * 21 + 10 * 20);
    ck_assert_uint_eq(w->n_letters, 0);
    world_turn(w);
    ck_assert_double_eq(cell_get(metrics_cell(w->metrics, M_RW_LIMITED, NULL)), 0);
    ck_assert_uint_eq(w->store.n_order_violations, 0);
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

START_TEST(what_waits_too_long_at_the_limit_goes_to_the_dlq)
{
    struct sender_options impatient = usual;
    impatient.limited_wait_ms = 3000;
    struct world *w = world_new(&impatient, 1);
    const struct scrape_spec known = {
        .server = 1, .first_metric = 100, .n = 20, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &known);
    world_run(w);
    w->store.max_series = 20;
    const struct scrape_spec both = {
        .server = 1, .first_metric = 100, .n = 30, .t_ms = epoch_ms + 10000, .late_at = -1};
    world_scrape(w, &both);
    world_run(w);
    ck_assert_uint_eq(w->n_letters, 10);
    ck_assert_str_eq(w->letters[0].reason, "store_series_limit");
    ck_assert_uint_eq(store_count(w), 40);
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

START_TEST(memory_is_bounded)
{
    struct world *w = world_new(&usual, 1);
    for (unsigned i = 0; i < 100; i++) {
        const struct scrape_spec spec = {.server = i % 7,
                                         .first_metric = 100,
                                         .n = 30,
                                         .t_ms = epoch_ms + i * 1000,
                                         .late_at = -1};
        world_scrape(w, &spec);
    }
    size_t n = 0;
    while (w->next < w->n_records && sender_has_room(amp_sender(w->amp))) {
        world_take(w);
        world_turn(w);
        n += 30;
    }
    ck_assert_uint_ge(n, 2000);
    ck_assert_uint_lt(n, 2060);
    world_free(w); /* with everything queued and under way: leaks show here */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sender");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, all_is_delivered_in_requests_of_the_right_size);
    tcase_add_test(c, a_deadline_sends_what_is_not_full);
    tcase_add_loop_test(c, retries_back_off_and_honour_retry_after, 0,
                        sizeof later_rows / sizeof later_rows[0]);
    tcase_add_test(c, a_lost_partition_is_dropped_in_silence);
    tcase_add_test(c, records_that_cannot_be_read_and_heartbeats);
    tcase_add_loop_test(c, at_the_series_limit_known_series_flow_and_new_ones_wait, 0, 3);
    tcase_add_test(c, what_waits_too_long_at_the_limit_goes_to_the_dlq);
    tcase_add_test(c, memory_is_bounded);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
