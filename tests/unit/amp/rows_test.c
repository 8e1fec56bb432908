/* Rows of rollups, and what of them goes over the wire. */
#include "rows_kit.h"

static const struct given_row cases[] = {
    {"a counter's total", 0, false, ROLLUP_ROW, 60000,
     {{.metric = "hits_total", .kind = SERIES_COUNTER, .samples = 6, .v = {7, 2, 1007}}},
     "hits_total:1m{a=b} 7 @+0\n"},
    {"all columns of a counter", ALL, false, ROLLUP_ROW, 60000,
     {{.metric = "hits_total", .kind = SERIES_COUNTER, .samples = 6, .v = {7, 2, 1007}}},
     "hits_total:1m{a=b} 7 @+0\n"
     "hits_total:1m:delta{a=b} 2 @+0\n"
     "hits_total:1m:count{a=b} 6 @+0\n"},
    {"a counter of temporality delta", 0, false, ROLLUP_ROW, 60000,
     {{.metric = "hits_total", .kind = SERIES_COUNTER, .delta = true, .samples = 6, .v = {7, 2, 1}}},
     "hits_total:1m{a=b} 7 @+0\n"},
    {"a counter that only ends", 0, false, ROLLUP_ROW, 60000,
     {{.metric = "hits_total", .kind = SERIES_COUNTER, .ended = true, .v = {7, 0, 1007}}},
     "hits_total:1m{a=b} 7 @+0\n"
     "hits_total:1m{a=b} stale @+1\n"},
    {"a gauge's range", RANGE, false, ROLLUP_ROW, 300000,
     {{.metric = "players", .kind = SERIES_GAUGE, .samples = 3, .v = {9, 1, 5, 3}}},
     "players:5m{a=b} 3 @+0\n"
     "players:5m:min{a=b} 1 @+0\n"
     "players:5m:max{a=b} 5 @+0\n"},
    {"all columns of a gauge that ends", ALL, false, ROLLUP_ROW, 3600000,
     {{.metric = "players", .kind = SERIES_GAUGE, .samples = 3, .ended = true, .v = {9, 1, 5, 3}}},
     "players:1h{a=b} 3 @+0\n"
     "players:1h:min{a=b} 1 @+0\n"
     "players:1h:max{a=b} 5 @+0\n"
     "players:1h:sum{a=b} 9 @+0\n"
     "players:1h:count{a=b} 3 @+0\n"
     "players:1h{a=b} stale @+1\n"
     "players:1h:min{a=b} stale @+1\n"
     "players:1h:max{a=b} stale @+1\n"
     "players:1h:sum{a=b} stale @+1\n"
     "players:1h:count{a=b} stale @+1\n"},
    {"a gauge without samples", RANGE, false, ROLLUP_ROW, 60000,
     {{.metric = "players", .kind = SERIES_GAUGE, .v = {0, (double)NAN, (double)NAN, (double)NAN}}},
     ""},
    {"a gauge that only ends", RANGE, false, ROLLUP_ROW, 60000,
     {{.metric = "players",
       .kind = SERIES_GAUGE,
       .ended = true,
       .v = {0, (double)NAN, (double)NAN, (double)NAN}}},
     "players:1m{a=b} stale @+1\n"
     "players:1m:min{a=b} stale @+1\n"
     "players:1m:max{a=b} stale @+1\n"},
    {"plain names", RANGE, true, ROLLUP_ROW, 60000,
     {{.metric = "lag", .kind = SERIES_CLASSIC_HISTOGRAM, .samples = 1, .v = {2.5}, .counts = {1, 2, 3}},
      {.metric = "players", .kind = SERIES_GAUGE, .samples = 3, .v = {9, 1, 5, 3}}},
     "players{a=b} 3 @+0\n"
     "players:min{a=b} 1 @+0\n"
     "players:max{a=b} 5 @+0\n"
     "lag_bucket{a=b,le=0.5} 1 @+0\n"
     "lag_bucket{a=b,le=1} 3 @+0\n"
     "lag_bucket{a=b,le=+Inf} 6 @+0\n"
     "lag_sum{a=b} 2.5 @+0\n"
     "lag_count{a=b} 6 @+0\n"},
    {"a native histogram that ends", ALL, false, ROLLUP_ROW, 60000,
     {{.metric = "tick", .kind = SERIES_EXP_HISTOGRAM, .samples = 1, .ended = true, .v = {4.5}, .counts = {3}}},
     "tick:1m{a=b} 3 of sum 4.5, schema 2 @+0\n"
     "tick:1m{a=b} stale histogram @+1\n"},
    {"classic histograms, one ends and has no sum", ALL, false, ROLLUP_ROW, 60000,
     {{.metric = "lag", .kind = SERIES_CLASSIC_HISTOGRAM, .samples = 1, .v = {2.5}, .counts = {1, 2, 3}},
      {.metric = "run",
       .kind = SERIES_CLASSIC_HISTOGRAM,
       .samples = 1,
       .ended = true,
       .no_sum = true,
       .counts = {1, 0, 0}}},
     "lag_bucket:1m{a=b,le=0.5} 1 @+0\n"
     "lag_bucket:1m{a=b,le=1} 3 @+0\n"
     "lag_bucket:1m{a=b,le=+Inf} 6 @+0\n"
     "lag_sum:1m{a=b} 2.5 @+0\n"
     "lag_count:1m{a=b} 6 @+0\n"
     "run_bucket:1m{a=b,le=0.5} 1 @+0\n"
     "run_bucket:1m{a=b,le=1} 1 @+0\n"
     "run_bucket:1m{a=b,le=+Inf} 1 @+0\n"
     "run_count:1m{a=b} 1 @+0\n"
     "run_bucket:1m{a=b,le=0.5} stale @+1\n"
     "run_bucket:1m{a=b,le=1} stale @+1\n"
     "run_bucket:1m{a=b,le=+Inf} stale @+1\n"
     "run_count:1m{a=b} stale @+1\n"},
    {"all kinds, of which two end", 0, false, ROLLUP_ROW, 300000,
     {{.metric = "a_total", .kind = SERIES_COUNTER, .samples = 6, .ended = true, .v = {7, 2, 1007}},
      {.metric = "b", .kind = SERIES_GAUGE, .samples = 3, .v = {9, 1, 5, 3}},
      {.metric = "c", .kind = SERIES_EXP_HISTOGRAM, .samples = 1, .v = {4.5}, .counts = {3}},
      {.metric = "d_total", .kind = SERIES_COUNTER, .samples = 6, .ended = true, .v = {8, 2, 1007}}},
     "a_total:5m{a=b} 7 @+0\n"
     "b:5m{a=b} 3 @+0\n"
     "d_total:5m{a=b} 8 @+0\n"
     "c:5m{a=b} 3 of sum 4.5, schema 2 @+0\n"
     "a_total:5m{a=b} stale @+1\n"
     "d_total:5m{a=b} stale @+1\n"},
    {"an amend", ALL, false, ROLLUP_AMEND, 60000,
     {{.metric = "hits_total", .kind = SERIES_COUNTER, .delta = true, .v = {7, 2, 0}}},
     ""},
    {"a heartbeat", ALL, false, ROLLUP_HEARTBEAT, 0, {{0}}, ""},
    {"a row of no series", ALL, false, ROLLUP_ROW, 60000, {{0}}, ""},
    {"a window of its own length", 0, false, ROLLUP_ROW, 90000,
     {{.metric = "hits_total", .kind = SERIES_COUNTER, .samples = 6, .v = {7, 2, 1007}}},
     "hits_total:90s{a=b} 7 @+0\n"},
};

