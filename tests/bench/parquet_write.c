/* How fast samples become Parquet, and how small: the raw table's columns (lib/parquet), rows
 * sorted by tenant, metric, series and time, 90 samples (15 min) of each series; 300 metrics, 6
 * labels. Rows are made between the measured calls.
 *
 *   bench-parquet-write [--json] [--rows N] [--out FILE] */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "parquet/writer.h"

enum {
    N_LABELS = 6,
    N_SAMPLES = 90,
    BATCH_SERIES = 100,
    BATCH = BATCH_SERIES * N_SAMPLES,
    N_METRICS = 300
};

enum {
    TENANT,
    METRIC,
    KIND,
    CLASS,
    SERIES,
    SOURCE,
    LABELS,
    REGION,
    TS,
    TS_MS,
    VALUE,
    PARTITION,
    OFFSET,
    N_COLUMNS
};

static const char *const label_names[N_LABELS] = {"az",    "build_id", "instance_type",
                                                  "queue", "region",   "shard_id"};

struct rows {
    struct slice texts[SOURCE + 1][BATCH];
    struct slice keys[BATCH * N_LABELS];
    struct slice labels[BATCH * N_LABELS];
    struct slice region[BATCH];
    uint32_t n_labels[BATCH];
    int64_t ts[BATCH];
    double value[BATCH];
    int32_t partition[BATCH];
    int64_t offset[BATCH];
    char room[BATCH_SERIES][8][48]; /* what the texts of a series point to */
};

struct variant {
    const char *name;
    enum parquet_encoding times;
    enum parquet_encoding values;
    enum parquet_codec codec;
    uint32_t page_rows; /* 0: the default */
};

struct result {
    double rows_per_s;
    double bytes_per_row;
    size_t peak_bytes;
};

