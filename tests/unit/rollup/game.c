#include "game.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch/histogram.h"

enum { N_BUCKETS = 12, N_BOUNDS = 3 };

struct server {
    char name[16];
    uint64_t source;
    double values[N_SERIES];
    uint64_t buckets[N_SERIES][N_BUCKETS];
    int64_t start_ms;
    int64_t silent_until_ms;
    int64_t skew_ms;
    int32_t schema;
    bool has_two_classes;
};

uint64_t game_draw(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double game_chance(uint64_t *seed)
{
    return (double)(game_draw(seed) >> 11) / 9007199254740992.0;
}

static int64_t choose(uint64_t *seed, const int64_t *values, size_t n)
{
    return values[game_draw(seed) % n];
}
#define CHOOSE(seed, ...)                                                                          \
    choose((seed), (const int64_t[]){__VA_ARGS__},                                                 \
           sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* Kinds by series: counters, a delta counter, a gauge, histograms of both kinds and temporalities.
 */
static const struct {
    enum series_kind kind;
    bool delta;
} kinds[N_SERIES] = {
    {SERIES_COUNTER, false},           {SERIES_COUNTER, false},          {SERIES_COUNTER, true},
    {SERIES_EXP_HISTOGRAM, false},     {SERIES_EXP_HISTOGRAM, true},     {SERIES_GAUGE, false},
    {SERIES_CLASSIC_HISTOGRAM, false}, {SERIES_CLASSIC_HISTOGRAM, true}, {SERIES_COUNTER, false},
};
static const double bounds[N_BOUNDS] = {1, 2, 4};
static struct label labels[1];
static char metric_names[N_SERIES][8];

static void series_make(struct series *out)
{
    labels[0] = (struct label){SLICE_LITERAL("region"), SLICE_LITERAL("eu")};
    for (int i = 0; i < N_SERIES; i++) {
        (void)snprintf(metric_names[i], sizeof metric_names[i], "m%d", i);
        bool is_classic = kinds[i].kind == SERIES_CLASSIC_HISTOGRAM;
        out[i] = (struct series){.metric = slice_str(metric_names[i]),
                                 .unit = SLICE_LITERAL(""),
                                 .kind = kinds[i].kind,
                                 .delta = kinds[i].delta,
                                 .n_labels = 1,
                                 .labels = labels,
                                 .n_bounds = is_classic ? N_BOUNDS : 0,
                                 .bounds = is_classic ? bounds : NULL};
    }
}

static double stale_value(void)
{
    double v;
    memcpy(&v, &stale_marker_bits, sizeof v);
    return v;
}

static void server_reset(struct server *s, int i, uint64_t *seed, int64_t now_ms)
{
    s->values[i] = game_chance(seed);
    memset(s->buckets[i], 0, sizeof s->buckets[i]);
    if (game_chance(seed) < 0.5) {
        s->start_ms = now_ms;
    }
}

static void server_grow(struct server *s, int i, uint64_t *seed)
{
    s->values[i] = kinds[i].delta ? game_chance(seed) : s->values[i] + game_chance(seed) * 10;
    if (kinds[i].delta) {
        memset(s->buckets[i], 0, sizeof s->buckets[i]);
    }
    for (int k = 0; k < 3; k++) {
        s->buckets[i][game_draw(seed) % N_BUCKETS] += game_draw(seed) % 5;
    }
}

static void exp_put(const struct server *s, int i, bool is_stale, struct buf *out)
{
    struct histogram_span span = {s->schema - 3, N_BUCKETS};
    struct exp_histogram h = {.schema = s->schema, .sum = s->values[i]};
    if (is_stale) {
        h.sum = stale_value();
    } else {
        h.positive = (struct exp_buckets){1, N_BUCKETS, &span, s->buckets[i]};
        for (int k = 0; k < N_BUCKETS; k++) {
            h.count += s->buckets[i][k];
        }
    }
    exp_histogram_encode(&h, out);
}

static void classic_put(const struct server *s, int i, bool is_stale, struct buf *out)
{
    struct classic_histogram h = {.has_sum = true,
                                  .stale = is_stale,
                                  .sum = s->values[i],
                                  .n_counts = N_BOUNDS + 1,
                                  .counts = s->buckets[i]};
    for (int k = 0; k <= N_BOUNDS; k++) {
        h.count += s->buckets[i][k];
    }
    classic_histogram_encode(&h, out);
}

struct points {
    const struct series *series[N_SERIES];
    int numbers[N_SERIES];
    uint32_t n;
};

static void points_choose(uint64_t *seed, const struct series *all, struct points *out)
{
    bool takes_all = game_chance(seed) < 0.4;
    out->n = 0;
    for (int i = 0; i < N_SERIES; i++) {
        if (takes_all || game_chance(seed) < 0.5) {
            out->numbers[out->n] = i;
            out->series[out->n++] = &all[i];
        }
    }
    if (out->n == 0) {
        out->numbers[0] = 0;
        out->series[out->n++] = &all[0];
    }
}

static void values_put(struct server *s, const struct points *p, uint64_t *seed, int64_t now_ms,
                       struct buf *values, struct buf *exp, struct buf *classic)
{
    for (uint32_t k = 0; k < p->n; k++) {
        int i = p->numbers[k];
        bool is_stale = game_chance(seed) < 0.01;
        if (game_chance(seed) < 0.02) {
            server_reset(s, i, seed, now_ms);
        }
        server_grow(s, i, seed);
        double chance = game_chance(seed);
        double v = is_stale         ? stale_value()
                   : chance < 0.003 ? (double)NAN
                   : chance < 0.006 ? (double)INFINITY
                                    : s->values[i];
        switch (kinds[i].kind) {
        case SERIES_EXP_HISTOGRAM:
            exp_put(s, i, is_stale, exp);
            break;
        case SERIES_CLASSIC_HISTOGRAM:
            classic_put(s, i, is_stale, classic);
            break;
        case SERIES_COUNTER:
        case SERIES_GAUGE:
            buf_double(values, v);
            break;
        }
    }
}

static void record_make(struct server *s, const struct points *p, uint64_t *seed, int64_t now_ms,
                        int64_t received_ms, struct buf *out)
{
    struct buf columns[4];
    struct arena a;
    struct err e = ERR_INIT;
    int64_t deltas[N_SERIES] = {0};
    arena_init(&a, 1 << 20);
    for (int i = 0; i < 4; i++) {
        buf_init(&columns[i], 1 << 20);
    }
    if (!shape_encode(slice_str(s->name), p->series, p->n, &a, &columns[0], &e)) {
        abort();
    }
    values_put(s, p, seed, now_ms, &columns[1], &columns[2], &columns[3]);
    int64_t late_s = CHOOSE(seed, 0, 0, 0, 0, 0, 0, 1, 5, 20, 70, 200, 400, 3000, 12000, 12000);
    bool is_apart = game_chance(seed) < 0.15;
    bool is_verbose = s->has_two_classes && game_chance(seed) < 0.5;
    for (uint32_t i = 0; i < p->n; i++) {
        deltas[i] = CHOOSE(seed, 0, 0, -1000, -20000, -90000, 30000);
    }
    const struct batch b = {.tenant = SLICE_LITERAL("demo"),
                            .class = is_verbose ? CLASS_VERBOSE : CLASS_STANDARD,
                            .source = s->source,
                            .received_ms = received_ms,
                            .origin = {.topic = SLICE_LITERAL("metrics.ingest.demo")},
                            .shape = buf_slice(&columns[0]),
                            .times = {.base_ms = now_ms + s->skew_ms - late_s * 1000,
                                      .n_deltas = is_apart ? p->n : 0,
                                      .deltas = deltas},
                            .starts = {.base_ms = s->start_ms},
                            .values = buf_slice(&columns[1]),
                            .exp = buf_slice(&columns[2]),
                            .classic = buf_slice(&columns[3])};
    batch_encode(&b, out);
    for (int i = 0; i < 4; i++) {
        buf_fini(&columns[i]);
    }
    arena_fini(&a);
}

static void servers_make(uint64_t *seed, int64_t now_ms, struct server *servers)
{
    for (int i = 0; i < N_SERVERS; i++) {
        struct server *s = &servers[i];
        *s = (struct server){.start_ms = now_ms - CHOOSE(seed, 0, 5000000),
                             .skew_ms = CHOOSE(seed, 0, 0, 0, -40000, 30000, 600000),
                             .schema = (int32_t)CHOOSE(seed, 1, 2, 3),
                             .has_two_classes = i % 2 == 0};
        (void)snprintf(s->name, sizeof s->name, "server-%d", i);
        s->source = source_id(SLICE_LITERAL("demo"), slice_str(s->name));
    }
}

void game_make(uint64_t seed, size_t n, struct game_log *out)
{
    struct series all[N_SERIES];
    struct server servers[N_SERVERS];
    int64_t now_ms = INT64_C(1700000000000);
    double jumps = (double)CHOOSE(&seed, 5, 10, 50, 50) / 1000;
    struct buf b;
    series_make(all);
    servers_make(&seed, now_ms, servers);
    buf_init(&b, 1 << 20);
    out->records = calloc(n, sizeof *out->records);
    out->n = n;
    for (size_t i = 0; i < n; i++) {
        now_ms += CHOOSE(&seed, 0, 1000, 2000, 3000);
        if (game_chance(&seed) < jumps) {
            now_ms += CHOOSE(&seed, 100000, 200000, 1000000, 4000000);
        }
        struct server *s = &servers[game_draw(&seed) % N_SERVERS];
        if (game_chance(&seed) < 0.006) {
            s->silent_until_ms = now_ms + CHOOSE(&seed, 100000, 300000, 1500000, 9000000, 9000000);
        }
        if (game_chance(&seed) < 0.01) {
            s->schema = (int32_t)CHOOSE(&seed, 1, 2, 3);
            memset(s->buckets, 0, sizeof s->buckets);
        }
        int64_t received_ms = now_ms - CHOOSE(&seed, 0, 0, 5000);
        buf_reset(&b);
        if (s->silent_until_ms > now_ms) {
            const struct batch heartbeat = {.received_ms = received_ms};
            batch_encode(&heartbeat, &b);
        } else {
            struct points p;
            points_choose(&seed, all, &p);
            record_make(s, &p, &seed, now_ms, received_ms, &b);
        }
        struct game_record *r = &out->records[i];
        *r = (struct game_record){(int64_t)(2 * i + 3), received_ms, b.len, malloc(b.len)};
        memcpy(r->bytes, b.ptr, b.len);
    }
    buf_fini(&b);
}

void game_free(struct game_log *g)
{
    for (size_t i = 0; i < g->n; i++) {
        free(g->records[i].bytes);
    }
    free(g->records);
}
