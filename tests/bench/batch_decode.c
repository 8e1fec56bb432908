/* How fast the batches of a fleet (fleet.h) are read.
 *   hit    batch_decode, known shape, columns checked, times, all values, histograms passed over
 *   exp    the same, and each histogram decoded
 *   miss   the same as hit, every shape decoded anew
 *   encode shape_encode and batch_encode */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "batch/histogram.h"
#include "fleet.h"
#include "fleet_options.h"

static const size_t cache_bytes = (size_t)4 << 30;
static const size_t small_cache_bytes = 256
                                        << 10; /* a few shapes: none stays until its next turn */

struct reader {
    struct shape_cache cache;
    struct arena arena;
    bool decode_exp;
    uint64_t n_points;
    double sum;
};

static void read_points(struct reader *r, const struct batch *b, const struct shape *s)
{
    static int64_t times[FLEET_SERIES];
    struct err e = ERR_INIT;
    struct cursor exp = cursor_of(b->exp);
    bench_check(batch_times_decode(&b->times, s->n_series, times, &e), &e);
    size_t n_values = 0;
    for (uint32_t i = 0; i < s->n_series; i++) {
        if (s->series[i].kind != SERIES_EXP_HISTOGRAM) {
            r->sum += batch_value(b, n_values++) + (double)(times[i] & 1);
        } else if (!r->decode_exp) {
            r->sum += (double)exp_histogram_skip(&exp).len;
        } else {
            struct exp_histogram h;
            bench_check(exp_histogram_decode(&exp, FLEET_MAX_SIDE, &r->arena, &h, &e), &e);
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
        bench_check(batch_decode(batches[i], &batch_default_caps, &r->arena, &b, &e), &e);
        bench_check(shape_cache_get(&r->cache, b.tenant, b.shape, &cached, &e), &e);
        bench_check(batch_check_shape(&b, &cached->shape, &e), &e);
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

static struct rate measure_encode(struct fleet *f, unsigned n_servers)
{
    int64_t wall_ns = clock_mono_ns();
    int64_t cpu_ns = clock_cpu_ns();
    for (unsigned s = 0; s < n_servers; s++) { /* the last server's, whose order is there */
        fleet_encode_shape(f);
        (void)fleet_encode_batch(f, fleet_base_ms, s);
    }
    return rate_of(wall_ns, cpu_ns, (uint64_t)n_servers * FLEET_SERIES);
}

static void print_rate(const char *name, const struct rate *r, const char *end)
{
    printf("\"%s\": {\"samples_per_s\": %.0f, \"cpu_s_per_million\": %.4f}%s", name,
           r->samples_per_s, r->cpu_s_per_million, end);
}

int main(int argc, char **argv)
{
    struct fleet_options o = {.n_servers = 4000, .n_rounds = 10};
    if (!fleet_options_read(argc, argv, &o)) {
        return 2;
    }
    static struct fleet f;
    size_t n_bytes = 0;
    fleet_init(&f);
    struct slice *batches = fleet_batches(&f, o.n_servers, &n_bytes);
    struct rate hit = measure_read(batches, o.n_servers, o.n_rounds, cache_bytes, false);
    struct rate exp = measure_read(batches, o.n_servers, o.n_rounds, cache_bytes, true);
    struct rate miss = measure_read(batches, o.n_servers, 1 + o.n_rounds / 4, small_cache_bytes, false);
    struct rate encode = measure_encode(&f, o.n_servers);
    if (o.json) {
        printf("{\"bench\": \"batch_decode\", \"servers\": %u, \"batch_bytes\": %zu, "
               "\"cached_shape_bytes\": %zu, ",
               o.n_servers, n_bytes / o.n_servers, hit.shape_bytes);
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
               o.n_servers, n_bytes / o.n_servers, hit.shape_bytes);
    }
    fleet_batches_free(batches, o.n_servers);
    fleet_fini(&f);
    return 0;
}
