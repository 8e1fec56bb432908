/* Rows of an hour, from rows of 5 m that the minutes made of generated logs: a run that is cut off
 * again and again gives the very rows of an undisturbed one. And rows in parts. */
#include <stdio.h>

#include "feed.h"
#include "hour.h"
#include "runner.h"
#include "split.h"

enum { N_LOGS = 40, N_RECORDS = 2500, MAX_ROWS = 20000, PART_BYTES = 600 };

static const struct rules minutes = {
    .window_ms = MINUTE_MS, .lateness_ms = 15000, .idle_ms = 120000, .horizon_ms = 7200000};
static struct rules hours = {
    .window_ms = HOUR_MS, .lateness_ms = 15000, .idle_ms = 900000, .horizon_ms = 21600000};

struct sent {
    struct slice bytes; /* owned */
    struct place needs;
    int64_t log_ms;
    uint64_t source;
};

struct sent_list {
    struct sent rows[MAX_ROWS];
    size_t n;
    size_t max_bytes; /* of a part */
    bool only_merged; /* else only those that are not */
    const struct leaving *leaving;
};

static struct sent_list fives;
static struct sent_list calm;
static struct sent_list cut;

static bool part_send(void *ctx, struct slice bytes, bool is_last, struct err *e)
{
    struct sent_list *out = ctx;
    uint8_t *copy = malloc(bytes.len);
    (void)is_last;
    (void)e;
    must(copy != NULL && out->n < MAX_ROWS, "too many rows");
    memcpy(copy, bytes.ptr, bytes.len);
    out->rows[out->n++] = (struct sent){.bytes = slice_of(copy, bytes.len),
                                        .needs = out->leaving->needs,
                                        .log_ms = out->leaving->log_ms,
                                        .source = out->leaving->row->source};
    return true;
}

static bool row_send(void *ctx, const struct leaving *l, struct err *e)
{
    struct sent_list *out = ctx;
    struct splitter x;
    if (l->is_merged != out->only_merged) {
        return true;
    }
    splitter_init(&x, out->max_bytes);
    out->leaving = l;
    bool ok = rollup_split(&x, l->row, part_send, out, e);
    splitter_fini(&x);
    return ok;
}

static void sent_cut(struct sent_list *l, size_t n)
{
    for (size_t i = n; i < l->n; i++) {
        free((void *)(uintptr_t)l->rows[i].bytes.ptr);
    }
    l->n = n;
}

static struct minute *minute_begin(struct sent_list *out)
{
    struct err e = ERR_INIT;
    struct minute *m = NULL;
    const struct row_sink sink = {row_send, out};
    must(minute_new(&minutes, &sink, &m, &e), e.text);
    return m;
}

static void fives_make(uint64_t seed)
{
    struct game_log g;
    game_make(seed, N_RECORDS, &g);
    fives.only_merged = true;
    fives.max_bytes = 1 << 20;
    struct minute *m = minute_begin(&fives);
    for (size_t i = 0; i < g.n; i++) {
        minute_feed(m, &g.records[i]);
    }
    minute_free(m);
    game_free(&g);
}

static struct hour *hour_begin(struct sent_list *out)
{
    struct err e = ERR_INIT;
    struct hour *h = NULL;
    const struct row_sink sink = {row_send, out};
    must(hour_new(&hours, &sink, &h, &e), e.text);
    return h;
}

/* The i-th row of 5 m has the offset 3 i: markers lie between them. */
static void hour_feed(struct hour *h, size_t i)
{
    struct err e = ERR_INIT;
    must(hour_take(h, (int64_t)(3 * i), fives.rows[i].log_ms, fives.rows[i].bytes, &e), e.text);
}

static struct hour *hour_recovered(struct sent_list *out, int64_t log_ms)
{
    struct err e = ERR_INIT;
    struct hour *h = hour_begin(out);
    for (size_t i = 0; i < out->n; i++) {
        if (out->rows[i].log_ms >= log_ms - rules_forget_ms(&hours)) {
            must(hour_restore(h, out->rows[i].bytes, out->rows[i].log_ms, &e), e.text);
        }
    }
    hour_restored(h, log_ms);
    return h;
}

static int hours_run(struct sent_list *out, uint64_t seed)
{
    int n_cuts = 0;
    size_t n_rows = 0;
    struct place needs = {0, NEVER};
    struct hour *h = hour_begin(out);
    for (size_t i = 0; i < fives.n; i++) {
        hour_feed(h, i);
        if (seed != 0 && game_chance(&seed) < 0.1) {
            n_rows = out->n;
            needs = hour_needs(h, (struct place){(int64_t)(3 * i + 1), h->log_ms});
        }
        if (seed != 0 && game_chance(&seed) < 0.02) {
            hour_free(h);
            sent_cut(out, n_rows);
            h = hour_recovered(out, needs.log_before_ms);
            i = (size_t)((needs.offset + 2) / 3) - 1;
            n_cuts++;
        }
    }
    hour_free(h);
    return n_cuts;
}

