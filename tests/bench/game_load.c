#include "game_load.h"

#include <stdio.h>
#include <stdlib.h>

#include "batch/histogram.h"

enum { N_LABELS = 6, HISTOGRAM_EVERY = 10, N_BUCKETS = 40, NAME_BYTES = 48, INTERVAL_MS = 10000 };

struct server {
    struct buf shape;
    double *values;   /* a scalar each */
    uint64_t *counts; /* of the histograms, N_BUCKETS each */
};

struct game_load {
    struct game_load_options options;
    struct server *servers;
    unsigned n_scalars;
    unsigned n_histograms;
    unsigned server;
    unsigned scrape;
    struct buf exp;
    char names[NAME_BYTES]; /* of the server at hand */
};

/* A good mix of a number: the same samples in each run. */
static uint64_t mixed(uint64_t v)
{
    v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
    return v ^ v >> 31;
}

static bool is_histogram(const struct game_load *l, unsigned metric)
{
    return l->options.histograms && metric % HISTOGRAM_EVERY == HISTOGRAM_EVERY - 1;
}

static bool is_counter(unsigned metric)
{
    return metric % 4 < 2;
}

static double value_next(double before, unsigned metric, uint64_t random)
{
    switch (metric % 4) {
    case 0:
        return before + (double)(random % 50);
    case 1:
        return before + (random % 20 == 0 ? 1 : 0);
    case 2:
        return (double)(random % 120);
    default:
        return before + ((double)(random % 2001) - 1000) / 1e3;
    }
}

static struct slice text(char *room, const char *prefix, unsigned n)
{
    (void)snprintf(room, NAME_BYTES, "%s%03u", prefix, n);
    return slice_str(room);
}

static bool shape_make(struct game_load *l, unsigned server, struct buf *out)
{
    static const char *const label_names[N_LABELS] = {"az",    "build_id", "instance_type",
                                                      "queue", "region",   "shard_id"};
    struct arena a;
    struct err e = ERR_INIT;
    unsigned n = l->options.n_metrics;
    arena_init(&a, 256 << 20);
    struct series *series = ARENA_ARRAY(&a, struct series, n);
    struct label *labels = ARENA_ARRAY(&a, struct label, (size_t)n * N_LABELS);
    const struct series **order = ARENA_ARRAY(&a, const struct series *, n);
    char(*rooms)[NAME_BYTES] = arena_alloc(&a, ((size_t)n * 2 + 3) * NAME_BYTES);
    bool ok = series != NULL && labels != NULL && order != NULL && rooms != NULL;
    for (unsigned i = 0; ok && i < n; i++) {
        struct label *own = labels + (size_t)i * N_LABELS;
        struct slice values[N_LABELS] = {text(rooms[0], "eu-central-1", server % 3),
                                         text(rooms[1], "build-2026-11-", server % 5),
                                         SLICE_LITERAL("c7g.2xlarge"),
                                         text(rooms[3 + 2 * i], "ranked-solo-", (server + i) % 10),
                                         SLICE_LITERAL("eu-central-1"),
                                         text(rooms[2], "gs-eu-central-", server)};
        for (unsigned k = 0; k < N_LABELS; k++) {
            own[k] = (struct label){slice_str(label_names[k]), values[k]};
        }
        series[i] =
            (struct series){.metric = text(rooms[4 + 2 * i], "game_matchmaking_players_total_", i),
                            .unit = SLICE_LITERAL("1"),
                            .kind = is_histogram(l, i) ? SERIES_EXP_HISTOGRAM
                                    : is_counter(i)    ? SERIES_COUNTER
                                                       : SERIES_GAUGE,
                            .n_labels = N_LABELS,
                            .labels = own};
        order[i] = &series[i];
    }
    ok = ok && shape_encode(text(rooms[2], "gs-eu-central-", server), order, n, &a, out, &e) &&
         buf_ok(out);
    arena_fini(&a);
    return ok;
}

