/* A run that is cut off again and again and goes on from its own rows gives the very rows of an
 * undisturbed one; each rule that this rests on, left out, shows. */
#include <stdio.h>

#include "feed.h"
#include "runner.h"

enum { N_LOGS = 60, MAX_CONTROL_LOGS = 300, N_RECORDS = 700, MAX_ROWS = 20000 };

static const struct rules usual = {
    .window_ms = MINUTE_MS, .lateness_ms = 15000, .idle_ms = 120000, .horizon_ms = 7200000};

struct sent {
    struct slice bytes; /* owned */
    struct place needs;
    int64_t log_ms;
    uint64_t source;
    bool is_merged;
    bool has_more;
};

struct sent_list {
    struct sent rows[MAX_ROWS];
    size_t n;
};

static bool row_send(void *ctx, const struct leaving *l, struct err *e)
{
    struct sent_list *out = ctx;
    struct buf b;
    (void)e;
    buf_init(&b, 16 << 20);
    rollup_encode(l->row, &b);
    must(buf_ok(&b) && out->n < MAX_ROWS, "too many rows");
    struct sent *s = &out->rows[out->n++];
    *s = (struct sent){.needs = l->needs,
                       .log_ms = l->log_ms,
                       .source = l->row->source,
                       .is_merged = l->is_merged,
                       .has_more = l->has_more};
    s->bytes.ptr = buf_take(&b, &s->bytes.len);
    return true;
}

static void sent_cut(struct sent_list *l, size_t n)
{
    for (size_t i = n; i < l->n; i++) {
        free((void *)(uintptr_t)l->rows[i].bytes.ptr);
    }
    l->n = n;
}

static struct minute *minute_begin(const struct rules *r, struct sent_list *out)
{
    struct err e = ERR_INIT;
    struct minute *m = NULL;
    const struct row_sink sink = {row_send, out};
    must(minute_new(r, &sink, &m, &e), e.text);
    return m;
}

static struct minute *recovered(const struct rules *r, struct sent_list *out, int64_t log_ms)
{
    struct err e = ERR_INIT;
    struct minute *m = minute_begin(r, out);
    for (size_t i = 0; i < out->n; i++) {
        const struct sent *s = &out->rows[i];
        if (!s->is_merged && s->log_ms >= log_ms - rules_forget_ms(r)) {
            must(minute_restore(m, s->bytes, s->log_ms, &e), e.text);
        }
    }
    minute_restored(m, log_ms);
    return m;
}

static size_t record_at(const struct game_log *g, int64_t offset)
{
    size_t i = 0;
    while (i < g->n && g->records[i].offset < offset) {
        i++;
    }
    return i;
}

/* What a transaction would carry: the rows so far, or, at times, only the first of them. */
struct commit {
    size_t n_rows;
    struct place needs;
};

static struct commit commit_make(const struct minute *m, const struct sent_list *out,
                                 size_t n_before, int64_t position, uint64_t *seed)
{
    size_t n = out->n;
    if (game_chance(seed) < 0.5 && n > n_before) {
        n = n_before + game_draw(seed) % (n - n_before + 1);
    }
    while (n > 0 && n < out->n && out->rows[n - 1].has_more) {
        n++;
    }
    struct commit c = {n, minute_needs(m, (struct place){position, m->log_ms})};
    for (size_t i = n; i < out->n; i++) {
        c.needs = place_first(c.needs, out->rows[i].needs);
    }
    return c;
}

/* The commit moves back, as an operator would by sluice-offsets reset. */
static void group_reset(const struct game_log *g, struct commit *c, uint64_t *seed)
{
    size_t at = record_at(g, c->needs.offset);
    size_t back = 1 + game_draw(seed) % 200;
    at = at > back ? at - back : 0;
    c->needs = (struct place){g->records[at].offset, NEVER};
    for (size_t i = 0; i < at; i++) {
        if (g->records[i].received_ms > c->needs.log_before_ms) {
            c->needs.log_before_ms = g->records[i].received_ms;
        }
    }
}

