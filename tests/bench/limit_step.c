/* What limit's step costs, in memory: scrapes of a fleet (fleet.h), 12 partitions, the output
 * forgotten and the state flushed after 256 batches as by a transaction. One thread: times are the
 * processor's.
 *
 *   new      every series is new: shapes are decoded and judged, state is written
 *   known    the same scrapes every 10 s of log time: what limit does all day
 *   refused  the same with a budget below the series: shapes known, a tenth of each cut out
 *   memory   a process with 5 million active series, what its pages cost, and a restore of the
 *            series from their records
 *
 *   bench-limit-step [--json] [--servers N] [--rounds N] [--series N] */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "fleet.h"
#include "limit.h"
#include "rulebook.h"
#include "state.h"

enum {
    N_PARTITIONS = 12,
    BOX = 256,
    SCRAPE_MS = 10000,
    REFUSED_SERIES = 30,
    ACTIVE_MS = 7200000,
    MEMORY_MB = 512,
    OUTBOX_BYTES = 256 << 20
};

struct rig {
    struct metrics *metrics;
    struct limit *limit;
    struct outbox out;
    struct partition partitions[N_PARTITIONS];
    FILE *state; /* where state records go, or NULL */
    uint64_t n_batches;
    uint64_t n_state_bytes;
    char policy[64];
};

static void policy_write(char path[64], unsigned series_per_source)
{
    (void)snprintf(path, 64, "/tmp/limit-bench-XXXXXX");
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f == NULL ||
        fprintf(f, "{\"tenants\": {\"demo\": {\"limits\": {\"series_per_source\": %u}}}}",
                series_per_source) < 0 ||
        fclose(f) != 0) {
        exit(1);
    }
}

static void rig_open(struct rig *r, unsigned series_per_source)
{
    struct err e = ERR_INIT;
    *r = (struct rig){.metrics = metrics_new()};
    policy_write(r->policy, series_per_source);
    const struct limit_options o = {.policy_path = r->policy,
                                    .state_topic = "sluice.limit",
                                    .active_ms = ACTIVE_MS,
                                    .heartbeat_ms = 10000,
                                    .lease_wait_ms = 1000,
                                    .rate_burst_ms = 10000,
                                    .dlq_samples_per_minute = 100,
                                    .memory_bytes = (size_t)MEMORY_MB << 20};
    outbox_init(&r->out, OUTBOX_BYTES);
    for (int i = 0; i < OUTPUT_DLQ + 1; i++) {
        r->out.n_output_partitions[i] = N_PARTITIONS;
    }
    bench_check(limit_new(&o, r->metrics, &r->limit, &e), &e);
    (void)unlink(r->policy);
    for (int32_t i = 0; i < N_PARTITIONS; i++) {
        r->partitions[i] = (struct partition){
            .topic = SLICE_LITERAL("metrics.valid"), .number = i, .n_partitions = N_PARTITIONS};
        bench_check(limit_recover(r->limit, NULL, &r->partitions[i], -1, SLICE_NONE, &e), &e);
    }
}

static void rig_close(struct rig *r)
{
    for (int i = 0; i < N_PARTITIONS; i++) {
        limit_drop(r->limit, &r->partitions[i]);
    }
    limit_free(r->limit);
    outbox_fini(&r->out);
    metrics_free(r->metrics);
}

/* --- state records in a file: lengths, key, value --- */

struct saved {
    int32_t partition;
    uint32_t n_key_bytes;
    uint32_t n_value_bytes;
};

static void state_save(FILE *f, const struct outgoing *r)
{
    const struct saved head = {r->partition, (uint32_t)r->key.len, (uint32_t)r->value.len};
    if (fwrite(&head, sizeof head, 1, f) != 1 ||
        fwrite(r->key.ptr, 1, r->key.len, f) != r->key.len ||
        fwrite(r->value.ptr, 1, r->value.len, f) != r->value.len) {
        exit(1);
    }
}

/* What a commit does with the box. */
static void rig_flush(struct rig *r)
{
    struct err e = ERR_INIT;
    size_t first = r->out.n;
    for (int i = 0; i < N_PARTITIONS; i++) {
        bench_check(limit_flush(r->limit, &r->partitions[i], &r->out, &e), &e);
    }
    for (size_t i = first; i < r->out.n; i++) {
        r->n_state_bytes += r->out.records[i].key.len + r->out.records[i].value.len;
        if (r->state != NULL) {
            state_save(r->state, &r->out.records[i]);
        }
    }
    tally_apply(&r->out.tally);
    outbox_reset(&r->out);
}