START_TEST(rows_on_the_wire)
{
    const struct given_row *c = &cases[_i];
    struct world *w = rows_world(c->columns, c->plain);
    struct buf sent;
    buf_init(&sent, 1 << 20);
    row_add(w, c, 0);
    sent_run(w, &sent);
    ck_assert_msg(strcmp(buf_c_str(&sent), c->want) == 0, "%s: sent\n%s", c->name, buf_c_str(&sent));
    ck_assert_uint_eq(w->n_rejected_records, 0);
    buf_fini(&sent);
    world_free(w);
}
END_TEST

/* What is cached of a shape depends on the window and on which series have points. */
START_TEST(one_shape_in_several_rows)
{
    static const struct given counter = {
        .metric = "hits_total", .kind = SERIES_COUNTER, .samples = 6, .v = {7, 2, 1007}};
    static const struct given gauge = {
        .metric = "players", .kind = SERIES_GAUGE, .samples = 3, .v = {9, 1, 5, 3}};
    static const struct given silent = {
        .metric = "players", .kind = SERIES_GAUGE, .v = {0, (double)NAN, (double)NAN, (double)NAN}};
    const struct given_row rows[] = {
        {.window_ms = 60000, .series = {counter, gauge}},
        {.window_ms = 300000, .series = {counter, silent}},
        {.window_ms = 300000, .series = {counter, gauge}},
        {.window_ms = 60000, .series = {counter, silent}},
    };
    struct world *w = rows_world(0, false);
    struct buf sent;
    buf_init(&sent, 1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        row_add(w, &rows[i], 0);
    }
    sent_run(w, &sent);
    static const char want[] = "hits_total:1m{a=b} 7 @+0\n"
                               "players:1m{a=b} 3 @+0\n"
                               "hits_total:5m{a=b} 7 @+0\n"
                               "hits_total:5m{a=b} 7 @+0\n"
                               "players:5m{a=b} 3 @+0\n"
                               "hits_total:1m{a=b} 7 @+0\n";
    ck_assert_msg(strcmp(buf_c_str(&sent), want) == 0, "sent\n%s", buf_c_str(&sent));
    buf_fini(&sent);
    world_free(w);
}
END_TEST

