/* The sender against a store in memory that refuses: what is delivered all the same, what becomes a
 * dead letter, and what counts as there already. */
#include "world.h"

/* What a server's first scrapes leave behind, and then one with a culprit. Returns the letter. */
static struct dead *culprit(struct world *w, const struct scrape_spec *bad)
{
    const struct scrape_spec good = {
        .server = bad->server, .first_metric = 100, .n = 30, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &good);
    world_run(w);
    world_scrape(w, bad);
    world_run(w);
    check_accounts(w);
    check_released(w);
    return w->n_letters == 0 ? NULL : &w->letters[0];
}

static const struct {
    const char *name;
    bool keeps_good, names, status_500;
} store_rows[] = {
    {"atomic", false, false, false},
    {"keeps the good part", true, false, false},
    {"atomic, names, 500 for old ones", false, true, true},
    {"keeps, names", true, true, false},
};
enum { N_STORES = sizeof store_rows / sizeof store_rows[0] };

static struct world *moody_world(int row, const struct sender_options *o)
{
    struct world *w = world_new(o, 1);
    w->store.keeps_good = store_rows[row].keeps_good;
    w->store.names = store_rows[row].names;
    w->store.old_status_500 = store_rows[row].status_500;
    return w;
}

START_TEST(a_late_sample_is_found_and_the_rest_delivered)
{
    struct world *w = moody_world(_i, &usual);
    const struct scrape_spec bad = {
        .first_metric = 100, .n = 30, .t_ms = epoch_ms + 100000, .late_at = 17, .late_ms = 200000};
    struct dead *letter = culprit(w, &bad);
    ck_assert_uint_eq(store_count(w), 59);
    if (store_rows[_i].names) {
        ck_assert_ptr_nonnull(letter);
        ck_assert_uint_eq(w->n_letters, 1);
        ck_assert_int_eq(letter->t_ms, epoch_ms - 100000);
        ck_assert_str_eq(letter->reason, "store_too_old");
    } else { /* it might have been kept when the request was refused, and the window gone on since
              */
        ck_assert_uint_eq(w->n_letters, 0);
        ck_assert_double_eq(counted(w, M_RW_ALREADY_THERE, ""), 1);
    }
    world_free(w);
}
END_TEST

START_TEST(a_forbidden_series_is_found_and_the_rest_delivered)
{
    struct world *w = moody_world(_i, &usual);
    const struct scrape_spec bad = {
        .first_metric = 85, .n = 30, .t_ms = epoch_ms + 10000, .late_at = -1};
    (void)culprit(w, &bad);
    ck_assert_uint_eq(w->n_letters, 10); /* metric_90 to 99 */
    ck_assert_str_eq(w->letters[0].reason, "store_invalid");
    ck_assert_uint_eq(store_count(w), 30 + 20);
    world_free(w);
}
END_TEST

/* A whole scrape comes late: the first refusal names one point, and all of its time were late then.
 */
