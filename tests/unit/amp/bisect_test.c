/* The culprits of refused requests, and nothing else, become dead letters: of a store that says why
 * it refuses only, and of one that names a culprit. How many requests that may take: search_test.c.
 */
#include "world.h"

enum { BATCH = 200 };

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

static unsigned run(unsigned n_culprits, unsigned server, bool names)
{
    struct sender_options o = usual;
    o.max_samples = BATCH;
    struct world *w = world_new(&o, 1);
    w->store.names = names;
    scrape_with_culprits(w, n_culprits, server);
    world_run(w);
    ck_assert_uint_eq(store_count(w), BATCH - n_culprits);
    ck_assert_uint_eq(w->n_letters, n_culprits);
    check_accounts(w);
    check_released(w);
    unsigned n_sends = w->n_sends;
    world_free(w);
    return n_sends;
}

START_TEST(culprits_are_found)
{
    for (unsigned server = 0; server < 5; server++) {
        unsigned n = rows[_i];
        unsigned n_named = run(n, server, true);
        unsigned n_sends = run(n, server, false);
        ck_assert_uint_le(n_named, 2 * n + 1);
        ck_assert_uint_le(n_sends, n < 2 ? n * 10 + 1 : n * 8 + 8);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bisect");
    TCase *c = tcase_create("bisect");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, culprits_are_found, 0, N_ROWS);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