static void *must(void *p)
{
    if (p == NULL) {
        (void)fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

static void must_be(bool ok, const struct err *e)
{
    if (!ok) {
        (void)fprintf(stderr, "%s\n", e->text);
        exit(1);
    }
}

/* A good mix of a number: the same rows in each run. */
static uint64_t mixed(uint64_t v)
{
    v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
    return v ^ v >> 31;
}

static struct slice text(char *room, const char *prefix, uint64_t n)
{
    (void)snprintf(room, 48, "%s%03" PRIu64, prefix, n);
    return slice_str(room);
}

/* Ids as hashes are, but in ascending order. */
static struct slice series_id(char *room, uint64_t series)
{
    (void)snprintf(room, 48, "%016" PRIx64 "%016" PRIx64, series << 44 | mixed(series) >> 20,
                   mixed(series + 1));
    return slice_str(room);
}

/* Kinds that metrics have: counters of small steps, counters that rest, gauges of whole numbers,
 * gauges at large. */
static double value_next(double before, unsigned kind, uint64_t random)
{
    switch (kind) {
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

static void series_fill(struct rows *r, unsigned k, uint64_t series, uint64_t n_series)
{
    char(*room)[48] = r->room[k];
    uint64_t metric = series * N_METRICS / n_series;
    uint64_t server = series % (n_series / N_METRICS + 1);
    struct slice texts[SOURCE + 1] = {SLICE_LITERAL("demo"),
                                      text(room[0], "game_matchmaking_players_total_", metric),
                                      metric % 4 < 2 ? SLICE_LITERAL("counter")
                                                     : SLICE_LITERAL("gauge"),
                                      SLICE_LITERAL("standard"),
                                      series_id(room[1], series),
                                      text(room[2], "gs-eu-central-", server)};
    struct slice labels[N_LABELS] = {text(room[3], "eu-central-1", server % 3),
                                     text(room[4], "build-2026-11-", server % 5),
                                     SLICE_LITERAL("c7g.2xlarge"),
                                     text(room[5], "ranked-solo-", series % 10),
                                     SLICE_LITERAL("eu-central-1"),
                                     texts[SOURCE]};
    double value = (double)(mixed(series) % 100000);
    for (unsigned i = 0; i < N_SAMPLES; i++) {
        size_t row = (size_t)k * N_SAMPLES + i;
        uint64_t random = mixed(series * N_SAMPLES + i);
        for (unsigned t = 0; t <= SOURCE; t++) {
            r->texts[t][row] = texts[t];
        }
        for (unsigned l = 0; l < N_LABELS; l++) {
            r->keys[row * N_LABELS + l] = slice_str(label_names[l]);
            r->labels[row * N_LABELS + l] = labels[l];
        }
        r->region[row] = labels[4];
        r->n_labels[row] = N_LABELS;
        r->ts[row] =
            INT64_C(1800000000000) +
            (int64_t)(i * 10000 + mixed(server * N_SAMPLES + i) % 25 + mixed(server) % 10000);
        r->value[row] = value = value_next(value, (unsigned)(metric % 4), random);
        r->partition[row] = 3;
        r->offset[row] = (int64_t)(1000000 + i * 5000 + server);
    }
}

static bool count_bytes(void *context, struct slice bytes, struct err *e)
{
    FILE *out = context;
    return out == NULL || fwrite(bytes.ptr, bytes.len, 1, out) == 1 ||
           err_set(e, ERR_FATAL, "cannot write");
}

static void columns_of(const struct rows *r, struct parquet_column *columns)
{
    for (unsigned t = 0; t <= SOURCE; t++) {
        columns[t].values.texts = r->texts[t];
    }
    columns[LABELS].keys = r->keys;
    columns[LABELS].values.texts = r->labels;
    columns[LABELS].n_entries = r->n_labels;
    columns[REGION].values.texts = r->region;
    columns[TS].values.int64s = r->ts;
    columns[TS_MS].values.int64s = r->ts;
    columns[VALUE].values.doubles = r->value;
    columns[PARTITION].values.int32s = r->partition;
    columns[OFFSET].values.int64s = r->offset;
}

static struct result run(const struct variant *v, struct rows *rows, uint64_t n_series, FILE *out)
{
    const struct parquet_field fields[N_COLUMNS] = {
        [TENANT] = {.name = "tenant", .type = PARQUET_STRING},
        [METRIC] = {.name = "metric", .type = PARQUET_STRING},
        [KIND] = {.name = "kind", .type = PARQUET_STRING},
        [CLASS] = {.name = "class", .type = PARQUET_STRING},
        [SERIES] = {.name = "series", .type = PARQUET_STRING, .bloom = true},
        [SOURCE] = {.name = "source", .type = PARQUET_STRING},
        [LABELS] = {.name = "labels", .type = PARQUET_STRING, .form = PARQUET_MAP},
        [REGION] = {.name = "region", .type = PARQUET_STRING, .optional = true},
        [TS] = {.name = "ts", .type = PARQUET_TIMESTAMP_MS, .encoding = v->times},
        [TS_MS] = {.name = "ts_ms", .type = PARQUET_INT64, .encoding = v->times},
        [VALUE] = {.name = "value", .type = PARQUET_DOUBLE, .encoding = v->values},
        [PARTITION] = {.name = "partition", .type = PARQUET_INT32, .encoding = PARQUET_DICTIONARY},
        [OFFSET] = {.name = "offset", .type = PARQUET_INT64, .encoding = v->times}};
    static const struct parquet_sorting sorting[] = {{TENANT}, {METRIC}, {SERIES}, {TS}};
    const struct parquet_options options = {.fields = fields,
                                            .n_fields = N_COLUMNS,
                                            .sorting = sorting,
                                            .n_sorting = sizeof sorting / sizeof *sorting,
                                            .codec = v->codec,
                                            .page_rows = v->page_rows,
                                            .max_bytes = 128 << 20};
    struct parquet_column columns[N_COLUMNS] = {{.nulls = NULL}};
    struct parquet_writer *w;
    struct err e = ERR_INIT;
    int64_t cpu_ns = 0;
    columns_of(rows, columns);
    must_be(parquet_new(&options, count_bytes, out, &w, &e), &e);
    for (uint64_t series = 0; series < n_series; series += BATCH_SERIES) {
        for (unsigned k = 0; k < BATCH_SERIES; k++) {
            series_fill(rows, k, series + k, n_series);
        }
        int64_t began = clock_cpu_ns();
        must_be(parquet_append(w, columns, BATCH, &e), &e);
        cpu_ns += clock_cpu_ns() - began;
    }
    int64_t began = clock_cpu_ns();
    must_be(parquet_close(w, &e), &e);
    cpu_ns += clock_cpu_ns() - began;
    double n_rows = (double)parquet_rows(w);
    struct result result = {n_rows / ((double)cpu_ns / 1e9), (double)parquet_bytes(w) / n_rows,
                            parquet_peak_bytes(w)};
    parquet_free(w);
    return result;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"rows", required_argument, NULL, 'r'},
                                            {"out", required_argument, NULL, 'o'},
                                            {0}};
    static const struct variant variants[] = {
        {"delta times, plain values, zstd", PARQUET_DELTA, PARQUET_PLAIN, PARQUET_ZSTD, 0},
        {"plain times, plain values, zstd", PARQUET_PLAIN, PARQUET_PLAIN, PARQUET_ZSTD, 0},
        {"dictionary times, plain values, zstd", PARQUET_DICTIONARY, PARQUET_PLAIN, PARQUET_ZSTD,
         0},
        {"the same, pages of 120,000 rows", PARQUET_DICTIONARY, PARQUET_PLAIN, PARQUET_ZSTD,
         120000},
        {"the same, split values", PARQUET_DICTIONARY, PARQUET_SPLIT, PARQUET_ZSTD, 120000},
        {"delta times, split values, zstd", PARQUET_DELTA, PARQUET_SPLIT, PARQUET_ZSTD, 0},
        {"delta times, dictionary values, zstd", PARQUET_DELTA, PARQUET_DICTIONARY, PARQUET_ZSTD,
         0},
        {"delta times, plain values, snappy", PARQUET_DELTA, PARQUET_PLAIN, PARQUET_SNAPPY, 0},
        {"delta times, plain values, no codec", PARQUET_DELTA, PARQUET_PLAIN, PARQUET_UNCOMPRESSED,
         0}};
    uint64_t n_rows = 2700000;
    bool json = false;
    const char *path = NULL;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'j') {
            json = true;
        } else if (c == 'r') {
            n_rows = strtoull(optarg, NULL, 10);
        } else if (c == 'o') {
            path = optarg;
        } else {
            return 2;
        }
    }
    uint64_t n_series = (n_rows / BATCH + (n_rows % BATCH != 0)) * BATCH_SERIES;
    struct rows *rows = must(calloc(1, sizeof *rows));
    FILE *out = path == NULL ? NULL : must(fopen(path, "wb")); /* the first variant's file */
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        struct result r = run(&variants[i], rows, n_series, i == 0 ? out : NULL);
        (void)printf(
            json ? "{\"bench\": \"parquet_write\", \"variant\": \"%s\", \"rows_per_s\": %.0f, "
                   "\"bytes_per_row\": %.3f, \"peak_bytes\": %zu}\n"
                 : "parquet_write, %s: %.0f rows/s/core, %.2f bytes/row, peak %zu bytes\n",
            variants[i].name, r.rows_per_s, r.bytes_per_row, r.peak_bytes);
    }
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    if (!json) {
        (void)printf("%" PRIu64 " rows each, RSS at most %ld KiB\n", n_series * N_SAMPLES,
                     usage.ru_maxrss);
    }
    if (out != NULL) {
        (void)fclose(out);
    }
    free(rows);
    return 0;
}