/* The rows of each source, in order. */
static bool is_same(const struct sent_list *x, const struct sent_list *y)
{
    for (int k = 0; k < N_SERVERS; k++) {
        char name[16];
        (void)snprintf(name, sizeof name, "server-%d", k);
        uint64_t source = source_id(SLICE_LITERAL("demo"), slice_str(name));
        size_t j = 0;
        for (size_t i = 0; i < x->n; i++) {
            if (x->rows[i].source != source) {
                continue;
            }
            while (j < y->n && y->rows[j].source != source) {
                j++;
            }
            if (j == y->n || !slice_eq(x->rows[i].bytes, y->rows[j].bytes) ||
                x->rows[i].log_ms != y->rows[j].log_ms) {
                return false;
            }
            j++;
        }
    }
    return x->n == y->n;
}

/* How many of the logs come out otherwise when they are cut off. */
static int differing(int n_logs, int *n_cuts, size_t *n_rows)
{
    int n = 0;
    calm.max_bytes = cut.max_bytes = 1 << 20;
    for (int k = 0; k < n_logs; k++) {
        fives_make((uint64_t)k + 500);
        (void)hours_run(&calm, 0);
        *n_cuts += hours_run(&cut, (uint64_t)k + 1000001);
        n += !is_same(&calm, &cut);
        *n_rows += calm.n;
        sent_cut(&fives, 0);
        sent_cut(&calm, 0);
        sent_cut(&cut, 0);
    }
    return n;
}

START_TEST(hours_that_are_cut_off_are_the_same)
{
    int n_cuts = 0;
    size_t n_rows = 0;
    ck_assert_int_eq(differing(N_LOGS, &n_cuts, &n_rows), 0);
    ck_assert_int_gt(n_cuts, N_LOGS);
    ck_assert_uint_gt(n_rows, 3u * N_LOGS);
}
END_TEST

START_TEST(an_hour_that_does_not_say_where_it_closed_shows)
{
    int n_cuts = 0;
    size_t n_rows = 0;
    hours.fault_no_closed_at = true;
    ck_assert_int_gt(differing(20, &n_cuts, &n_rows), 0);
    hours.fault_no_closed_at = false;
}
END_TEST

/* Rows of 1 m in small parts: read back they are the same state as whole ones, so that what follows
 * is the same. */
START_TEST(rows_in_parts_are_the_same_state)
{
    struct game_log g;
    struct err e = ERR_INIT;
    size_t n_parts = 0;
    game_make(77, N_RECORDS, &g);
    calm.max_bytes = 1 << 20;
    cut.max_bytes = PART_BYTES;
    struct minute *whole = minute_begin(&calm);
    struct minute *parts = minute_begin(&cut);
    for (size_t i = 0; i < N_RECORDS / 2; i++) {
        minute_feed(whole, &g.records[i]);
        minute_feed(parts, &g.records[i]);
    }
    n_parts = cut.n - calm.n;
    struct place needs =
        minute_needs(whole, (struct place){g.records[N_RECORDS / 2].offset, whole->log_ms});
    minute_free(whole);
    minute_free(parts);
    whole = minute_begin(&calm);
    parts = minute_begin(&cut);
    size_t n_calm = calm.n;
    size_t n_cut = cut.n;
    for (size_t i = 0; i < n_calm; i++) {
        must(minute_restore(whole, calm.rows[i].bytes, calm.rows[i].log_ms, &e), e.text);
    }
    for (size_t i = 0; i < n_cut; i++) {
        must(minute_restore(parts, cut.rows[i].bytes, cut.rows[i].log_ms, &e), e.text);
    }
    minute_restored(whole, needs.log_before_ms);
    minute_restored(parts, needs.log_before_ms);
    cut.max_bytes = 1 << 20;
    size_t first = 0;
    while (g.records[first].offset < needs.offset) {
        first++;
    }
    for (size_t i = first; i < g.n; i++) {
        minute_feed(whole, &g.records[i]);
        minute_feed(parts, &g.records[i]);
    }
    minute_free(whole);
    minute_free(parts);
    ck_assert_uint_gt(n_parts, 50);
    ck_assert_uint_eq(calm.n - n_calm, cut.n - n_cut);
    ck_assert_uint_gt(calm.n - n_calm, 50);
    for (size_t i = n_calm; i < calm.n; i++) {
        must(slice_eq(calm.rows[i].bytes, cut.rows[i - n_calm + n_cut].bytes), "a row differs");
    }
    sent_cut(&calm, 0);
    sent_cut(&cut, 0);
    game_free(&g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rollup_hour");
    TCase *t = tcase_create("hours");
    tcase_set_timeout(t, 200);
    tcase_add_test(t, hours_that_are_cut_off_are_the_same);
    tcase_add_test(t, an_hour_that_does_not_say_where_it_closed_shows);
    tcase_add_test(t, rows_in_parts_are_the_same_state);
    suite_add_tcase(s, t);
    return run_suite(s);
}
