/* How fast a partition's batches become a file of the raw table (workers/parquet's range): taken,
 * sorted, encoded, zstd; in memory, and with so little of it that they go through scratch files.
 * 417 servers of 300 series for 15 min are what a partition of 12 holds of 5,000.
 *
 *   bench-parquet-rows [--json] [--rows N] [--servers N] [--out FILE] */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "batch/rollup.h"
#include "game_load.h"
#include "range.h"

enum { N_METRICS = 300, SMALL = 48 << 20, LARGE = 256 << 20 };

enum { SCRAPES_A_MINUTE = 6, MINUTE_MS = 60000 };

struct variant {
    const char *name;
    bool rollups; /* of the samples, by the minute */
    size_t rows_bytes;
    bool portable;
    bool histograms;
    unsigned n_servers;
    unsigned n_scrapes;
};

struct output {
    FILE *f;
    int64_t n_bytes;
};

static void must_be(bool ok, const struct err *e)
{
    if (!ok) {
        (void)fprintf(stderr, "%s\n", e->text);
        exit(1);
    }
}

static bool output_write(void *context, struct slice bytes, struct err *e)
{
    struct output *out = context;
    out->n_bytes += (int64_t)bytes.len;
    return out->f == NULL || bytes.len == 0 || fwrite(bytes.ptr, bytes.len, 1, out->f) == 1 ||
           err_set(e, ERR_FATAL, "cannot write");
}

static struct range *range_new(const struct variant *v)
{
    static const char *const labels[] = {
        "region",   "az",    "cluster",    "shard_id", "instance_type",
        "build_id", "queue", "asn_bucket", "le"};
    const struct range_options o = {.topic = "metrics.admitted",
                                    .topic_id = "id",
                                    .scratch_dir = "/tmp",
                                    .max_rows_bytes = v->rows_bytes,
                                    .portable = v->portable};
    struct layout l;
    struct range *r;
    struct err e = ERR_INIT;
    must_be(layout_init(&l, "", 24, false, labels, sizeof labels / sizeof *labels, &e), &e);
    must_be(range_open(&o, &l, &r, &e), &e);
    return r;
}

/* A server's samples of a minute. */
struct minute {
    uint32_t samples[N_METRICS];
    int64_t last_ms[N_METRICS];
    double before[N_METRICS]; /* counters: at the end of the minute before */
    double last[N_METRICS];
    double sum[N_METRICS];
    double min[N_METRICS];
    double max[N_METRICS];
    uint32_t n_scrapes;
};

static void minute_take(struct minute *m, const struct batch *b)
{
    for (uint32_t i = 0; i < N_METRICS; i++) {
        double v;
        memcpy(&v, b->values.ptr + i * sizeof v, sizeof v);
        bool is_first = m->n_scrapes == 0;
        m->sum[i] = is_first ? v : m->sum[i] + v;
        m->min[i] = is_first || v < m->min[i] ? v : m->min[i];
        m->max[i] = is_first || v > m->max[i] ? v : m->max[i];
        m->last[i] = v;
        m->samples[i] = m->n_scrapes + 1;
        m->last_ms[i] = b->times.base_ms;
    }
    m->n_scrapes++;
}

/* The row of a minute that is full; it begins anew. */
static void minute_put(struct minute *m, const struct batch *b, const struct shape *shape, int64_t offset,
                       struct range *r, struct err *e)
{
    struct buf counters;
    struct buf gauges;
    buf_init(&counters, sizeof *m);
    buf_init(&gauges, sizeof *m);
    for (uint32_t i = 0; i < N_METRICS; i++) {
        bool is_gauge = shape->series[i].kind == SERIES_GAUGE;
        const double gauge[] = {m->sum[i], m->min[i], m->max[i], m->last[i]};
        const double counter[] = {m->last[i], m->last[i] - m->before[i], m->last[i]};
        buf_put(is_gauge ? &gauges : &counters, is_gauge ? gauge : counter,
                is_gauge ? sizeof gauge : sizeof counter);
        m->before[i] = m->last[i];
    }
    const struct rollup row = {.tenant = b->tenant,
                               .class = b->class,
                               .source = b->source,
                               .window_ms = MINUTE_MS,
                               .end_ms = b->times.base_ms / MINUTE_MS * MINUTE_MS + MINUTE_MS,
                               .closed_at = offset,
                               .shape = b->shape,
                               .n_series = N_METRICS,
                               .samples = m->samples,
                               .last_ms = m->last_ms,
                               .counters = buf_slice(&counters),
                               .gauges = buf_slice(&gauges)};
    must_be(range_add_rollup(r, &row, offset, e), e);
    m->n_scrapes = 0;
    buf_fini(&counters);
    buf_fini(&gauges);
}

