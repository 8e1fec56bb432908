/* What rollup's step costs, in memory: a fleet's scrapes every 10 s, decoded, taken in, and summed
 * up into rows of 1 m and 5 m, which are encoded and forgotten. One thread: times are the
 * processor's.
 *
 *   counters    300 of them a server, shapes known after the first scrape
 *   histograms  exponential ones of 40 buckets, 30 a server
 *   restore     each server's last 1 m row read back, as a new owner does with all since the
 * horizon
 *
 *   bench-rollup-step [--json] [--servers N] [--rounds N] */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "batch/histogram.h"
#include "fleet.h"
#include "minute.h"

enum {
    SCRAPE_MS = 10000,
    ROUNDS_KEPT = 30, /* whose rows are read back */
    N_BUCKETS = 40,
    N_HISTOGRAMS = 30,
    MAX_BYTES = 16 << 20,
    MAX_ROWS_BYTES = 1 << 30
};

struct bench {
    struct fleet fleet;
    struct minute *minute;
    struct buf encoded;
    struct buf batch;
    struct buf packed;
    struct arena arena;
    struct slice *shapes; /* owned */
    uint64_t *sources;
    unsigned n_servers;
    enum series_kind kind;
    uint32_t n_series;
    uint64_t n_rows;
    uint64_t n_row_bytes;
    int64_t spent_ns;
    struct buf last_rows; /* the 1 m rows of the last rounds, each behind its length */
    bool keeps_rows;
};

static bool row_forget(void *ctx, const struct leaving *l, struct err *e)
{
    struct bench *b = ctx;
    (void)e;
    buf_reset(&b->encoded);
    rollup_encode(l->row, &b->encoded);
    b->n_rows++;
    b->n_row_bytes += b->encoded.len;
    if (b->keeps_rows && !l->is_merged) {
        buf_varint_bytes(&b->last_rows, buf_slice(&b->encoded));
    }
    return true;
}

/* Million series restored a second. */
static double restore_run(struct bench *b, const struct rules *rules)
{
    struct err e = ERR_INIT;
    struct minute *m = NULL;
    uint64_t n_rows = 0;
    const struct row_sink sink = {row_forget, b};
    struct cursor c = cursor_of(buf_slice(&b->last_rows));
    bench_check(minute_new(rules, &sink, &m, &e), &e);
    int64_t began_ns = clock_cpu_ns();
    while (cursor_more(&c)) {
        bench_check(minute_restore(m, cursor_varint_bytes(&c), fleet_base_ms, &e), &e);
        n_rows++;
    }
    double seconds = (double)(clock_cpu_ns() - began_ns) / 1e9;
    minute_free(m);
    return (double)n_rows * b->n_series / seconds / 1e6;
}

static size_t resident_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%*s %ld", &pages) != 1) {
        exit(1);
    }
    (void)fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* The shapes of all servers: the fleet's labels, series of one kind. */
static void shapes_make(struct bench *b)
{
    b->shapes = bench_must(calloc(b->n_servers, sizeof *b->shapes));
    b->sources = bench_must(calloc(b->n_servers, sizeof *b->sources));
    for (unsigned i = 0; i < b->n_servers; i++) {
        struct err e = ERR_INIT;
        (void)fleet_batch(&b->fleet, i, fleet_base_ms, 0); /* names the server */
        for (size_t k = 0; k < FLEET_SERIES; k++) {
            b->fleet.series[k].kind = b->kind;
        }
        arena_reset(&b->arena);
        buf_reset(&b->batch);
        bench_check(shape_encode(slice_str(b->fleet.server), b->fleet.order, b->n_series, &b->arena,
                                 &b->batch, &e),
                    &e);
        uint8_t *bytes = bench_must(malloc(b->batch.len));
        memcpy(bytes, b->batch.ptr, b->batch.len);
        b->shapes[i] = slice_of(bytes, b->batch.len);
        b->sources[i] = source_id(SLICE_LITERAL("demo"), slice_str(b->fleet.server));
    }
}

static void histograms_draw(struct bench *b, unsigned round)
{
    uint64_t counts[N_BUCKETS];
    const struct histogram_span span = {-12, N_BUCKETS};
    buf_reset(&b->packed);
    for (uint32_t i = 0; i < b->n_series; i++) {
        struct exp_histogram h = {.schema = 3, .sum = (double)round + i, .zero_threshold = 1e-128};
        for (uint32_t k = 0; k < N_BUCKETS; k++) {
            counts[k] = (uint64_t)(k * 7 + i) + (uint64_t)round * (k % 5 + 1);
            h.count += counts[k];
        }
        h.positive = (struct exp_buckets){1, N_BUCKETS, &span, counts};
        exp_histogram_encode(&h, &b->packed);
    }
}

