/* Rows of rollups for tests, and what of them goes over the wire: as text, a line per sample. */
#pragma once

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

static inline void exp_put(struct buf *out, double sum, uint64_t count)
{
    const struct histogram_span span = {1, 1};
    const struct exp_histogram h = {.schema = 2,
                                    .count = count,
                                    .sum = sum,
                                    .positive = {count > 0, count > 0, &span, &count}};
    exp_histogram_encode(&h, out);
}

static inline void classic_put(struct buf *out, const struct given *g, bool total)
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

static inline void series_put(struct columns_bufs *b, const struct given *g)
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
static inline void row_add(struct world *w, const struct given_row *given, size_t cut)
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

static inline void line_put(struct buf *out, const Prometheus__TimeSeries *ts)
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

static inline void sent_put(struct buf *out, const struct flight *f)
{
    Prometheus__WriteRequest *request = store_decode(slice_of(f->body, f->n_body));
    for (size_t i = 0; i < request->n_timeseries; i++) {
        line_put(out, request->timeseries[i]);
    }
    prometheus__write_request__free_unpacked(request, NULL);
}

/* All that is sent until nothing is left. */
static inline void sent_run(struct world *w, struct buf *out)
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

static inline struct world *rows_world(uint32_t columns, bool plain)
{
    struct world *w = world_new(&usual, 1);
    amp_free(w->amp);
    metrics_free(w->metrics);
    world_boot_rows(w, &usual, &(struct rows_options){.columns = columns, .plain = plain});
    return w;
}