START_TEST(a_late_scrape_goes_to_the_dlq_as_a_whole)
{
    struct world *w = moody_world(_i, &usual);
    const struct scrape_spec ahead = {
        .first_metric = 100, .n = 30, .t_ms = epoch_ms + 900000, .late_at = -1};
    world_scrape(w, &ahead);
    world_run(w);
    const struct scrape_spec late = {.first_metric = 100, .n = 30, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &late);
    world_run(w);
    ck_assert_uint_eq(store_count(w), 30);
    ck_assert_uint_eq(w->n_letters, store_rows[_i].names ? 30 : 0);
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

START_TEST(out_of_order_without_a_window_is_certain)
{
    struct world *w = moody_world(_i, &usual);
    w->store.window_ms = 0;
    const struct scrape_spec bad = {
        .first_metric = 100, .n = 30, .t_ms = epoch_ms + 100000, .late_at = 17, .late_ms = 100001};
    struct dead *letter = culprit(w, &bad);
    ck_assert_ptr_nonnull(letter);
    ck_assert_uint_eq(w->n_letters, 1);
    ck_assert_str_eq(letter->reason, "store_out_of_order");
    ck_assert_uint_eq(store_count(w), 59);
    world_free(w);
}
END_TEST

START_TEST(a_redelivered_late_sample_counts_as_there)
{
    struct world *w = moody_world(_i, &usual);
    w->end_at_assignment = 2;
    const struct scrape_spec bad = {
        .first_metric = 100, .n = 30, .t_ms = epoch_ms + 100000, .late_at = 17, .late_ms = 200000};
    const struct scrape_spec ahead = {
        .first_metric = 100, .n = 30, .t_ms = epoch_ms + 90000, .late_at = -1};
    world_scrape(w, &ahead);
    world_run(w);
    world_scrape(w, &bad);
    world_run(w);
    ck_assert_uint_eq(w->n_letters, 0);
    ck_assert_double_eq(counted(w, M_RW_ALREADY_THERE, ""), 1);
    check_accounts(w);
    world_free(w);
}
END_TEST

START_TEST(an_uncertain_send_makes_a_refusal_already_there)
{
    struct sender_options one = usual;
    one.n_shards = 1;
    struct world *w = world_new(&one, 1);
    w->store.refuse_same_value = true;
    const struct scrape_spec spec = {.first_metric = 1, .n = 3, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    world_take(w);
    world_pass(w, 100);
    world_turn(w);
    char text[STORE_TEXT];
    ck_assert_int_eq(
        store_write(&w->store, slice_of(w->flights[0].body, w->flights[0].n_body), text), 200);
    world_answer(w, 0, 0, "", true); /* taken, but the answer is lost */
    world_run(w);
    ck_assert_uint_eq(w->n_letters, 0);
    ck_assert_double_eq(counted(w, M_RW_ALREADY_THERE, ""), 3);
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

START_TEST(too_large_requests_are_halved_down_to_the_point)
{
    struct world *w = world_new(&usual, 1);
    w->store.max_request = 3;
    const struct scrape_spec spec = {.first_metric = 1, .n = 30, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    world_run(w);
    ck_assert_uint_eq(store_count(w), 29);
    ck_assert_uint_eq(w->n_letters, 1); /* metric_9 */
    ck_assert_double_gt(cell_get(metrics_cell(w->metrics, M_RW_BISECTIONS, NULL)), 5);
    check_accounts(w);
    world_free(w);
}
END_TEST

START_TEST(a_single_point_too_large_goes_to_the_dlq)
{
    struct sender_options one = usual;
    one.n_shards = 1;
    struct world *w = world_new(&one, 1);
    const struct scrape_spec spec = {.first_metric = 1, .n = 1, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    world_take(w);
    world_pass(w, 100);
    world_turn(w);
    world_answer(w, 0, 413, "too large", true);
    ck_assert_uint_eq(w->n_letters, 1);
    ck_assert_str_eq(w->letters[0].reason, "store_too_large");
    world_run(w);
    check_accounts(w);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("refusals");
    TCase *c = tcase_create("refusals");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, a_late_sample_is_found_and_the_rest_delivered, 0, N_STORES);
    tcase_add_loop_test(c, a_forbidden_series_is_found_and_the_rest_delivered, 0, N_STORES);
    tcase_add_loop_test(c, a_late_scrape_goes_to_the_dlq_as_a_whole, 0, N_STORES);
    tcase_add_loop_test(c, out_of_order_without_a_window_is_certain, 0, N_STORES);
    tcase_add_loop_test(c, a_redelivered_late_sample_counts_as_there, 0, N_STORES);
    tcase_add_test(c, an_uncertain_send_makes_a_refusal_already_there);
    tcase_add_test(c, too_large_requests_are_halved_down_to_the_point);
    tcase_add_test(c, a_single_point_too_large_goes_to_the_dlq);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
