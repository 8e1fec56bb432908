#include "game_load.h"

#include <stdio.h>
#include <stdlib.h>

#include "batch/histogram.h"

enum {
    N_LABELS = 6,
    HISTOGRAM_EVERY = 10,
    N_BUCKETS = 40,
    NAME_BYTES = 48,
    INTERVAL_MS = 10000,
    JITTER_MS = 25
};

struct server {
    struct buf shape;
    double *values;   /* a scalar each */
    uint64_t *counts; /* of the histograms, N_BUCKETS each */
};

struct turn {
    int64_t ts_ms;
    unsigned server;
};

struct game_load {
    struct game_load_options options;
    struct server *servers;
    unsigned n_scalars;
    unsigned n_histograms;
    unsigned next; /* in order */
    unsigned scrape;
    struct turn *order; /* the servers of the scrape */
    int64_t offset;
    int64_t second;
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

/* Of loadgen's counters (loadgen/catalogue.c): each series grows by up to 2^bits a step. */
static const uint8_t rate_bits[] = {6, 3, 3,  1, 6,  6,  8,  8,  4,  3, 2, 7, 2, 3,
                                    7, 3, 10, 2, 13, 13, 30, 27, 20, 8, 7, 7, 16};

enum { GAUGE_EVERY = 20, N_RATES = sizeof rate_bits, STEADY_BITS = 13, FRACTION = 1024 };

static bool is_counter(unsigned metric)
{
    return metric % GAUGE_EVERY != 0;
}

/* As loadgen's model_counter: a rate of its own, with noise; one in 16 stands still. Times are sums
 * of 1/1,024 s. */
static double counter_value(uint64_t identity, unsigned metric, uint64_t step)
{
    unsigned bits = rate_bits[metric % N_RATES];
    uint64_t rate = (identity & 15) == 0 ? 0 : 1 + mixed(identity) % (UINT64_C(1) << bits);
    uint64_t noise = rate == 0 ? 0 : mixed(identity + step * UINT64_C(0x9e3779b97f4a7c15)) % rate;
    uint64_t value = rate * (identity >> 52) + rate * step + noise;
    return bits == STEADY_BITS ? (double)value / FRACTION : (double)value;
}

static double value_of(unsigned server, unsigned metric, uint64_t step)
{
    uint64_t identity = mixed((uint64_t)server * 100003 + metric);
    return is_counter(metric) ? counter_value(identity, metric, step)
                              : (double)(40 + mixed(identity + step) % 80);
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
    l->offset = -1;
    l->servers = calloc(o->n_servers, sizeof *l->servers);
    l->order = calloc(o->n_servers, sizeof *l->order);
    bool ok = l->servers != NULL && l->order != NULL;
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
    free(l->order);
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

static uint64_t seed_of(const struct game_load *l, unsigned server)
{
    return (uint64_t)server * 1000003 + l->scrape;
}

static int turn_cmp(const void *a, const void *b)
{
    const struct turn *x = a;
    const struct turn *y = b;
    return x->ts_ms != y->ts_ms ? (x->ts_ms < y->ts_ms ? -1 : 1)
                                : (x->server > y->server) - (x->server < y->server);
}

/* Each server has its own place within the interval, kept but for a few ms. */
static void turns_set(struct game_load *l)
{
    const struct game_load_options *o = &l->options;
    for (unsigned i = 0; i < o->n_servers; i++) {
        int64_t place = (int64_t)(mixed(i) % INTERVAL_MS + mixed(seed_of(l, i)) % JITTER_MS);
        l->order[i] = (struct turn){o->base_ms + (int64_t)l->scrape * INTERVAL_MS + place, i};
    }
    qsort(l->order, o->n_servers, sizeof *l->order, turn_cmp);
}

bool game_load_next(struct game_load *l, struct batch *out)
{
    const struct game_load_options *o = &l->options;
    if (l->next == 0 && l->scrape < o->n_scrapes) {
        turns_set(l);
    }
    if (l->scrape == o->n_scrapes) {
        return false;
    }
    const struct turn turn = l->order[l->next];
    struct server *s = &l->servers[turn.server];
    for (unsigned i = 0, scalar = 0; i < o->n_metrics; i++) {
        if (!is_histogram(l, i)) {
            s->values[scalar++] = value_of(turn.server, i, l->scrape);
        }
    }
    histograms_put(l, s, seed_of(l, turn.server));
    struct slice name = text(l->names, "gs-eu-central-", turn.server);
    *out = (struct batch){.tenant = SLICE_LITERAL("demo"),
                          .class = CLASS_STANDARD,
                          .source = source_id(SLICE_LITERAL("demo"), name),
                          .received_ms = turn.ts_ms + 40,
                          .origin = {.topic = SLICE_LITERAL("metrics.ingest")},
                          .shape = buf_slice(&s->shape),
                          .times = {.base_ms = turn.ts_ms},
                          .values = slice_of(s->values, l->n_scalars * sizeof *s->values),
                          .exp = buf_slice(&l->exp)};
    l->offset += 1 + (turn.ts_ms / 1000 != l->second);
    l->second = turn.ts_ms / 1000;
    l->next = (l->next + 1) % o->n_servers;
    l->scrape += l->next == 0;
    return true;
}

int64_t game_load_offset(const struct game_load *l)
{
    return l->offset;
}
