/* Rows of rollups, and what of them goes over the wire: as text, a line per sample. */
#include <inttypes.h>
#include <math.h>

#include "batch/rollup.h"
#include "world.h"

enum { MAX_SERIES = 4, MAX_BUCKETS = 3, LINE_BYTES = 4096 };

#define T INT64_C(1800000060000)
#define ALL                                                                                        \
    (1U << COLUMN_DELTA | 1U << COLUMN_MIN | 1U << COLUMN_MAX | 1U << COLUMN_SUM |                 \
     1U << COLUMN_COUNT)
#define RANGE (1U << COLUMN_MIN | 1U << COLUMN_MAX)

/* What a row says of one series; in canonical order. */
struct given {
    const char *metric; /* NULL: no more */
    enum series_kind kind;
    bool delta;
    uint32_t samples;
    bool ended;
    double v[GAUGE_COLUMNS]; /* the columns of scalars; a histogram's total: its sum */
    uint64_t counts[MAX_BUCKETS];
    bool no_sum;
};

struct given_row {
    const char *name;
    uint32_t columns;
    bool plain;
    enum rollup_kind kind;
    int64_t window_ms;
    struct given series[MAX_SERIES];
    const char *want;
};

/* --- rows --- */

static const double bounds[] = {0.5, 1};

static void exp_put(struct buf *out, double sum, uint64_t count)
{
    const struct histogram_span span = {1, 1};
    const struct exp_histogram h = {.schema = 2,
                                    .count = count,
                                    .sum = sum,
                                    .positive = {count > 0, count > 0, &span, &count}};
    exp_histogram_encode(&h, out);
}

static void classic_put(struct buf *out, const struct given *g, bool total)
{
    static const uint64_t none[MAX_BUCKETS];
    const uint64_t *counts = total ? g->counts : none;
    const struct classic_histogram h = {.has_sum = total && !g->no_sum,
                                        .stale = !total,
                                        .sum = total && !g->no_sum ? g->v[0] : 0,
                                        .count = counts[0] + counts[1] + counts[2],
                                        .n_counts = MAX_BUCKETS,
                                        .counts = counts};
    classic_histogram_encode(&h, out);
}

struct columns_bufs {
    struct buf counters;
    struct buf gauges;
    struct buf exp;
    struct buf classic;
};

static void series_put(struct columns_bufs *b, const struct given *g)
{
    switch (g->kind) {
    case SERIES_COUNTER:
        buf_put(&b->counters, g->v, COUNTER_COLUMNS * sizeof g->v[0]);
        break;
    case SERIES_GAUGE:
        buf_put(&b->gauges, g->v, GAUGE_COLUMNS * sizeof g->v[0]);
        break;
    case SERIES_EXP_HISTOGRAM:
        exp_put(&b->exp, g->v[0], g->counts[0]);
        exp_put(&b->exp, 0.5, 1);
        buf_u8(&b->exp, 0);
        break;
    case SERIES_CLASSIC_HISTOGRAM:
        classic_put(&b->classic, g, true);
        classic_put(&b->classic, g, false);
        classic_put(&b->classic, g, false);
        break;
    }
}

/* cut: so many bytes of the counters are left out. */
static void row_add(struct world *w, const struct given_row *given, size_t cut)
{
    static const struct label label = {SLICE_LITERAL("a"), SLICE_LITERAL("b")};
    struct err e = ERR_INIT;
    struct arena a;
    struct series series[MAX_SERIES];
    const struct series *order[MAX_SERIES];
    uint32_t samples[MAX_SERIES];
    int64_t last_ms[MAX_SERIES];
    uint32_t ended[MAX_SERIES];
    struct columns_bufs b;
    struct buf shape;
    struct buf record;
    struct buf *bufs[] = {&b.counters, &b.gauges, &b.exp, &b.classic, &shape, &record};
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) {
        buf_init(bufs[i], 1 << 20);
    }
    struct rollup r = {.kind = given->kind,
                       .tenant = SLICE_LITERAL("demo"),
                       .class = CLASS_STANDARD,
                       .source = 7,
                       .window_ms = given->window_ms,
                       .end_ms = T,
                       .closed_at = 3,
                       .samples = samples,
                       .last_ms = last_ms,
                       .ended = ended};
    for (; r.n_series < MAX_SERIES && given->series[r.n_series].metric != NULL; r.n_series++) {
        const struct given *g = &given->series[r.n_series];
        series[r.n_series] = (struct series){.metric = slice_str(g->metric),
                                             .kind = g->kind,
                                             .delta = g->delta,
                                             .n_labels = 1,
                                             .labels = &label};
        if (g->kind == SERIES_CLASSIC_HISTOGRAM) {
            series[r.n_series].n_bounds = 2;
            series[r.n_series].bounds = bounds;
        }
        order[r.n_series] = &series[r.n_series];
        samples[r.n_series] = g->samples;
        last_ms[r.n_series] = g->samples > 0 ? T - 1000 : 0;
        if (g->ended) {
            ended[r.n_ended++] = r.n_series;
        }
        series_put(&b, g);
    }
    if (r.n_series > 0) {
        ck_assert_msg(shape_encode(SLICE_LITERAL("gs-1"), order, r.n_series, &a, &shape, &e), "%s",
                      e.text);
    }
    r.shape = buf_slice(&shape);
    r.counters = buf_slice(&b.counters);
    r.counters.len -= cut;
    r.gauges = buf_slice(&b.gauges);
    r.exp = buf_slice(&b.exp);
    r.classic = buf_slice(&b.classic);
    rollup_encode(&r, &record);
    world_add(w, buf_slice(&record));
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) {
        ck_assert(buf_ok(bufs[i]));
        buf_fini(bufs[i]);
    }
    arena_fini(&a);
}

