/* The worker around the windows: what a commit says, what leaves how often, what is refused. */
#include <stdio.h>

#include "batch/batch.h"
#include "batch/histogram.h"
#include "rollup.h"
#include "runner.h"

enum { OUTBOX_BYTES = 1 << 20 };

struct rig {
    struct metrics *metrics;
    struct rollup_worker *worker;
    struct partition partition;
    struct outbox out;
    struct buf metadata;
    struct checkpoint checkpoint;
};

static const int64_t t0_ms = INT64_C(1700000040000); /* a minute begins */

static void rig_open(struct rig *r, size_t outbox_bytes)
{
    struct err e = ERR_INIT;
    const struct rollup_options o = {.row_topic = "metrics.rollup.1m",
                                     .lateness_ms = 15000,
                                     .idle_ms = 120000,
                                     .horizon_ms = 7200000,
                                     .max_row_bytes = 1 << 20,
                                     .memory_bytes = 64 << 20};
    *r = (struct rig){.metrics = metrics_new()};
    r->partition =
        (struct partition){.topic = SLICE_LITERAL("metrics.admitted"), .n_partitions = 1};
    outbox_init(&r->out, outbox_bytes);
    buf_init(&r->metadata, 4096);
    ck_assert(rollup_new(&o, r->metrics, &r->worker, &e));
}

static void rig_close(struct rig *r)
{
    rollup_drop(r->worker, &r->partition);
    rollup_free(r->worker);
    outbox_fini(&r->out);
    buf_fini(&r->metadata);
    metrics_free(r->metrics);
}

static void begin(struct rig *r, int64_t committed, const char *metadata)
{
    struct err e = ERR_INIT;
    rollup_drop(r->worker, &r->partition);
    outbox_reset(&r->out);
    ck_assert_msg(
        rollup_recover(r->worker, NULL, &r->partition, committed, slice_str(metadata), &e), "%s",
        e.text);
}

static void step(struct rig *r, int64_t offset, struct slice value)
{
    struct err e = ERR_INIT;
    const struct record in = {
        .partition = &r->partition, .offset = offset, .timestamp_ms = t0_ms, .value = value};
    ck_assert_msg(rollup_step(r->worker, NULL, &in, t0_ms, &r->out, &e), "%s", e.text);
}

/* A counter's sample of a source, or a heartbeat. */
static void batch_of(struct rig *r, const char *source, int64_t offset, int64_t at_ms,
                     bool is_heartbeat)
{
    struct err e = ERR_INIT;
    struct buf shape;
    struct buf bytes;
    struct arena a;
    const double v = (double)at_ms;
    const struct series s = {.metric = SLICE_LITERAL("hits"), .unit = SLICE_LITERAL("")};
    const struct series *list = &s;
    arena_init(&a, 1 << 20);
    buf_init(&shape, 1 << 16);
    buf_init(&bytes, 1 << 16);
    ck_assert(shape_encode(slice_str(source), &list, 1, &a, &shape, &e));
    const struct batch b = {.tenant = SLICE_LITERAL("demo"),
                            .source = source_id(SLICE_LITERAL("demo"), slice_str(source)),
                            .received_ms = at_ms,
                            .shape = is_heartbeat ? SLICE_NONE : buf_slice(&shape),
                            .times = {.base_ms = is_heartbeat ? 0 : at_ms},
                            .values = is_heartbeat ? SLICE_NONE : slice_of(&v, sizeof v)};
    batch_encode(&b, &bytes);
    step(r, offset, buf_slice(&bytes));
    buf_fini(&shape);
    buf_fini(&bytes);
    arena_fini(&a);
}

static void batch(struct rig *r, int64_t offset, int64_t at_ms, bool is_heartbeat)
{
    batch_of(r, "gs", offset, at_ms, is_heartbeat);
}