static void scrape(struct bench *b, unsigned server, unsigned round, int64_t now_ms, int64_t offset)
{
    struct err e = ERR_INIT;
    struct batch in;
    double values[FLEET_SERIES];
    bool is_counter = b->kind == SERIES_COUNTER;
    for (uint32_t i = 0; i < FLEET_SERIES; i++) {
        values[i] = (double)(i + server) * 3 + (double)round * 1.25;
    }
    const struct batch out = {.tenant = SLICE_LITERAL("demo"),
                              .class = CLASS_STANDARD,
                              .source = b->sources[server],
                              .received_ms = now_ms,
                              .origin = {.topic = SLICE_LITERAL("metrics.ingest")},
                              .shape = b->shapes[server],
                              .times = {.base_ms = now_ms - 50},
                              .starts = {.base_ms = fleet_base_ms - 3600000},
                              .values = is_counter ? slice_of(values, b->n_series * sizeof *values)
                                                   : SLICE_NONE,
                              .exp = is_counter ? SLICE_NONE : buf_slice(&b->packed)};
    buf_reset(&b->batch);
    batch_encode(&out, &b->batch);
    int64_t began_ns = clock_cpu_ns();
    arena_reset(&b->arena);
    bench_check(batch_decode(buf_slice(&b->batch), &batch_default_caps, &b->arena, &in, &e) &&
                    minute_take(b->minute, offset, &in, &e),
                &e);
    b->spent_ns += clock_cpu_ns() - began_ns;
}

static void rounds_run(struct bench *b, unsigned first, unsigned n)
{
    for (unsigned r = first; r < first + n; r++) {
        if (b->kind == SERIES_EXP_HISTOGRAM) {
            histograms_draw(b, r);
        }
        for (unsigned i = 0; i < b->n_servers; i++) {
            int64_t now_ms = fleet_base_ms + (int64_t)r * SCRAPE_MS + i * SCRAPE_MS / b->n_servers;
            scrape(b, i, r, now_ms, (int64_t)r * b->n_servers + i);
        }
    }
}

static void bench_run(const char *name, enum series_kind kind, uint32_t n_series,
                      unsigned n_servers, unsigned n_rounds, bool as_json)
{
    struct err e = ERR_INIT;
    struct bench b = {.kind = kind, .n_series = n_series, .n_servers = n_servers};
    const struct rules rules = {
        .window_ms = MINUTE_MS, .lateness_ms = 15000, .idle_ms = 120000, .horizon_ms = 7200000};
    const struct row_sink sink = {row_forget, &b};
    fleet_init(&b.fleet);
    buf_init(&b.encoded, MAX_BYTES);
    buf_init(&b.batch, MAX_BYTES);
    buf_init(&b.last_rows, MAX_ROWS_BYTES);
    buf_init(&b.packed, MAX_BYTES);
    arena_init(&b.arena, MAX_BYTES);
    shapes_make(&b);
    size_t before_bytes = resident_bytes();
    bench_check(minute_new(&rules, &sink, &b.minute, &e), &e);
    rounds_run(&b, 0, 1); /* shapes and series are new */
    b.spent_ns = 0;
    b.n_rows = b.n_row_bytes = 0;
    n_rounds = n_rounds < ROUNDS_KEPT + 6 ? ROUNDS_KEPT + 6 : n_rounds;
    rounds_run(&b, 1, n_rounds - ROUNDS_KEPT);
    size_t resident_after = resident_bytes();
    b.keeps_rows = true;
    rounds_run(&b, 1 + n_rounds - ROUNDS_KEPT, ROUNDS_KEPT);
    b.keeps_rows = false;
    double n_all = (double)n_servers * n_series;
    double per_s = n_all * n_rounds / ((double)b.spent_ns / 1e9);
    double per_series = (double)minute_bytes(b.minute) / n_all;
    double resident = (double)(resident_after - before_bytes) / n_all;
    double restored = restore_run(&b, &rules);
    if (as_json) {
        printf("{\"bench\": \"rollup_step\", \"what\": \"%s\", \"points_per_s\": %.0f, "
               "\"bytes_per_series\": %.0f, "
               "\"resident_bytes_per_series\": %.0f, \"restored_m_series_per_s\": %.2f, \"rows\": "
               "%llu, \"row_bytes\": %llu}\n",
               name, per_s, per_series, resident, restored, (unsigned long long)b.n_rows,
               (unsigned long long)b.n_row_bytes);
    } else {
        printf("rollup %s: %.2f M points/s, %.0f bytes a series held (%.0f resident), %.0f bytes a "
               "series and row, %.2f M series/s restored\n",
               name, per_s / 1e6, per_series, resident,
               (double)b.n_row_bytes / ((double)b.n_rows * n_series + 1), restored);
    }
    minute_free(b.minute);
    for (unsigned i = 0; i < n_servers; i++) {
        free((void *)(uintptr_t)b.shapes[i].ptr);
    }
    free(b.shapes);
    free(b.sources);
    arena_fini(&b.arena);
    buf_fini(&b.encoded);
    buf_fini(&b.batch);
    buf_fini(&b.last_rows);
    buf_fini(&b.packed);
    fleet_fini(&b.fleet);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"servers", required_argument, NULL, 's'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    unsigned n_servers = 1000;
    unsigned n_rounds = 66;
    bool as_json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'j') {
            as_json = true;
        } else if (c == 's') {
            n_servers = (unsigned)strtoul(optarg, NULL, 10);
        } else if (c == 'r') {
            n_rounds = (unsigned)strtoul(optarg, NULL, 10);
        } else {
            return 2;
        }
    }
    bench_run("counters", SERIES_COUNTER, FLEET_SERIES, n_servers, n_rounds, as_json);
    bench_run("histograms", SERIES_EXP_HISTOGRAM, N_HISTOGRAMS, n_servers / 4, n_rounds / 2,
              as_json);
    return 0;
}