/* --- the wire as text --- */

static void line_put(struct buf *out, const Prometheus__TimeSeries *ts)
{
    const char *name = "";
    struct buf labels;
    buf_init(&labels, LINE_BYTES);
    for (size_t i = 0; i < ts->n_labels; i++) {
        if (strcmp(ts->labels[i]->name, "__name__") == 0) {
            name = ts->labels[i]->value;
        } else {
            buf_printf(&labels, "%s%s=%s", labels.len == 0 ? "" : ",", ts->labels[i]->name,
                       ts->labels[i]->value);
        }
    }
    buf_printf(out, "%s{%.*s} ", name, SLICE_ARG(buf_slice(&labels)));
    buf_fini(&labels);
    if (ts->n_samples == 1) {
        double v = ts->samples[0]->value;
        buf_printf(out, double_is_stale(v) ? "stale" : "%g", v);
    } else if (double_is_stale(ts->histograms[0]->sum)) {
        buf_printf(out, "stale histogram");
    } else {
        const Prometheus__Histogram *h = ts->histograms[0];
        buf_printf(out, "%" PRIu64 " of sum %g, schema %d", h->count_int, h->sum, h->schema);
    }
    buf_printf(out, " @%+" PRId64 "\n", store_time(ts) - T);
}

static void sent_put(struct buf *out, const struct flight *f)
{
    Prometheus__WriteRequest *request = store_decode(slice_of(f->body, f->n_body));
    for (size_t i = 0; i < request->n_timeseries; i++) {
        line_put(out, request->timeseries[i]);
    }
    prometheus__write_request__free_unpacked(request, NULL);
}

/* All that is sent until nothing is left. */
static void sent_run(struct world *w, struct buf *out)
{
    while (w->next < w->n_records) {
        world_take(w);
    }
    for (int i = 0; i < 1000 && !sender_is_idle(amp_sender(w->amp)); i++) {
        world_turn(w);
        for (uint32_t s = 0; s < MAX_SHARDS; s++) {
            if (w->flights[s].busy) {
                sent_put(out, &w->flights[s]);
                world_serve(w, s);
            }
        }
        world_pass(w, 50);
    }
    ck_assert(sender_is_idle(amp_sender(w->amp)));
    for (size_t i = 0; i < w->n_records; i++) {
        ck_assert(w->released[i]);
        ck_assert_uint_eq(w->n_holds[i], 0);
    }
}

static struct world *rows_world(uint32_t columns, bool plain)
{
    struct world *w = world_new(&usual, 1);
    amp_free(w->amp);
    metrics_free(w->metrics);
    world_boot_rows(w, &usual, &(struct rows_options){.columns = columns, .plain = plain});
    return w;
}

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

/* --- repeats --- */

#define MINUTE INT64_C(60000)

static const struct given_row hour = {
    .window_ms = 60 * MINUTE,
    .series = {
        {.metric = "gone_total", .kind = SERIES_COUNTER, .samples = 9, .ended = true, .v = {3, 1, 3}},
        {.metric = "hits_total", .kind = SERIES_COUNTER, .samples = 9, .v = {7, 2, 1007}},
        {.metric = "players", .kind = SERIES_GAUGE, .samples = 3, .v = {9, 1, 5, 3}},
        {.metric = "tick", .kind = SERIES_EXP_HISTOGRAM, .samples = 1, .v = {4.5}, .counts = {3}}}};

static struct world *repeats_world(const char *topic)
{
    struct world *w = rows_world(RANGE, false);
    w->partition.topic = slice_str(topic);
    return w;
}

/* Minute by minute, until so long after the window's end. */
static void time_run(struct world *w, int64_t until_ms, struct buf *sent)
{
    while (w->now.wall_ms < until_ms + T) {
        amp_turn(w->amp, w->now);
        sent_run(w, sent);
        int64_t ms = (w->now.wall_ms / MINUTE + 1) * MINUTE - w->now.wall_ms;
        world_pass(w, ms);
    }
}

