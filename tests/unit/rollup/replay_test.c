/* A run that is cut off again and again and goes on from its own rows gives the very rows of an
 * undisturbed one, in their order; each rule that this rests on, left out, shows. */
#include "cuts.h"
#include "disturbed.h"
#include "feed.h"
#include "runner.h"

enum { N_LOGS = 60, N_LOGS_CUT_EVERYWHERE = 3, MAX_CONTROL_LOGS = 300, N_RECORDS = 700 };

enum rule { ALL_RULES, NO_CLOSED_AT, NO_HORIZON, ANY_ORDER };

struct log {
    struct game_log game;
    struct input *inputs; /* owned; their bytes are the game's */
};

static void log_make(uint64_t seed, struct log *l)
{
    game_make(seed, N_RECORDS, &l->game);
    l->inputs = calloc(N_RECORDS, sizeof *l->inputs);
    must(l->inputs != NULL, "no memory");
    for (size_t i = 0; i < N_RECORDS; i++) {
        const struct game_record *r = &l->game.records[i];
        l->inputs[i] = (struct input){r->offset, r->received_ms, slice_of(r->bytes, r->n_bytes)};
    }
}

static void log_end(struct log *l)
{
    game_free(&l->game);
    free(l->inputs);
}

static void run_init(struct rerun *r, const struct log *l, enum rule left_out)
{
    rerun_init(r, false, l->inputs, N_RECORDS);
    r->rules.fault_no_closed_at = left_out == NO_CLOSED_AT;
    r->rules.fault_no_horizon = left_out == NO_HORIZON;
    r->rules.fault_any_order = left_out == ANY_ORDER;
}

static bool outputs_equal(const struct rerun *x, const struct rerun *y)
{
    bool same = x->n_out == y->n_out;
    for (size_t i = 0; same && i < x->n_out; i++) {
        same = output_eq(&x->out[i], &y->out[i]);
    }
    return same;
}

/* How many of the logs come out otherwise when they are disturbed; the first n_enough are enough.
 */
static int differing(enum rule left_out, int n_logs, int n_enough, int *n_crashes, size_t *n_rows)
{
    int n = 0;
    for (int k = 0; k < n_logs && n < n_enough; k++) {
        struct log l;
        struct rerun calm;
        struct rerun disturbed;
        log_make((uint64_t)k + 1, &l);
        run_init(&calm, &l, left_out);
        run_init(&disturbed, &l, left_out);
        (void)rerun_disturbed(&calm, 0);
        *n_crashes += rerun_disturbed(&disturbed, (uint64_t)k + 1000001);
        n += !outputs_equal(&calm, &disturbed);
        *n_rows += calm.n_out;
        rerun_fini(&calm);
        rerun_fini(&disturbed);
        log_end(&l);
    }
    return n;
}

START_TEST(a_cut_off_run_gives_the_same_rows)
{
    int n_crashes = 0;
    size_t n_rows = 0;
    ck_assert_int_eq(differing(ALL_RULES, N_LOGS, N_LOGS, &n_crashes, &n_rows), 0);
    ck_assert_int_gt(n_crashes, 5 * N_LOGS);
    ck_assert_uint_gt(n_rows, 50u * N_LOGS);
}
END_TEST

START_TEST(wherever_it_is_cut_off)
{
    size_t n_cuts = 0;
    for (uint64_t seed = 1; seed <= N_LOGS_CUT_EVERYWHERE; seed++) {
        struct log l;
        struct rerun calm;
        log_make(seed, &l);
        run_init(&calm, &l, ALL_RULES);
        struct cuts found = cuts_try_all(&calm);
        ck_assert_uint_eq(found.n_wrong, 0);
        n_cuts += found.n;
        rerun_fini(&calm);
        log_end(&l);
    }
    ck_assert_uint_gt(n_cuts, 200u * N_LOGS_CUT_EVERYWHERE);
}
END_TEST

enum { MAX_STREAMS = 2 * N_SERVERS };

/* For the completeness of windows, whoever counts it. */
START_TEST(a_new_owner_knows_which_windows_have_rows)
{
    struct log l;
    struct rerun r;
    struct hash128 keys[MAX_STREAMS];
    struct history known[MAX_STREAMS];
    size_t n = 0;
    size_t at = 0;
    log_make(2, &l);
    run_init(&r, &l, ALL_RULES);
    (void)rerun_disturbed(&r, 0);
    for (const struct stream *s; (s = table_next(&r.minute->streams, &at)) != NULL;) {
        must(n < MAX_STREAMS, "more streams than there can be");
        keys[n] = s->key;
        known[n] = s->history;
        n += s->history.has_rows != 0;
    }
    int64_t log_ms = r.minute->log_ms;
    rerun_end(&r);
    rerun_recover(&r, log_ms);
    ck_assert_uint_gt(n, N_SERVERS / 2);
    for (size_t i = 0; i < n; i++) {
        const struct stream *s = table_find(&r.minute->streams, keys[i]);
        ck_assert_ptr_nonnull(s);
        ck_assert_int_eq(s->history.end_ms, known[i].end_ms);
        ck_assert_uint_eq(s->history.has_rows, known[i].has_rows);
    }
    rerun_fini(&r);
    log_end(&l);
}
END_TEST

/* Where windows closed; the horizon; the order of streams whose time is up at once. */
START_TEST(a_rule_that_is_left_out_shows)
{
    int n_crashes = 0;
    size_t n_rows = 0;
    ck_assert_int_gt(differing((enum rule)_i, MAX_CONTROL_LOGS, 1, &n_crashes, &n_rows), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rollup_replay");
    TCase *t = tcase_create("replay");
    tcase_set_timeout(t, 200);
    tcase_add_test(t, a_cut_off_run_gives_the_same_rows);
    tcase_add_test(t, wherever_it_is_cut_off);
    tcase_add_test(t, a_new_owner_knows_which_windows_have_rows);
    tcase_add_loop_test(t, a_rule_that_is_left_out_shows, NO_CLOSED_AT, ANY_ORDER + 1);
    suite_add_tcase(s, t);
    return run_suite(s);
}
