/* What one record costs in validate's step, in memory: OTLP messages of 2,000 game servers, 300
 * points each (6 attributes; one in ten an exponential histogram of 20 to 60 buckets a side), the
 * output forgotten after 256 records as after a transaction. Hit path: the same messages again.
 * Miss path: each message cut at a random place, as a sender's batch processor does, so that the
 * sequence of series is new each time (series known). Learn path: all caches cold. Then remote write
 * of both versions, a snappy block of 300 series each, known from the last scrape. */
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "fleet_options.h"
#include "otlp_fleet.h"
#include "remote_write_fleet.h"
#include "validate.h"

enum { BOX = 256 };

static void fail(const struct err *e)
{
    (void)fprintf(stderr, "%s\n", e->text);
    exit(1);
}

struct worker {
    struct metrics *metrics;
    struct validate *validate;
    struct outbox out;
    struct partition partition;
    uint64_t n_samples;
    uint64_t n_bytes_out;
    uint32_t n_headers;
    struct record_header headers[2];
    char policy[64];
};

static void worker_open(struct worker *w, size_t cache_bytes)
{
    struct err e = ERR_INIT;
    *w = (struct worker){
        .partition = {.topic = SLICE_LITERAL("metrics.ingest.bench"), .n_partitions = 12}};
    (void)snprintf(w->policy, sizeof w->policy, "/tmp/validate-bench-XXXXXX");
    int fd = mkstemp(w->policy);
    static const char policy[] = "{\"tenants\": {\"bench\": {}}}";
    if (fd < 0 || write(fd, policy, sizeof policy - 1) < 0 || close(fd) != 0) {
        exit(1);
    }
    const struct validate_options o = {.shared_topic = SLICE_LITERAL("metrics.ingest"),
                                       .policy_path = w->policy,
                                       .mask_key_file = "",
                                       .dlq_samples_per_minute = 1000,
                                       .cache_bytes = cache_bytes};
    w->metrics = metrics_new();
    outbox_init(&w->out, (size_t)256 << 20);
    w->out.n_output_partitions[OUTPUT_VALID] = 12;
    w->out.n_output_partitions[OUTPUT_DLQ] = 1;
    if (!validate_new(&o, w->metrics, &w->validate, &e) ||
        !validate_recover(w->validate, NULL, &w->partition, -1, SLICE_NONE, &e)) {
        fail(&e);
    }
    (void)unlink(w->policy);
}

static void worker_close(struct worker *w)
{
    validate_drop(w->validate, &w->partition);
    validate_free(w->validate);
    outbox_fini(&w->out);
    metrics_free(w->metrics);
}

static void worker_run(struct worker *w, const struct otlp_message *messages, size_t n)
{
    struct err e = ERR_INIT;
    for (size_t i = 0; i < n; i++) {
        const struct record in = {.partition = &w->partition,
                                  .offset = (int64_t)i,
                                  .timestamp_ms = FLEET_NOW_MS,
                                  .value = messages[i].bytes,
                                  .n_headers = w->n_headers,
                                  .headers = {w->headers[0], w->headers[1]}};
        if (!validate_step(w->validate, NULL, &in, FLEET_NOW_MS, &w->out, &e)) {
            fail(&e);
        }
        w->n_samples += messages[i].n_points;
        if ((i + 1) % BOX == 0 || i + 1 == n) {
            w->n_bytes_out += w->out.n_bytes;
            tally_apply(&w->out.tally);
            outbox_reset(&w->out);
        }
    }
}

/* Of CPU time. */
struct rate {
    double samples_per_s;
    double cpu_s_per_million;
};

static struct rate measure(struct worker *w, const struct otlp_message *messages, size_t n,
                           unsigned n_rounds)
{
    w->n_samples = 0;
    w->n_bytes_out = 0;
    int64_t cpu_ns = clock_cpu_ns();
    for (unsigned i = 0; i < n_rounds; i++) {
        worker_run(w, messages, n);
    }
    cpu_ns = clock_cpu_ns() - cpu_ns;
    return (struct rate){(double)w->n_samples * 1e9 / (double)cpu_ns,
                         (double)cpu_ns / 1e3 / (double)w->n_samples};
}

/* Everything that went in came out, or the figures mean nothing. */
static void check_all_valid(struct worker *w)
{
    struct slice tenant = SLICE_LITERAL("bench");
    double in = cell_get(metrics_cell(w->metrics, M_SAMPLES_IN, &tenant));
    double out = cell_get(metrics_cell(w->metrics, M_SAMPLES_OUT, &tenant));
    if (in != out || in == 0) {
        (void)fprintf(stderr, "%.0f samples in, %.0f out\n", in, out);
        exit(1);
    }
}

