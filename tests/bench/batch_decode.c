/* How fast batches are read: 300 points each (30 metrics × 10 label sets of 6 labels; one metric in
 * ten an exponential histogram of 20 to 60 buckets a side), of thousands of game servers, each with
 * a shape of its own: batches and shapes lie far beyond the processor's caches.
 *   hit    batch_decode, known shape, columns checked, times, all values, histograms passed over
 *   exp    the same, and each histogram decoded
 *   miss   the same as hit, every shape decoded anew
 *   encode shape_encode and batch_encode */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "batch/batch.h"
#include "batch/histogram.h"

enum {
    N_METRICS = 30,
    N_SETS = 10,
    N_LABELS = 6,
    N_SERIES = N_METRICS * N_SETS,
    EXP_EVERY = 10,
    MAX_SIDE = 60,
    BUF_BYTES = 1 << 20,
};
static const int64_t base_ms = 1780000000000;
static const size_t cache_bytes = (size_t)4 << 30;
static const size_t small_cache_bytes = 256
                                        << 10; /* a few shapes: none stays until its next turn */

static const char *const label_names[N_LABELS] = {"game_mode", "map",    "platform",
                                                  "queue",     "region", "result"};
static const char *const label_values[N_LABELS][4] = {
    {"battle_royale", "team_deathmatch", "capture_the_flag", "duel"},
    {"frozen_harbour", "old_town", "desert_station", "orbital"},
    {"playstation", "windows", "xbox", "mobile"},
    {"ranked", "casual", "custom", "tournament"},
    {"eu-central-1", "us-east-1", "ap-northeast-1", "sa-east-1"},
    {"success", "timeout", "rejected", "error"},
};

static uint64_t random_state = 42;