static void rig_step(struct rig *r, struct slice batch, unsigned server, int64_t now_ms)
{
    struct err e = ERR_INIT;
    char key[64];
    int n = snprintf(key, sizeof key, "game-server-%05u", server);
    struct slice name = slice_of(key, (size_t)n);
    int32_t partition = batch_partition(source_id(SLICE_LITERAL("demo"), name), N_PARTITIONS);
    const struct record in = {.partition = &r->partitions[partition],
                              .offset = (int64_t)r->n_batches,
                              .timestamp_ms = now_ms,
                              .key = name,
                              .value = batch};
    bench_check(limit_step(r->limit, NULL, &in, now_ms, &r->out, &e), &e);
    if (++r->n_batches % BOX == 0) {
        rig_flush(r);
    }
}

static void rig_round(struct rig *r, const struct slice *batches, unsigned n, int64_t now_ms,
                      int64_t *spent_ns)
{
    int64_t began_ns = clock_cpu_ns();
    for (unsigned i = 0; i < n; i++) {
        rig_step(r, batches[i], i, now_ms);
    }
    rig_flush(r);
    *spent_ns += clock_cpu_ns() - began_ns;
}

/* The next scrape: the same batches, a while later, further on in the ingest topic. In place, since
 * neither time nor offset gets longer. */
static void batches_move(struct slice *batches, unsigned n, struct buf *scratch)
{
    struct err e = ERR_INIT;
    struct arena a;
    arena_init(&a, 1 << 20);
    for (unsigned i = 0; i < n; i++) {
        struct batch b;
        bench_check(batch_decode(batches[i], &batch_default_caps, &a, &b, &e), &e);
        b.received_ms += SCRAPE_MS;
        b.origin.offset += n;
        b.times.base_ms += SCRAPE_MS;
        buf_reset(scratch);
        batch_encode(&b, scratch);
        if (scratch->len != batches[i].len) {
            (void)fprintf(stderr, "a batch has changed its length\n");
            exit(1);
        }
        memcpy((void *)(uintptr_t)batches[i].ptr, scratch->ptr, scratch->len);
    }
    arena_fini(&a);
}

static double counted(struct rig *r, enum metric_id id)
{
    struct slice tenant = SLICE_LITERAL("demo");
    return cell_get(metrics_cell(r->metrics, id, &tenant));
}

/* Or the figures mean nothing. */
static void expect(const char *what, double got, double want)
{
    if (got != want) {
        (void)fprintf(stderr, "%s: %.0f, not %.0f\n", what, got, want);
        exit(1);
    }
}

static void report(const char *path, double n, int64_t spent_ns, const char *goal, bool json)
{
    double per_s = n * 1e9 / (double)spent_ns;
    double cpu_s = (double)spent_ns / 1e3 / n;
    if (json) {
        (void)printf("{\"bench\": \"limit_step\", \"path\": \"%s\", \"samples_per_cpu_s\": %.0f, "
                     "\"cpu_s_per_million\": %.4f}\n",
                     path, per_s, cpu_s);
    } else {
        (void)printf("limit_step %-7s %6.2f M samples/s/core, %.4f CPU-s per million%s\n", path,
                     per_s / 1e6, cpu_s, goal);
    }
    (void)fflush(stdout);
}

struct plan {
    unsigned n_servers;
    unsigned n_rounds;
    unsigned n_series;
    bool json;
};