static void report(const char *name, struct rate r, bool json, double bytes_per_sample)
{
    if (json) {
        printf("{\"bench\": \"validate_step\", \"path\": \"%s\", \"samples_per_s\": %.0f, "
               "\"cpu_s_per_million\": %.4f, \"bytes_out_per_sample\": %.1f}\n",
               name, r.samples_per_s, r.cpu_s_per_million, bytes_per_sample);
    } else {
        printf("validate_step %-14s %6.2f M samples/s, %.3f CPU-s per million, %.1f bytes out per "
               "sample\n",
               name, r.samples_per_s / 1e6, r.cpu_s_per_million, bytes_per_sample);
    }
}

/* As senders put it into a record's value. */
static struct otlp_message packed(struct slice body)
{
    size_t n = snappy_max_compressed_length(body.len);
    char *bytes = malloc(n);
    if (bytes == NULL || snappy_compress((const char *)body.ptr, body.len, bytes, &n) != SNAPPY_OK) {
        exit(1);
    }
    return (struct otlp_message){slice_of(bytes, n), REMOTE_WRITE_FLEET_SERIES};
}

static void run_remote_write(enum remote_write_version version, unsigned n_servers, unsigned n_rounds, bool json)
{
    static const char *const types[] = {[REMOTE_WRITE_1] = "application/x-protobuf;proto=prometheus.WriteRequest",
                                        [REMOTE_WRITE_2] = "application/x-protobuf;proto=io.prometheus.write.v2.Request"};
    struct otlp_message *messages = calloc(n_servers, sizeof *messages);
    struct slice *bodies = remote_write_fleet_messages(version, n_servers, 0, FLEET_NOW_MS);
    struct worker w;
    for (unsigned i = 0; messages != NULL && i < n_servers; i++) {
        messages[i] = packed(bodies[i]);
    }
    if (messages == NULL) {
        exit(1);
    }
    remote_write_fleet_free(bodies, n_servers);
    worker_open(&w, (size_t)1 << 30);
    w.headers[0] = (struct record_header){SLICE_LITERAL("content-type"), slice_str(types[version])};
    w.headers[1] = (struct record_header){SLICE_LITERAL("content-encoding"), SLICE_LITERAL("snappy")};
    w.n_headers = 2;
    (void)measure(&w, messages, n_servers, 1);
    struct rate hit = measure(&w, messages, n_servers, n_rounds);
    report(version == REMOTE_WRITE_1 ? "remote write 1" : "remote write 2", hit, json,
           (double)w.n_bytes_out / (double)w.n_samples);
    check_all_valid(&w);
    worker_close(&w);
    otlp_fleet_free_messages(messages, n_servers);
}

int main(int argc, char **argv)
{
    struct fleet_options o = {.n_servers = 2000, .n_rounds = 10};
    if (!fleet_options_read(argc, argv, &o)) {
        return 2;
    }
    struct otlp_fleet *t = otlp_fleet_new();
    struct worker w;
    worker_open(&w, (size_t)1 << 30);
    struct otlp_message *messages = otlp_fleet_messages(t, o.n_servers, 1);
    struct rate learn = measure(&w, messages, o.n_servers, 1);
    report("learn", learn, o.json, (double)w.n_bytes_out / (double)w.n_samples);
    validate_export(w.validate);
    double cache_bytes = cell_get(metrics_cell(w.metrics, M_SHAPE_CACHE_BYTES, NULL));
    double bytes_per_series = cache_bytes / ((double)o.n_servers * FLEET_METRICS * FLEET_POINTS);
    if (o.json) {
        printf("{\"bench\": \"validate_step\", \"cache_bytes_per_series\": %.0f}\n",
               bytes_per_series);
    } else {
        printf("validate_step caches: %.0f bytes per series\n", bytes_per_series);
    }
    struct rate hit = measure(&w, messages, o.n_servers, o.n_rounds);
    report("hit", hit, o.json, (double)w.n_bytes_out / (double)w.n_samples);
    otlp_fleet_free_messages(messages, o.n_servers);

    uint64_t n_samples = 0;
    struct rate miss = {0};
    for (unsigned i = 0; i < 3; i++) { /* new cuts each time */
        messages = otlp_fleet_messages(t, o.n_servers, 2);
        struct rate r = measure(&w, messages, (size_t)o.n_servers * 2, 1);
        n_samples += w.n_samples;
        miss.samples_per_s += r.samples_per_s / 3;
        miss.cpu_s_per_million += r.cpu_s_per_million / 3;
        otlp_fleet_free_messages(messages, (size_t)o.n_servers * 2);
    }
    report("miss", miss, o.json, (double)w.n_bytes_out / (double)w.n_samples);
    check_all_valid(&w);
    worker_close(&w);
    otlp_fleet_free(t);
    run_remote_write(REMOTE_WRITE_1, o.n_servers, o.n_rounds, o.json);
    run_remote_write(REMOTE_WRITE_2, o.n_servers, o.n_rounds, o.json);
    return n_samples == 0;
}