static uint64_t random_next(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void check(bool ok, const struct err *e)
{
    if (!ok) {
        fprintf(stderr, "%s\n", e->text);
        exit(1);
    }
}

static void *or_exit(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

/* The series of every server; what tells the shapes apart are a label's value and the name. */
struct world {
    struct series series[N_SERIES];
    const struct series *order[N_SERIES];
    struct label labels[N_SETS][N_LABELS];
    char names[N_METRICS][64];
    char map[N_SETS][64];
    double values[N_SERIES];
    struct arena arena;
    struct buf shape;
    struct buf exp;
    struct buf out;
};

static int order_cmp(const void *a, const void *b)
{
    return series_cmp(*(const struct series *const *)a, *(const struct series *const *)b);
}

static void world_init(struct world *w)
{
    arena_init(&w->arena, 64 << 20);
    buf_init(&w->shape, BUF_BYTES);
    buf_init(&w->exp, BUF_BYTES);
    buf_init(&w->out, BUF_BYTES);
    for (size_t s = 0; s < N_SETS; s++) {
        for (size_t l = 0; l < N_LABELS; l++) {
            const char *value = label_values[l][(s >> (l % 3)) & 3];
            w->labels[s][l] = (struct label){slice_str(label_names[l]), slice_str(value)};
        }
    }
    for (size_t m = 0; m < N_METRICS; m++) {
        (void)snprintf(w->names[m], sizeof w->names[m], "game_server_matchmaking_step_%02zu", m);
        for (size_t s = 0; s < N_SETS; s++) {
            w->series[m * N_SETS + s] = (struct series){
                .metric = slice_str(w->names[m]),
                .unit = m % EXP_EVERY == 0 ? SLICE_LITERAL("ms") : SLICE_LITERAL(""),
                .kind = m % EXP_EVERY == 0 ? SERIES_EXP_HISTOGRAM : SERIES_COUNTER,
                .n_labels = N_LABELS,
                .labels = w->labels[s]};
            w->order[m * N_SETS + s] = &w->series[m * N_SETS + s];
        }
    }
}

static void put_histogram(struct buf *out)
{
    uint64_t counts[2][MAX_SIDE];
    struct histogram_span spans[2];
    struct exp_buckets sides[2];
    struct exp_histogram h = {
        .schema = 3, .sum = 1234.5, .zero_threshold = 1e-128, .zero_count = 3, .count = 3};
    for (size_t i = 0; i < 2; i++) {
        uint32_t n = 20 + (uint32_t)(random_next() % 41);
        spans[i] = (struct histogram_span){-12, n};
        for (uint32_t k = 0; k < n; k++) {
            counts[i][k] = random_next() % (random_next() % 2 == 0 ? 100 : 5000);
            h.count += counts[i][k];
        }
        sides[i] = (struct exp_buckets){1, n, &spans[i], counts[i]};
    }
    h.positive = sides[0];
    h.negative = sides[1];
    exp_histogram_encode(&h, out);
}

static void encode_shape(struct world *w, unsigned server)
{
    struct err e = ERR_INIT;
    char name[64];
    (void)snprintf(name, sizeof name, "game-server-%05u", server);
    for (size_t s = 0; s < N_SETS; s++) {
        (void)snprintf(w->map[s], sizeof w->map[s], "%s_%u", label_values[1][s & 3], server % 50);
        w->labels[s][1].value = slice_str(w->map[s]);
    }
    for (size_t i = 0; i < N_SERIES; i++) {
        w->order[i] = &w->series[i];
    }
    qsort(w->order, N_SERIES, sizeof w->order[0], order_cmp);
    arena_reset(&w->arena);
    buf_reset(&w->shape);
    check(shape_encode(slice_str(name), w->order, N_SERIES, &w->arena, &w->shape, &e), &e);
}

static void encode_batch(struct world *w, unsigned server)
{
    struct batch b = {.tenant = SLICE_LITERAL("demo"),
                      .class = CLASS_STANDARD,
                      .source = server,
                      .received_ms = base_ms + 5,
                      .origin = {.topic = SLICE_LITERAL("metrics.ingest"), .offset = server},
                      .shape = buf_slice(&w->shape),
                      .times = {.base_ms = base_ms},
                      .starts = {.base_ms = base_ms - server},
                      .exp = buf_slice(&w->exp)};
    size_t n_scalars = (N_METRICS - N_METRICS / EXP_EVERY) * N_SETS;
    b.values = slice_of(w->values, n_scalars * sizeof(double));
    buf_reset(&w->out);
    batch_encode(&b, &w->out);
}

static struct slice *build_batches(struct world *w, unsigned n_servers, size_t *n_bytes)
{
    struct slice *batches = or_exit(calloc(n_servers, sizeof *batches));
    for (unsigned s = 0; s < n_servers; s++) {
        encode_shape(w, s);
        buf_reset(&w->exp);
        for (size_t i = 0; i < N_SERIES; i++) {
            w->values[i] = (double)(random_next() % 1000000);
            if (w->order[i]->kind == SERIES_EXP_HISTOGRAM) {
                put_histogram(&w->exp);
            }
        }
        encode_batch(w, s);
        uint8_t *bytes = or_exit(malloc(w->out.len));
        memcpy(bytes, w->out.ptr, w->out.len);
        batches[s] = slice_of(bytes, w->out.len);
        *n_bytes += w->out.len;
    }
    return batches;
}

struct reader {
    struct shape_cache cache;
    struct arena arena;
    bool decode_exp;
    uint64_t n_points;
    double sum;
};

static void read_points(struct reader *r, const struct batch *b, const struct shape *s)
{
    static int64_t times[N_SERIES];
    struct err e = ERR_INIT;
    struct cursor exp = cursor_of(b->exp);
    check(batch_times_decode(&b->times, s->n_series, times, &e), &e);
    size_t n_values = 0;
    for (uint32_t i = 0; i < s->n_series; i++) {
        if (s->series[i].kind != SERIES_EXP_HISTOGRAM) {
            r->sum += batch_value(b, n_values++) + (double)(times[i] & 1);
        } else if (!r->decode_exp) {
            r->sum += (double)exp_histogram_skip(&exp).len;
        } else {
            struct exp_histogram h;
            check(exp_histogram_decode(&exp, MAX_SIDE, &r->arena, &h, &e), &e);
            r->sum += h.sum + (double)h.positive.counts[0];
        }
    }
    r->n_points += s->n_series;
}

static void read_all(struct reader *r, const struct slice *batches, unsigned n_servers)
{
    struct err e = ERR_INIT;
    for (unsigned i = 0; i < n_servers; i++) {
        struct batch b;
        struct cached_shape *cached;
        arena_reset(&r->arena);
        check(batch_decode(batches[i], &batch_default_caps, &r->arena, &b, &e), &e);
        check(shape_cache_get(&r->cache, b.tenant, b.shape, &cached, &e), &e);
        check(batch_check_shape(&b, &cached->shape, &e), &e);
        read_points(r, &b, &cached->shape);
    }
}

struct rate {
    double samples_per_s;
    double cpu_s_per_million;
    size_t shape_bytes;
};

static struct rate rate_of(int64_t wall_ns, int64_t cpu_ns, uint64_t n)
{
    return (struct rate){.samples_per_s = (double)n * 1e9 / (double)(clock_mono_ns() - wall_ns),
                         .cpu_s_per_million = (double)(clock_cpu_ns() - cpu_ns) / 1e3 / (double)n};
}

static struct rate measure_read(const struct slice *batches, unsigned n_servers, unsigned n_rounds,
                                size_t max_cache_bytes, bool decode_exp)
{
    struct reader r = {.decode_exp = decode_exp};
    arena_init(&r.arena, 16 << 20);
    shape_cache_init(&r.cache, max_cache_bytes, &shape_default_caps, NULL);
    read_all(&r, batches, n_servers); /* learns the shapes */
    uint64_t n_learnt = r.n_points;
    uint64_t n_hits = r.cache.n_hits;
    int64_t wall_ns = clock_mono_ns();
    int64_t cpu_ns = clock_cpu_ns();
    for (unsigned i = 0; i < n_rounds; i++) {
        read_all(&r, batches, n_servers);
    }
    struct rate rate = rate_of(wall_ns, cpu_ns, r.n_points - n_learnt);
    bool all_hit = r.cache.n_hits - n_hits == (uint64_t)n_rounds * n_servers;
    bool none_hit = r.cache.n_hits == 0;
    if (!(max_cache_bytes == cache_bytes ? all_hit : none_hit)) {
        fprintf(stderr, "the cache did not do what was to be measured\n");
        exit(1);
    }
    rate.shape_bytes = r.cache.table.cost_bytes / (r.cache.table.n == 0 ? 1 : r.cache.table.n);
    shape_cache_fini(&r.cache);
    arena_fini(&r.arena);
    return rate;
}

static struct rate measure_encode(struct world *w, unsigned n_servers)
{
    struct err e = ERR_INIT;
    int64_t wall_ns = clock_mono_ns();
    int64_t cpu_ns = clock_cpu_ns();
    for (unsigned s = 0; s < n_servers; s++) { /* the last server's, whose order is there */
        arena_reset(&w->arena);
        buf_reset(&w->shape);
        check(shape_encode(SLICE_LITERAL("game-server"), w->order, N_SERIES, &w->arena, &w->shape,
                           &e),
              &e);
        encode_batch(w, s);
    }
    return rate_of(wall_ns, cpu_ns, (uint64_t)n_servers * N_SERIES);
}

static void print_rate(const char *name, const struct rate *r, const char *end)
{
    printf("\"%s\": {\"samples_per_s\": %.0f, \"cpu_s_per_million\": %.4f}%s", name,
           r->samples_per_s, r->cpu_s_per_million, end);
}

int main(int argc, char **argv)
{
    unsigned n_servers = 4000;
    unsigned n_rounds = 10;
    bool json = false;
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"servers", required_argument, NULL, 's'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "js:r:", options, NULL)) != -1;) {
        if (c == 'j') {
            json = true;
        } else if (c == 's' || c == 'r') {
            unsigned n = (unsigned)strtoul(optarg, NULL, 10);
            *(c == 's' ? &n_servers : &n_rounds) = n == 0 ? 1 : n;
        } else {
            return 2;
        }
    }
    static struct world w;
    size_t n_bytes = 0;
    world_init(&w);
    struct slice *batches = build_batches(&w, n_servers, &n_bytes);
    struct rate hit = measure_read(batches, n_servers, n_rounds, cache_bytes, false);
    struct rate exp = measure_read(batches, n_servers, n_rounds, cache_bytes, true);
    struct rate miss = measure_read(batches, n_servers, 1 + n_rounds / 4, small_cache_bytes, false);
    struct rate encode = measure_encode(&w, n_servers);
    if (json) {
        printf("{\"bench\": \"batch_decode\", \"servers\": %u, \"batch_bytes\": %zu, "
               "\"cached_shape_bytes\": %zu, ",
               n_servers, n_bytes / n_servers, hit.shape_bytes);
        print_rate("hit", &hit, ", ");
        print_rate("hit_exp_decoded", &exp, ", ");
        print_rate("miss", &miss, ", ");
        print_rate("encode", &encode, "}\n");
    } else {
        printf("batch_decode: %.1f M samples/s, %.4f CPU-s per million (goal: 20 M/s); with "
               "histograms decoded %.1f "
               "M/s; all misses %.2f M/s, %.3f CPU-s (goal: 1.5 M/s); encode %.1f M/s; %u servers, "
               "batches of %zu "
               "bytes, %zu bytes per cached shape\n",
               hit.samples_per_s / 1e6, hit.cpu_s_per_million, exp.samples_per_s / 1e6,
               miss.samples_per_s / 1e6, miss.cpu_s_per_million, encode.samples_per_s / 1e6,
               n_servers, n_bytes / n_servers, hit.shape_bytes);
    }
    for (unsigned s = 0; s < n_servers; s++) {
        free((void *)(uintptr_t)batches[s].ptr);
    }
    free(batches);
    arena_fini(&w.arena);
    buf_fini(&w.shape);
    buf_fini(&w.exp);
    buf_fini(&w.out);
    return 0;
}