/* new, then known or refused: refused series per server. */
static void measure_speed(const struct plan *p, struct fleet *f, unsigned n_refused,
                          bool is_new_told)
{
    struct rig r;
    size_t n_bytes = 0;
    struct buf scratch;
    int64_t learn_ns = 0;
    int64_t known_ns = 0;
    struct slice *batches = fleet_batches(f, p->n_servers, &n_bytes);
    const double n_per_round = (double)p->n_servers * FLEET_SERIES;
    int64_t now_ms = fleet_base_ms;
    buf_init(&scratch, 16 << 20);
    rig_open(&r, FLEET_SERIES - n_refused);
    for (unsigned i = 0; i <= p->n_rounds; i++, now_ms += SCRAPE_MS) {
        batches_move(batches, p->n_servers, &scratch);
        rig_round(&r, batches, p->n_servers, now_ms, i == 0 ? &learn_ns : &known_ns);
    }
    const double kept = (double)p->n_servers * (FLEET_SERIES - n_refused);
    expect("new series", counted(&r, M_SERIES_NEW), kept);
    expect("samples in", counted(&r, M_SAMPLES_IN), n_per_round * (p->n_rounds + 1));
    expect("samples out", counted(&r, M_SAMPLES_OUT), kept * (p->n_rounds + 1));
    if (is_new_told) {
        report("new", n_per_round, learn_ns, " [1 M series/s]", p->json);
    }
    report(n_refused == 0 ? "known" : "refused", n_per_round * p->n_rounds, known_ns,
           n_refused == 0 ? " [10 M]" : "", p->json);
    rig_close(&r);
    fleet_batches_free(batches, p->n_servers);
    buf_fini(&scratch);
}

/* --- memory and restore --- */

static double resident_bytes(void)
{
    long n_pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL || fscanf(f, "%*s %ld", &n_pages) != 1) {
        exit(1);
    }
    (void)fclose(f);
    return (double)n_pages * (double)sysconf(_SC_PAGESIZE);
}

static void report_memory(const char *path, double n, double bytes, double seconds,
                          double state_bytes, bool json)
{
    if (json) {
        (void)printf(
            "{\"bench\": \"limit_step\", \"path\": \"%s\", \"series\": %.0f, \"resident_bytes\": "
            "%.0f, "
            "\"bytes_per_series\": %.1f, \"cpu_s\": %.2f, \"state_bytes_per_series\": %.1f}\n",
            path, n, bytes, bytes / n, seconds, state_bytes / n);
    } else {
        (void)printf("limit_step %-7s %.2f M active series: %.0f MB resident, %.1f bytes per "
                     "series [512 MB for 5 M]; "
                     "%.2f CPU-s; state of %.1f bytes per series\n",
                     path, n / 1e6, bytes / 1e6, bytes / n, seconds, state_bytes / n);
    }
    (void)fflush(stdout);
}

/* What the loop does every two seconds for operators: all series are looked at. */
static void report_pages(struct rig *r, double n, bool json)
{
    int64_t cpu_ns = clock_cpu_ns();
    limit_export(r->limit, fleet_base_ms);
    double ms = (double)(clock_cpu_ns() - cpu_ns) / 1e6;
    if (json) {
        (void)printf("{\"bench\": \"limit_step\", \"path\": \"pages\", \"series\": %.0f, "
                     "\"cpu_ms\": %.1f}\n",
                     n, ms);
    } else {
        (void)printf("limit_step pages   %.2f M active series: %.1f CPU-ms for gauges and pages, "
                     "every 2 s\n",
                     n / 1e6, ms);
    }
    (void)fflush(stdout);
}

/* Scrapes are made one by one, so that what is resident is the limiter's. */
static void measure_growth(const struct plan *p, struct fleet *f, FILE *state)
{
    struct rig r;
    const unsigned n_servers = p->n_series / FLEET_SERIES;
    int64_t spent_ns = 0;
    double before = resident_bytes();
    rig_open(&r, FLEET_SERIES);
    r.state = state;
    for (unsigned i = 0; i < n_servers; i++) {
        struct slice b = fleet_batch(f, i, fleet_base_ms, i);
        int64_t began_ns = clock_cpu_ns();
        rig_step(&r, b, i, fleet_base_ms);
        spent_ns += clock_cpu_ns() - began_ns;
    }
    rig_flush(&r);
    const double n = (double)n_servers * FLEET_SERIES;
    expect("new series", counted(&r, M_SERIES_NEW), n);
    report_memory("memory", n, resident_bytes() - before, (double)spent_ns / 1e9,
                  (double)r.n_state_bytes, p->json);
    report_pages(&r, n, p->json);
    (void)fflush(state);
    rig_close(&r);
}

static bool state_load(FILE *f, uint8_t *bytes, size_t max_bytes, struct saved *head)
{
    if (fread(head, sizeof *head, 1, f) != 1) {
        return false;
    }
    size_t n = (size_t)head->n_key_bytes + head->n_value_bytes;
    if (n > max_bytes || fread(bytes, 1, n, f) != n) {
        exit(1);
    }
    return true;
}