/* As a commit would: what leaves, and what is said. How many records of this output left. */
static int commit(struct rig *r, int64_t position, int output)
{
    struct err e = ERR_INIT;
    int n = 0;
    buf_reset(&r->metadata);
    r->checkpoint = (struct checkpoint){position, &r->metadata};
    ck_assert_msg(rollup_flush(r->worker, &r->partition, &r->out, &e), "%s", e.text);
    rollup_checkpoint(r->worker, &r->partition, position, &r->checkpoint);
    for (size_t i = 0; i < r->out.n; i++) {
        n += r->out.records[i].output == output;
    }
    outbox_reset(&r->out);
    return n;
}

static void says(struct rig *r, int64_t offset, const char *metadata)
{
    ck_assert_int_eq(r->checkpoint.offset, offset);
    ck_assert_str_eq(buf_c_str(&r->metadata), metadata);
}

START_TEST(the_commit_is_the_earliest_record_needed)
{
    struct rig r;
    rig_open(&r, OUTBOX_BYTES);
    begin(&r, -1, "");
    batch(&r, 5, t0_ms, true);
    batch(&r, 7, t0_ms + 1000, false);
    batch(&r, 9, t0_ms + 50000, false);
    ck_assert_int_eq(commit(&r, 10, OUTPUT_ROWS), 0);
    says(&r, 7, "rollup 1 position 10 log_ms 1700000040000");
    batch(&r, 11, t0_ms + 76000, false); /* 15 s past the window's end */
    ck_assert_int_eq(commit(&r, 12, OUTPUT_ROWS), 1);
    says(&r, 11, "rollup 1 position 12 log_ms 1700000090000");
    rig_close(&r);
}
END_TEST

START_TEST(rows_without_room_keep_their_input)
{
    struct rig r;
    struct err e = ERR_INIT;
    const struct outgoing other = {.output = OUTPUT_DLQ, .value = SLICE_LITERAL("something")};
    rig_open(&r, 64);
    begin(&r, -1, "");
    batch(&r, 7, t0_ms + 1000, false);
    batch(&r, 11, t0_ms + 76000, false);
    ck_assert(outbox_put(&r.out, &other, &e));
    ck_assert_int_eq(commit(&r, 12, OUTPUT_ROWS), 0);
    says(&r, 7, "rollup 1 position 12 log_ms -1152921504606846976");
    r.out.arena.max_bytes = OUTBOX_BYTES;
    ck_assert_int_eq(commit(&r, 12, OUTPUT_ROWS), 1);
    says(&r, 11, "rollup 1 position 12 log_ms 1700000041000");
    rig_close(&r);
}
END_TEST

START_TEST(a_row_beyond_any_transaction_is_an_error)
{
    struct rig r;
    struct err e = ERR_INIT;
    rig_open(&r, 64);
    begin(&r, -1, "");
    batch(&r, 7, t0_ms + 1000, false);
    batch(&r, 11, t0_ms + 76000, false);
    outbox_reset(&r.out);
    ck_assert(!rollup_flush(r.worker, &r.partition, &r.out, &e));
    ck_assert_int_eq(e.kind, ERR_FATAL);
    ck_assert_ptr_nonnull(strstr(e.text, "commit_max_bytes"));
    rig_close(&r);
}
END_TEST

START_TEST(heartbeats_and_letters_leave_once)
{
    struct rig r;
    rig_open(&r, OUTBOX_BYTES);
    for (int i = 0; i < 2; i++) {
        begin(&r, i == 0 ? -1 : 3, i == 0 ? "" : "rollup 1 position 9 log_ms 1700000000000");
        batch(&r, 5, t0_ms, true);
        ck_assert_int_eq(commit(&r, 6, OUTPUT_MERGED), 1 - i);
        step(&r, 8, SLICE_LITERAL("no batch"));
        ck_assert_int_eq(commit(&r, 9, OUTPUT_DLQ), 1 - i);
        says(&r, 9, "rollup 1 position 9 log_ms 1700000040000");
        batch(&r, 9, t0_ms, true);
        ck_assert_int_eq(commit(&r, 10, OUTPUT_MERGED), 1);
    }
    rig_close(&r);
}
END_TEST

static const char *const foreign[] = {"", "rollup", "rollup 2 position 1 log_ms 1",
                                      "rollup 1 position 1", "something else"};