static void repeats_want(struct buf *want, int64_t from_ms, int64_t to_ms)
{
    for (int64_t t = from_ms; t <= to_ms; t += 5 * MINUTE) {
        buf_printf(want, "hits_total:1h{a=b} 7 @+%lld\n", (long long)t);
        buf_printf(want, "players:1h{a=b} 3 @+%lld\n", (long long)t);
        buf_printf(want, "tick:1h{a=b} 3 of sum 4.5, schema 2 @+%lld\n", (long long)t);
    }
}

static const char hour_itself[] = "gone_total:1h{a=b} 3 @+0\n"
                                  "hits_total:1h{a=b} 7 @+0\n"
                                  "players:1h{a=b} 3 @+0\n"
                                  "players:1h:min{a=b} 1 @+0\n"
                                  "players:1h:max{a=b} 5 @+0\n"
                                  "tick:1h{a=b} 3 of sum 4.5, schema 2 @+0\n"
                                  "gone_total:1h{a=b} stale @+1\n";

/* How the hour's row comes in: late_ms after its end. */
static const struct {
    const char *topic;
    int64_t late_ms;
    bool restored;      /* delivered before */
    bool dropped;       /* the partition goes half an hour later */
    int64_t to_ms;      /* the last repeat; 0: none */
} hours[] = {
    {"metrics.rollup.1h", 1 * MINUTE, false, false, 55 * MINUTE},
    {"metrics.rollup.1h", 17 * MINUTE, false, false, 55 * MINUTE},
    {"metrics.rollup.1h", 61 * MINUTE, false, false, 0},
    {"metrics.rollup.other", 1 * MINUTE, false, false, 0},
    {"metrics.rollup.1h", 17 * MINUTE, true, false, 55 * MINUTE},
    {"metrics.rollup.1h", 1 * MINUTE, false, true, 30 * MINUTE},
};

START_TEST(an_hour_is_repeated_until_the_next_is_due)
{
    struct err e = ERR_INIT;
    struct world *w = repeats_world(hours[_i].topic);
    struct buf sent;
    struct buf want;
    buf_init(&sent, 1 << 20);
    buf_init(&want, 1 << 20);
    w->now.wall_ms = T + hours[_i].late_ms;
    row_add(w, &hour, 0);
    if (hours[_i].restored) {
        const struct record r = {.partition = &w->old_partition, .value = w->records[0]};
        ck_assert(amp_restore(w->amp, &r, &w->partition, &e));
        w->next = w->n_records;
        w->released[0] = true;
    } else {
        buf_printf(&want, "%s", hour_itself);
    }
    if (hours[_i].dropped) {
        time_run(w, 31 * MINUTE, &sent);
        amp_drop(w->amp, &w->partition);
    }
    time_run(w, 130 * MINUTE, &sent);
    repeats_want(&want, 5 * MINUTE, hours[_i].to_ms);
    ck_assert_str_eq(buf_c_str(&sent), buf_c_str(&want));
    buf_fini(&sent);
    buf_fini(&want);
    world_free(w);
}
END_TEST

/* The next row takes the former one's place, be it that all have ended. */
START_TEST(the_next_row_ends_repeats)
{
    const struct given_row end = {
        .window_ms = 60 * MINUTE,
        .series = {{.metric = "hits_total", .kind = SERIES_COUNTER, .ended = true, .v = {7, 0, 7}}}};
    struct world *w = repeats_world("metrics.rollup.1h");
    struct buf sent;
    buf_init(&sent, 1 << 20);
    w->now.wall_ms = T + MINUTE;
    row_add(w, &hour, 0);
    time_run(w, 8 * MINUTE, &sent);
    row_add(w, &end, 0);
    time_run(w, 9 * MINUTE, &sent);
    buf_reset(&sent);
    time_run(w, 70 * MINUTE, &sent);
    ck_assert_uint_eq(sent.len, 0);
    buf_fini(&sent);
    world_free(w);
}
END_TEST

START_TEST(refused_repeats_are_no_dead_letters)
{
    const struct given_row refused = {
        .window_ms = 60 * MINUTE,
        .series = {{.metric = "metric_9", .kind = SERIES_COUNTER, .samples = 1, .v = {7, 0, 7}}}};
    struct world *w = repeats_world("metrics.rollup.1h");
    struct buf sent;
    buf_init(&sent, 1 << 20);
    w->now.wall_ms = T + MINUTE;
    row_add(w, &refused, 0);
    time_run(w, 70 * MINUTE, &sent);
    ck_assert_uint_eq(w->n_letters, 1);
    ck_assert_uint_gt(w->n_sends, 11);
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
    tcase_add_loop_test(c, an_hour_is_repeated_until_the_next_is_due, 0,
                        (int)(sizeof hours / sizeof hours[0]));
    tcase_add_test(c, the_next_row_ends_repeats);
    tcase_add_test(c, refused_repeats_are_no_dead_letters);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