static void rollups_add(const struct variant *v, struct game_load *load, struct range *r, struct err *e)
{
    struct minute *minutes = calloc(v->n_servers, sizeof *minutes);
    struct arena a;
    struct batch b;
    arena_init(&a, LARGE);
    for (unsigned n = 0; minutes != NULL && game_load_next(load, &b); n++) {
        struct minute *m = &minutes[n % v->n_servers];
        minute_take(m, &b);
        if (m->n_scrapes == SCRAPES_A_MINUTE) {
            struct shape shape;
            arena_reset(&a);
            must_be(shape_decode(b.shape, b.tenant, &shape_default_caps, &a, &shape, e), e);
            minute_put(m, &b, &shape, game_load_offset(load), r, e);
        }
    }
    arena_fini(&a);
    free(minutes);
}

static void run(const struct variant *v, FILE *f, bool json)
{
    const struct game_load_options o = {.n_servers = v->n_servers,
                                        .n_metrics = N_METRICS,
                                        .n_scrapes = v->n_scrapes,
                                        .base_ms = INT64_C(1780012800000),
                                        .histograms = v->histograms};
    struct game_load *load = game_load_new(&o);
    struct range *r = range_new(v);
    struct output out = {.f = f};
    struct err e = ERR_INIT;
    struct batch b;
    int64_t add_ns = 0;
    size_t n_objects;
    if (v->rollups && load != NULL) {
        rollups_add(v, load, r, &e);
    }
    while (load != NULL && game_load_next(load, &b)) {
        int64_t began = clock_cpu_ns();
        must_be(range_add(r, &b, game_load_offset(load), &e), &e);
        add_ns += clock_cpu_ns() - began;
    }
    int64_t began = clock_cpu_ns();
    must_be(range_plan(r, 0, 1, &n_objects, &e), &e);
    for (size_t i = 0; i < n_objects; i++) {
        must_be(range_write(r, i, NULL, 0, output_write, &out, &e), &e);
    }
    int64_t write_ns = clock_cpu_ns() - began;
    double rows = (double)range_n_rows(r);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)printf(
        json ? "{\"bench\": \"parquet_rows\", \"variant\": \"%s\", \"rows_per_s\": %.0f, "
               "\"add_rows_per_s\": %.0f, \"bytes_per_row\": %.3f, \"scratch_bytes_per_row\": "
               "%.2f, \"process_peak_kib\": %ld}\n"
             : "parquet_rows, %s: %.0f rows/s/core (taking alone %.0f), %.2f bytes/row, "
               "%.1f in scratch files, RSS so far at most %ld KiB\n",
        v->name, rows / ((double)(add_ns + write_ns) / 1e9), rows / ((double)add_ns / 1e9),
        (double)out.n_bytes / rows, (double)range_scratch_bytes(r) / rows, usage.ru_maxrss);
    range_close(r);
    game_load_free(load);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"rows", required_argument, NULL, 'r'},
                                            {"out", required_argument, NULL, 'o'},
                                            {0}};
    struct variant variants[] = {
        {"417 servers for 15 min (5,000 on 12 partitions)", false, LARGE, false, false, 417, 90},
        {"50 servers for an hour", false, LARGE, false, false, 50, 360},
        {"417 servers for 5 min, through scratch files", false, SMALL, false, false, 417, 30},
        {"50 servers for 15 min, portable encodings", false, LARGE, true, false, 50, 90},
        {"50 servers for 15 min, one metric in ten a histogram", false, LARGE, false, true, 50, 90},
        {"50 servers for an hour, their rollups by the minute", true, LARGE, false, false, 50, 360}};
    bool json = false;
    const char *path = NULL;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'j') {
            json = true;
        } else if (c == 'r') {
            variants[0].n_scrapes =
                1 + (unsigned)(strtoul(optarg, NULL, 10) / variants[0].n_servers / N_METRICS);
        } else if (c == 'o') {
            path = optarg;
        } else {
            return 2;
        }
    }
    FILE *out = path == NULL ? NULL : fopen(path, "wb");
    for (size_t i = 0; i < sizeof variants / sizeof *variants && (path == NULL || i == 0); i++) {
        run(&variants[i], out, json);
    }
    return out != NULL && fclose(out) != 0;
}