START_TEST(a_foreign_commit_is_refused)
{
    struct rig r;
    struct err e = ERR_INIT;
    rig_open(&r, OUTBOX_BYTES);
    ck_assert(!rollup_recover(r.worker, NULL, &r.partition, 3, slice_str(foreign[_i]), &e));
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(e.text, "sluice-offsets reset"));
    rig_close(&r);
}
END_TEST

START_TEST(a_record_that_comes_twice_counts_once)
{
    struct rig r;
    rig_open(&r, OUTBOX_BYTES);
    begin(&r, -1, "");
    batch(&r, 5, t0_ms, true);
    batch(&r, 5, t0_ms, true); /* its counts had no room the first time */
    ck_assert_int_eq(commit(&r, 6, OUTPUT_MERGED), 1);
    rig_close(&r);
}
END_TEST

static void expect_sources(struct rig *r, int64_t now_ms, int n_expected, int n_closed)
{
    static const char *const states[] = {"expected", "closed"};
    const int want[] = {n_expected, n_closed};
    struct err e = ERR_INIT;
    ck_assert(rollup_tick(r->worker, NULL, now_ms, &e));
    for (int i = 0; i < 2; i++) {
        const struct slice labels[] = {SLICE_LITERAL("demo"), slice_str(states[i])};
        const struct cell *c = metrics_cell(r->metrics, M_ROLLUP_WINDOW_SOURCES, labels);
        ck_assert_msg((int)cell_get(c) == want[i], "%s at %lld: %g", states[i], (long long)now_ms,
                      cell_get(c));
    }
}

/* A window has to be closed 195 s after its end: sources that had rows, and those that have one. */
START_TEST(a_windows_completeness)
{
    struct rig r;
    int64_t offset = 0;
    rig_open(&r, OUTBOX_BYTES);
    begin(&r, -1, "");
    for (int64_t s = 0; s < 360; s += 20) {
        batch(&r, offset++, t0_ms + s * 1000, false);
    }
    expect_sources(&r, t0_ms, 1, 1);
    batch(&r, offset++, t0_ms + 600000, true); /* the window to 360 s is the newest */
    expect_sources(&r, t0_ms + 2000, 1, 1);
    batch(&r, offset++, t0_ms + 700000, true); /* that to 480 s, in which it was silent */
    expect_sources(&r, t0_ms + 4000, 1, 0);
    batch(&r, offset, t0_ms + 1300000, true); /* nobody waits for it any more */
    expect_sources(&r, t0_ms + 6000, 0, 0);
    rollup_drop(r.worker, &r.partition);
    expect_sources(&r, t0_ms + 8000, 0, 0);
    rig_close(&r);
}
END_TEST

/* A histogram of temporality delta, with as many buckets as it may have. */
static void histogram_batch(struct rig *r, int64_t offset, int64_t at_ms, int64_t time_ms)
{
    enum { N_BOUNDS = 1024 };
    static double bounds[N_BOUNDS];
    static uint64_t counts[N_BOUNDS + 1];
    struct err e = ERR_INIT;
    struct buf shape;
    struct buf bytes;
    struct buf column;
    struct arena a;
    for (int i = 0; i < N_BOUNDS; i++) {
        bounds[i] = i;
        counts[i] = UINT64_C(1) << 40;
    }
    const struct classic_histogram h = {
        .count = UINT64_C(1) << 50, .n_counts = N_BOUNDS + 1, .counts = counts};
    const struct series s = {.metric = SLICE_LITERAL("sizes"),
                             .unit = SLICE_LITERAL(""),
                             .kind = SERIES_CLASSIC_HISTOGRAM,
                             .delta = true,
                             .n_bounds = N_BOUNDS,
                             .bounds = bounds};
    const struct series *list = &s;
    arena_init(&a, 1 << 20);
    buf_init(&shape, 1 << 16);
    buf_init(&bytes, 1 << 16);
    buf_init(&column, 1 << 16);
    classic_histogram_encode(&h, &column);
    ck_assert(shape_encode(SLICE_LITERAL("gs"), &list, 1, &a, &shape, &e));
    const struct batch b = {.tenant = SLICE_LITERAL("demo"),
                            .source = source_id(SLICE_LITERAL("demo"), SLICE_LITERAL("gs")),
                            .received_ms = at_ms,
                            .shape = buf_slice(&shape),
                            .times = {.base_ms = time_ms},
                            .classic = buf_slice(&column)};
    batch_encode(&b, &bytes);
    step(r, offset, buf_slice(&bytes));
    buf_fini(&shape);
    buf_fini(&bytes);
    buf_fini(&column);
    arena_fini(&a);
}