static int run(const struct rules *r, const struct game_log *g, uint64_t seed,
               struct sent_list *out)
{
    int n_crashes = 0;
    struct minute *m = minute_begin(r, out);
    struct commit c = {0, {0, NEVER}};
    for (size_t i = 0; i < g->n; i++) {
        minute_feed(m, &g->records[i]);
        if (seed != 0 && game_chance(&seed) < 0.05) {
            c = commit_make(m, out, c.n_rows, g->records[i].offset + 1, &seed);
        }
        if (seed != 0 && game_chance(&seed) < 0.01) {
            struct commit from = c;
            if (game_chance(&seed) < 0.1) {
                group_reset(g, &from, &seed);
            }
            minute_free(m);
            sent_cut(out, c.n_rows);
            m = recovered(r, out, from.needs.log_before_ms);
            c.needs = from.needs;
            i = record_at(g, from.needs.offset) - 1;
            n_crashes++;
        }
    }
    minute_free(m);
    return n_crashes;
}

/* The rows of one source and resolution, in order: is that the same? */
static bool rows_equal(const struct sent_list *x, const struct sent_list *y, bool is_merged,
                       uint64_t source, size_t *n_rows)
{
    size_t j = 0;
    for (size_t i = 0; i < x->n; i++) {
        if (x->rows[i].source != source || x->rows[i].is_merged != is_merged) {
            continue;
        }
        while (j < y->n && (y->rows[j].source != source || y->rows[j].is_merged != is_merged)) {
            j++;
        }
        if (j == y->n || !slice_eq(x->rows[i].bytes, y->rows[j].bytes) ||
            x->rows[i].log_ms != y->rows[j].log_ms) {
            return false;
        }
        j++;
        (*n_rows)++;
    }
    while (j < y->n && (y->rows[j].source != source || y->rows[j].is_merged != is_merged)) {
        j++;
    }
    return j == y->n;
}

static struct sent_list calm;
static struct sent_list disturbed;

/* How many of the logs come out otherwise when they are disturbed; the first n_enough are enough.
 */
static int differing(const struct rules *r, int n_logs, int n_enough, int *n_crashes,
                     size_t *n_rows)
{
    int n = 0;
    for (int k = 0; k < n_logs && n < n_enough; k++) {
        struct game_log g;
        game_make((uint64_t)k + 1, N_RECORDS, &g);
        (void)run(r, &g, 0, &calm);
        *n_crashes += run(r, &g, (uint64_t)k + 1000001, &disturbed);
        bool same = true;
        for (int i = 0; i < N_SERVERS; i++) {
            char name[16];
            (void)snprintf(name, sizeof name, "server-%d", i);
            uint64_t source = source_id(SLICE_LITERAL("demo"), slice_str(name));
            same = same && rows_equal(&calm, &disturbed, false, source, n_rows) &&
                   rows_equal(&calm, &disturbed, true, source, n_rows);
        }
        n += !same;
        sent_cut(&calm, 0);
        sent_cut(&disturbed, 0);
        game_free(&g);
    }
    return n;
}

START_TEST(a_cut_off_run_gives_the_same_rows)
{
    int n_crashes = 0;
    size_t n_rows = 0;
    ck_assert_int_eq(differing(&usual, N_LOGS, N_LOGS, &n_crashes, &n_rows), 0);
    ck_assert_int_gt(n_crashes, 5 * N_LOGS);
    ck_assert_uint_gt(n_rows, 50u * N_LOGS);
}
END_TEST

START_TEST(a_row_that_does_not_say_where_it_closed_shows)
{
    int n_crashes = 0;
    size_t n_rows = 0;
    struct rules r = usual;
    r.fault_no_closed_at = true;
    ck_assert_int_gt(differing(&r, MAX_CONTROL_LOGS, 1, &n_crashes, &n_rows), 0);
}
END_TEST

START_TEST(a_missing_horizon_shows)
{
    int n_crashes = 0;
    size_t n_rows = 0;
    struct rules r = usual;
    r.fault_no_horizon = true;
    ck_assert_int_gt(differing(&r, MAX_CONTROL_LOGS, 1, &n_crashes, &n_rows), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rollup_replay");
    TCase *t = tcase_create("replay");
    tcase_set_timeout(t, 200);
    tcase_add_test(t, a_cut_off_run_gives_the_same_rows);
    tcase_add_test(t, a_row_that_does_not_say_where_it_closed_shows);
    tcase_add_test(t, a_missing_horizon_shows);
    suite_add_tcase(s, t);
    return run_suite(s);
}
