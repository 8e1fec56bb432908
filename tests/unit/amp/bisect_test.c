/* How many requests it takes to find the culprits of a refused one. */
#include "world.h"

enum { BATCH = 200, LOG2_BATCH = 8 };

/* metric_9… is what the store never takes; where they lie among the others is their ids' chance. */
static void scrape_with_culprits(struct world *w, unsigned n_culprits, unsigned server)
{
    struct err e = ERR_INIT;
    struct fixture *f = fixture_new();
    for (unsigned i = 0; i < BATCH; i++) {
        (void)fixture_series(f, SERIES_COUNTER, (i < n_culprits ? 9000 : 1000) + i, server);
    }
    ck_assert_msg(fixture_shape(f, server, &e), "%s", e.text);
    for (unsigned i = 0; i < BATCH; i++) {
        buf_double(&f->values, i);
    }
    f->batch.times.base_ms = epoch_ms;
    f->batch.received_ms = epoch_ms;
    world_add(w, fixture_record(f));
    fixture_free(f);
}

static const unsigned rows[] = {0, 1, 2, 3, 5, 8, 13, 40, BATCH};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

START_TEST(few_requests_find_the_culprits)
{
    struct sender_options o = usual;
    unsigned n = rows[_i];
    unsigned n_most = 0;
    double sum = 0;
    o.max_samples = BATCH;
    for (unsigned server = 0; server < 20; server++) {
        struct world *w = world_new(&o, 1);
        scrape_with_culprits(w, n, server);
        world_run(w);
        ck_assert_uint_eq(store_count(w), BATCH - n);
        ck_assert_uint_eq(w->n_letters, n);
        n_most = w->n_sends > n_most ? w->n_sends : n_most;
        sum += w->n_sends;
        check_accounts(w);
        check_released(w);
        world_free(w);
    }
    (void)printf("%u culprits among %d: %.1f requests, %u at most\n", n, BATCH, sum / 20, n_most);
    /* The search; beyond that, of few culprits, itself and the rest once more. */
    ck_assert_uint_le(n_most, n * LOG2_BATCH + 1 + 2 * (n < 5 ? n : 5));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bisect");
    TCase *c = tcase_create("bisect");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, few_requests_find_the_culprits, 0, N_ROWS);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