START_TEST(bad_rows_go_to_the_dlq)
{
    struct world *w = rows_world(0, false);
    struct buf sent;
    const struct given_row no_window = {.series = {cases[0].series[0]}};
    buf_init(&sent, 1 << 20);
    row_add(w, &cases[0], 8);
    row_add(w, &no_window, 0);
    row_add(w, &cases[0], 0);
    struct slice whole = w->records[w->n_records - 1];
    for (size_t n = 11; n < whole.len && w->n_records < MAX_RECORDS; n++) {
        world_add(w, slice_of(whole.ptr, n));
    }
    sent_run(w, &sent);
    ck_assert_str_eq(buf_c_str(&sent), "hits_total:1m{a=b} 7 @+0\n");
    ck_assert_uint_eq(w->n_rejected_records, w->n_records - 1);
    buf_fini(&sent);
    world_free(w);
}
END_TEST

static bool has_native(const struct given_row *row)
{
    bool has = false;
    for (int i = 0; i < MAX_SERIES && row->series[i].metric != NULL; i++) {
        has = has || row->series[i].kind == SERIES_EXP_HISTOGRAM;
    }
    return has;
}

/* Whatever a record holds: it is sent or goes to the DLQ. (Native histograms are for the store to
 * judge, which the one in memory does not.) */
START_TEST(damaged_rows_do_no_harm)
{
    const size_t n_cases = sizeof cases / sizeof cases[0];
    struct world *w = rows_world(ALL, false);
    struct buf sent;
    buf_init(&sent, 16 << 20);
    w->random += (uint64_t)_i * 2654435761u;
    for (size_t i = 0; i < 2 * n_cases; i++) { /* the store in memory holds no more series */
        if (has_native(&cases[i % n_cases])) {
            continue;
        }
        row_add(w, &cases[i % n_cases], 0);
        struct slice whole = w->records[w->n_records - 1];
        uint8_t *bytes = (uint8_t *)(uintptr_t)whole.ptr;
        for (uint64_t n = 1 + rnd(w, 3); n > 0; n--) {
            bytes[10 + rnd(w, whole.len - 10)] ^= (uint8_t)(1 + rnd(w, 255));
        }
    }
    sent_run(w, &sent);
    ck_assert(sent.len > 0);
    ck_assert_uint_gt(w->n_rejected_records, 0);
    ck_assert_uint_lt(w->n_rejected_records, w->n_records);
    buf_fini(&sent);
    world_free(w);
}
END_TEST

/* By the window's end: of an hour that closes a quarter of an hour later all is young enough. */
START_TEST(age_is_from_the_end_of_the_window)
{
    static const struct {
        int64_t age_ms;
        const char *want;
        size_t n_gaps;
    } ages[] = {{900000, "hits_total:1h{a=b} 7 @+0\nhits_total:1h{a=b} stale @+1\n", 0},
                {3660000, "", 1}};
    const struct given_row late = {.window_ms = 3600000,
                                   .series = {{.metric = "hits_total",
                                               .kind = SERIES_COUNTER,
                                               .samples = 360,
                                               .ended = true,
                                               .v = {7, 2, 1007}}}};
    struct sender_options o = usual;
    o.max_sample_age_ms = 3600000;
    o.out_of_order_ms = 600000;
    struct world *w = world_new(&o, 1);
    struct buf sent;
    buf_init(&sent, 1 << 20);
    w->now.wall_ms = T + ages[_i].age_ms;
    row_add(w, &late, 0);
    sent_run(w, &sent);
    ck_assert_str_eq(buf_c_str(&sent), ages[_i].want);
    ck_assert_uint_eq(w->n_gaps, ages[_i].n_gaps);
    buf_fini(&sent);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rows");
    TCase *c = tcase_create("rows");
    tcase_add_loop_test(c, rows_on_the_wire, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(c, one_shape_in_several_rows);
    tcase_add_test(c, bad_rows_go_to_the_dlq);
    tcase_add_loop_test(c, damaged_rows_do_no_harm, 0, 60);
    tcase_add_loop_test(c, age_is_from_the_end_of_the_window, 0, 2);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