/* What waits for the next row counts, whatever it is: memory_limit_mb holds. */
START_TEST(late_histograms_count_as_memory)
{
    enum { N = 16000 }; /* 6 KB each; the limit is 64 MiB */
    struct rig r;
    struct err e = ERR_INIT;
    rig_open(&r, OUTBOX_BYTES);
    begin(&r, -1, "");
    histogram_batch(&r, 0, t0_ms, t0_ms);
    histogram_batch(&r, 1, t0_ms + 76000, t0_ms + 76000);
    ck_assert(rollup_tick(r.worker, NULL, t0_ms, &e));
    for (int i = 0; i < N; i++) {
        histogram_batch(&r, 2 + i, t0_ms + 77000, t0_ms + i);
    }
    ck_assert(!rollup_tick(r.worker, NULL, t0_ms + 10000, &e));
    ck_assert_ptr_nonnull(strstr(e.text, "memory_limit_mb"));
    rig_close(&r);
}
END_TEST

START_TEST(how_long_the_oldest_window_is_open)
{
    static const struct {
        int64_t log_s;
        int overdue_s;
    } rows[] = {{50, 0}, {100, 40}, {120, 60}, {123, 0}}; /* silent from 2 s on: closed at 123 */
    struct rig r;
    struct err e = ERR_INIT;
    const struct slice partition = SLICE_LITERAL("0");
    rig_open(&r, OUTBOX_BYTES);
    begin(&r, -1, "");
    batch(&r, 0, t0_ms + 2000, false);
    for (int i = 0; i < 4; i++) {
        batch(&r, i + 1, t0_ms + rows[i].log_s * 1000, true);
        ck_assert(rollup_tick(r.worker, NULL, t0_ms + i * 2000, &e));
        ck_assert_int_eq((int)cell_get(metrics_cell(r.metrics, M_ROLLUP_OLDEST, &partition)),
                         rows[i].overdue_s);
    }
    rig_close(&r);
}
END_TEST

/* Ten sources, scraped every 10 s, a second apart: each one's row leaves with its own first sample
 * that is 15 s past the minute, so that the stores get a row a second, not ten at :00. */
START_TEST(rows_leave_as_their_sources_close)
{
    enum { N_SOURCES = 10, CLOSES_AT_S = 75 };
    struct rig r;
    rig_open(&r, OUTBOX_BYTES);
    begin(&r, -1, "");
    for (int s = 0; s < CLOSES_AT_S + N_SOURCES; s++) {
        char source[16];
        (void)snprintf(source, sizeof source, "gs-%d", s % N_SOURCES);
        batch_of(&r, source, s, t0_ms + s * 1000, false);
        ck_assert_msg(commit(&r, s + 1, OUTPUT_ROWS) == (s >= CLOSES_AT_S ? 1 : 0), "at %d s", s);
    }
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rollup_worker");
    TCase *t = tcase_create("worker");
    tcase_add_test(t, late_histograms_count_as_memory);
    tcase_add_test(t, the_commit_is_the_earliest_record_needed);
    tcase_add_test(t, rows_without_room_keep_their_input);
    tcase_add_test(t, a_row_beyond_any_transaction_is_an_error);
    tcase_add_test(t, heartbeats_and_letters_leave_once);
    tcase_add_loop_test(t, a_foreign_commit_is_refused, 0,
                        (int)(sizeof foreign / sizeof foreign[0]));
    tcase_add_test(t, a_record_that_comes_twice_counts_once);
    tcase_add_test(t, a_windows_completeness);
    tcase_add_test(t, how_long_the_oldest_window_is_open);
    tcase_add_test(t, rows_leave_as_their_sources_close);
    suite_add_tcase(s, t);
    return run_suite(s);
}