struct restored {
    struct metrics *metrics;
    struct rulebook rules;
    struct board board;
    uint64_t draw;
    struct holding *holdings[N_PARTITIONS];
};

static void restored_open(struct restored *r)
{
    struct err e = ERR_INIT;
    char path[64];
    *r = (struct restored){.metrics = metrics_new()};
    policy_write(path, FLEET_SERIES);
    board_init(&r->board);
    bench_check(rulebook_open(&r->rules, path, &r->draw, r->metrics, &e), &e);
    (void)unlink(path);
    for (uint32_t i = 0; i < N_PARTITIONS; i++) {
        const struct holding_options o = {ACTIVE_MS, i, N_PARTITIONS, &r->draw, &r->board};
        bench_check(holding_new(&o, &r->holdings[i], &e), &e);
    }
}

static void restored_close(struct restored *r)
{
    for (int i = 0; i < N_PARTITIONS; i++) {
        holding_free(r->holdings[i]);
    }
    board_fini(&r->board);
    rulebook_close(&r->rules);
    metrics_free(r->metrics);
}

/* As restore_one does it in limit.c, but for the fetching. */
static void measure_restore(const struct plan *p, FILE *state)
{
    enum { MAX_BYTES = 16 << 20 };
    struct restored r;
    struct err e = ERR_INIT;
    struct saved head;
    uint8_t *bytes = bench_must(malloc(MAX_BYTES));
    int64_t spent_ns = 0;
    double n_bytes = 0;
    double n = 0;
    rewind(state);
    double before = resident_bytes();
    restored_open(&r);
    while (state_load(state, bytes, MAX_BYTES, &head)) {
        const struct record in = {.key = slice_of(bytes, head.n_key_bytes),
                                  .value = slice_of(bytes + head.n_key_bytes, head.n_value_bytes)};
        int64_t began_ns = clock_cpu_ns();
        bench_check(state_take(r.holdings[head.partition], &r.rules.tenants, &in, &e), &e);
        spent_ns += clock_cpu_ns() - began_ns;
        n_bytes += head.n_key_bytes + head.n_value_bytes;
    }
    int64_t began_ns = clock_cpu_ns();
    for (int i = 0; i < N_PARTITIONS; i++) {
        struct source *s;
        bench_check(holding_sweep(r.holdings[i], &e), &e);
        for (size_t at = 0; (s = table_next(&r.holdings[i]->sources, &at)) != NULL;) {
            n += s->set.n;
        }
    }
    spent_ns += clock_cpu_ns() - began_ns;
    expect("series restored", n, (double)(p->n_series / FLEET_SERIES) * FLEET_SERIES);
    report_memory("restore", n, resident_bytes() - before, (double)spent_ns / 1e9, n_bytes,
                  p->json);
    restored_close(&r);
    free(bytes);
}

/* Each in a process of its own, whose heap nothing has used before. */
static void in_child(const struct plan *p, struct fleet *f, FILE *state, bool is_restore)
{
    int status = 1;
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (is_restore) {
            measure_restore(p, state);
        } else {
            measure_growth(p, f, state);
        }
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct plan p = {.n_servers = 5000, .n_rounds = 12, .n_series = 5000000};
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"servers", required_argument, NULL, 's'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {"series", required_argument, NULL, 'n'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "js:r:n:", options, NULL)) != -1;) {
        if (c == 'j') {
            p.json = true;
        } else if (c == 's' || c == 'r' || c == 'n') {
            *(c == 's'   ? &p.n_servers
              : c == 'r' ? &p.n_rounds
                         : &p.n_series) = (unsigned)strtoul(optarg, NULL, 10);
        } else {
            return 2;
        }
    }
    struct fleet f;
    FILE *state = bench_must(tmpfile());
    fleet_init(&f);
    if (p.n_series >= FLEET_SERIES) {
        in_child(&p, &f, state, false);
        in_child(&p, &f, state, true);
    }
    if (p.n_servers > 0 && p.n_rounds > 0) {
        measure_speed(&p, &f, 0, true);
        measure_speed(&p, &f, REFUSED_SERIES, false);
    }
    (void)fclose(state);
    fleet_fini(&f);
    return 0;
}
