/* What a rollup does with a point of an exponential histogram: reads it packed, looks for a reset,
 * takes the increase from the last one, and merges it into a total. N_SERIES series, so that memory
 * counts; 40 buckets a point.
 * Per second of CPU.
 *   point   all of that
 *   merge   total + increase alone, both decoded
 *   lower   the same, one of the two of a higher schema */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "batch/histogram_math.h"

enum { N_SERIES = 4096, N_BUCKETS = 40, MAX_BUCKETS = 160, MIN_NS = 1000000000 };

struct series {
    uint64_t counts[N_BUCKETS];
    struct slice before;
    struct slice now;
};

static uint64_t random_state = 42;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(random_state >> 33) % n;
}

static void check(bool ok, const struct err *e)
{
    if (!ok) {
        (void)fprintf(stderr, "%s\n", e->text);
        exit(1);
    }
}

/* The series' next point: some more observations in half of its buckets. */
static struct slice point_draw(struct series *s, struct arena *keep, struct buf *scratch)
{
    struct histogram_span spans[2] = {{-12, N_BUCKETS / 2}, {4, N_BUCKETS / 2}};
    struct exp_histogram h = {.schema = 3, .zero_threshold = 0x1p-128, .zero_count = 3, .count = 3};
    struct err e = ERR_INIT;
    for (uint32_t i = 0; i < N_BUCKETS; i++) {
        s->counts[i] += random_below(2) == 0 ? 0 : random_below(50);
        h.count += s->counts[i];
    }
    h.sum = (double)h.count;
    h.positive = (struct exp_buckets){2, N_BUCKETS, spans, s->counts};
    check(exp_histogram_check(&h, &e), &e);
    buf_reset(scratch);
    exp_histogram_encode(&h, scratch);
    struct slice packed = arena_copy(keep, buf_slice(scratch));
    check(packed.ptr != NULL, &e);
    return packed;
}

static struct exp_histogram decoded(struct slice packed, struct arena *a)
{
    struct exp_histogram h;
    struct err e = ERR_INIT;
    struct cursor c = cursor_of(packed);
    check(exp_histogram_decode(&c, MAX_BUCKETS, a, &h, &e) && exp_histogram_check(&h, &e), &e);
    return h;
}

static uint64_t point_run(const struct series *s, struct arena *a)
{
    struct err e = ERR_INIT;
    struct exp_histogram before = decoded(s->before, a);
    struct exp_histogram now = decoded(s->now, a);
    struct exp_histogram increase = now;
    struct exp_histogram total;
    if (!exp_histogram_is_reset(&now, &before)) {
        check(exp_histogram_subtract(&now, &before, MAX_BUCKETS, a, &increase, &e), &e);
    }
    check(exp_histogram_add(&before, &increase, MAX_BUCKETS, a, &total, &e), &e);
    return total.count;
}

static double points_per_s(const struct series *all, struct arena *a)
{
    uint64_t n = 0;
    uint64_t sum = 0;
    int64_t start_ns = clock_cpu_ns();
    while (clock_cpu_ns() - start_ns < MIN_NS) {
        for (uint32_t i = 0; i < N_SERIES; i++, n++) {
            arena_reset(a);
            sum += point_run(&all[i], a);
        }
    }
    return sum == 0 ? 0 : (double)n * 1e9 / (double)(clock_cpu_ns() - start_ns);
}

static double merges_per_s(const struct series *all, int down, struct arena *a, struct arena *keep)
{
    struct exp_histogram h[64];
    struct err e = ERR_INIT;
    uint64_t n = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 64; i++) {
        h[i] = decoded(all[i].now, keep);
        h[i].schema -= i % 2 == 0 ? 0 : down;
    }
    int64_t start_ns = clock_cpu_ns();
    while (clock_cpu_ns() - start_ns < MIN_NS) {
        for (uint32_t i = 0; i < 64; i++, n++) {
            struct exp_histogram total;
            arena_reset(a);
            check(exp_histogram_add(&h[i], &h[(i + 1) % 64], MAX_BUCKETS, a, &total, &e), &e);
            sum += total.count;
        }
    }
    return sum == 0 ? 0 : (double)n * 1e9 / (double)(clock_cpu_ns() - start_ns);
}

int main(int argc, char **argv)
{
    bool json = false;
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
    for (int c; (c = getopt_long(argc, argv, "j", options, NULL)) != -1;) {
        if (c != 'j') {
            return 2;
        }
        json = true;
    }
    static struct series all[N_SERIES];
    struct arena keep;
    struct arena a;
    struct buf scratch;
    arena_init(&keep, 64 << 20);
    arena_init(&a, 1 << 20);
    buf_init(&scratch, 1 << 20);
    for (uint32_t i = 0; i < N_SERIES; i++) {
        all[i].before = point_draw(&all[i], &keep, &scratch);
        all[i].now = point_draw(&all[i], &keep, &scratch);
    }
    double points = points_per_s(all, &a);
    double merges = merges_per_s(all, 0, &a, &keep);
    double lowered = merges_per_s(all, 2, &a, &keep);
    printf(json
               ? "{\"bench\": \"histogram_math\", \"buckets\": %d, \"points_per_s\": %.0f, "
                 "\"merges_per_s\": %.0f, \"lowering_merges_per_s\": %.0f}\n"
               : "histogram_math: %d buckets: %.0f points/s (two decoded, reset, increase, merge); "
                 "%.0f merges/s, %.0f with a lower schema\n",
           N_BUCKETS, points, merges, lowered);
    buf_fini(&scratch);
    arena_fini(&a);
    arena_fini(&keep);
    return 0;
}