static bool server_init(struct game_load *l, unsigned server)
{
    struct server *s = &l->servers[server];
    buf_init(&s->shape, 64 << 20);
    s->values = calloc(l->n_scalars + 1, sizeof *s->values);
    s->counts = calloc((size_t)l->n_histograms * N_BUCKETS + 1, sizeof *s->counts);
    for (unsigned i = 0; i < l->n_scalars && s->values != NULL; i++) {
        s->values[i] = (double)(mixed((uint64_t)server * 100003 + i) % 100000);
    }
    return s->values != NULL && s->counts != NULL && shape_make(l, server, &s->shape);
}

struct game_load *game_load_new(const struct game_load_options *o)
{
    struct game_load *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->options = *o;
    buf_init(&l->exp, 64 << 20);
    for (unsigned i = 0; i < o->n_metrics; i++) {
        l->n_histograms += is_histogram(l, i);
    }
    l->n_scalars = o->n_metrics - l->n_histograms;
    l->servers = calloc(o->n_servers, sizeof *l->servers);
    bool ok = l->servers != NULL;
    for (unsigned i = 0; i < o->n_servers && ok; i++) {
        ok = server_init(l, i);
    }
    if (!ok) {
        game_load_free(l);
        return NULL;
    }
    return l;
}

void game_load_free(struct game_load *l)
{
    if (l == NULL) {
        return;
    }
    for (unsigned i = 0; i < l->options.n_servers && l->servers != NULL; i++) {
        buf_fini(&l->servers[i].shape);
        free(l->servers[i].values);
        free(l->servers[i].counts);
    }
    free(l->servers);
    buf_fini(&l->exp);
    free(l);
}

static void histograms_put(struct game_load *l, struct server *s, uint64_t seed)
{
    buf_reset(&l->exp);
    for (unsigned i = 0; i < l->n_histograms; i++) {
        uint64_t *counts = s->counts + (size_t)i * N_BUCKETS;
        struct histogram_span span = {-12, N_BUCKETS};
        struct exp_histogram h = {.schema = 3, .zero_threshold = 1e-128};
        for (unsigned k = 0; k < N_BUCKETS; k++) {
            uint64_t random = mixed(seed ^ (i * N_BUCKETS + k) * UINT64_C(0x9e3779b9));
            counts[k] += random % 8 == 0 ? random >> 8 & 7 : 0;
            h.count += counts[k];
        }
        h.sum = (double)h.count * 1.25;
        h.positive = (struct exp_buckets){1, N_BUCKETS, &span, counts};
        exp_histogram_encode(&h, &l->exp);
    }
}

bool game_load_next(struct game_load *l, struct batch *out)
{
    const struct game_load_options *o = &l->options;
    if (l->scrape == o->n_scrapes) {
        return false;
    }
    struct server *s = &l->servers[l->server];
    uint64_t seed = (uint64_t)l->server * 1000003 + l->scrape;
    for (unsigned i = 0, scalar = 0; i < o->n_metrics; i++) {
        if (!is_histogram(l, i)) {
            s->values[scalar] = value_next(s->values[scalar], i, mixed(seed * 1009 + i));
            scalar++;
        }
    }
    histograms_put(l, s, seed);
    struct slice name = text(l->names, "gs-eu-central-", l->server);
    int64_t ts = o->base_ms + (int64_t)l->scrape * INTERVAL_MS +
                 (int64_t)(mixed(l->server) % INTERVAL_MS + mixed(seed) % 25);
    *out = (struct batch){.tenant = SLICE_LITERAL("demo"),
                          .class = CLASS_STANDARD,
                          .source = source_id(SLICE_LITERAL("demo"), name),
                          .received_ms = ts + 40,
                          .origin = {.topic = SLICE_LITERAL("metrics.ingest")},
                          .shape = buf_slice(&s->shape),
                          .times = {.base_ms = ts},
                          .values = slice_of(s->values, l->n_scalars * sizeof *s->values),
                          .exp = buf_slice(&l->exp)};
    l->server++;
    if (l->server == o->n_servers) {
        l->server = 0;
        l->scrape++;
    }
    return true;
}
