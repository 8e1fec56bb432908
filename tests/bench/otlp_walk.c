/* How fast OTLP is walked: messages of 2,000 game servers, 300 points each (6 attributes; one in
 * ten an exponential histogram of 20 to 60 buckets a side), every point's series looked up in a
 * table of all of them: 600,000 series, far beyond the processor's caches. In the same run the same
 * messages through protobuf-c's unpack, without a lookup. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/table.h"
#include "fleet_options.h"
#include "otlp_fleet.h"
#include "otlp_metrics.pb-c.h"
#include "wire/otlp.h"

struct tally {
    struct table series;
    uint64_t n_points;
    uint64_t n_known;
    double sum;
    uint64_t n_counts;
};

static bool take_point(void *ctx, const struct otlp_metric *m, const struct otlp_point *p,
                       struct err *e)
{
    struct tally *t = ctx;
    (void)m;
    t->n_points++;
    t->sum += p->value + p->sum + (double)(p->time_ns & 1);
    t->n_counts += p->positive.n + p->negative.n;
    if (table_find(&t->series, p->series_key) != NULL) {
        t->n_known++;
        return true;
    }
    return table_put(&t->series, p->series_key, t, 0) || err_set(e, ERR_FATAL, "out of memory");
}

static void expect_series(void *ctx, struct hash128 series_key)
{
    const struct tally *t = ctx;
    table_prefetch(&t->series, series_key);
}

static void walk_all(const struct otlp_message *messages, unsigned n_servers, struct tally *t)
{
    struct arena scratch;
    struct err e = ERR_INIT;
    arena_init(&scratch, 1 << 20);
    struct otlp_sink sink = {.ctx = t, .point = take_point, .expect = expect_series};
    for (unsigned s = 0; s < n_servers; s++) {
        if (!otlp_walk(messages[s].bytes, &otlp_default_caps, &scratch, &sink, &e)) {
            fprintf(stderr, "%s\n", e.text);
            exit(1);
        }
    }
    arena_fini(&scratch);
}

static void unpack_all(const struct otlp_message *messages, unsigned n_servers)
{
    for (unsigned s = 0; s < n_servers; s++) {
        Otlp__MetricsData *data =
            otlp__metrics_data__unpack(NULL, messages[s].bytes.len, messages[s].bytes.ptr);
        if (data == NULL) {
            exit(1);
        }
        otlp__metrics_data__free_unpacked(data, NULL);
    }
}

struct rate {
    double samples_per_s;
    double cpu_s_per_million;
};

static struct rate rate_of(int64_t cpu_ns, int64_t wall_ns, uint64_t n_samples)
{
    return (struct rate){(double)n_samples * 1e9 / (double)wall_ns,
                         (double)cpu_ns / 1e3 / (double)n_samples};
}

static struct rate measure_walk(const struct otlp_message *messages, unsigned n_servers, unsigned n_rounds,
                                struct tally *t)
{
    walk_all(messages, n_servers, t); /* learns the series */
    t->n_points = 0;
    t->n_known = 0;
    int64_t wall_ns = clock_mono_ns();
    int64_t cpu_ns = clock_cpu_ns();
    for (unsigned i = 0; i < n_rounds; i++) {
        walk_all(messages, n_servers, t);
    }
    cpu_ns = clock_cpu_ns() - cpu_ns;
    if (t->n_known != t->n_points) {
        fprintf(stderr, "series not found again\n");
        exit(1);
    }
    return rate_of(cpu_ns, clock_mono_ns() - wall_ns, t->n_points);
}

static struct rate measure_unpack(const struct otlp_message *messages, unsigned n_servers)
{
    int64_t wall_ns = clock_mono_ns();
    int64_t cpu_ns = clock_cpu_ns();
    unpack_all(messages, n_servers);
    cpu_ns = clock_cpu_ns() - cpu_ns;
    return rate_of(cpu_ns, clock_mono_ns() - wall_ns, (uint64_t)n_servers * FLEET_METRICS * FLEET_POINTS);
}

int main(int argc, char **argv)
{
    struct fleet_options o = {.n_servers = 2000, .n_rounds = 10};
    if (!fleet_options_read(argc, argv, &o)) {
        return 2;
    }
    struct otlp_fleet *fleet = otlp_fleet_new();
    struct otlp_message *messages = otlp_fleet_messages(fleet, o.n_servers, 1);
    size_t n_bytes = 0;
    for (unsigned s = 0; s < o.n_servers; s++) {
        n_bytes += messages[s].bytes.len;
    }
    struct tally t = {0};
    table_init(&t.series, 0, NULL);
    struct rate walk = measure_walk(messages, o.n_servers, o.n_rounds, &t);
    struct rate unpack = measure_unpack(messages, o.n_servers);
    size_t message_bytes = n_bytes / (o.n_servers == 0 ? 1 : o.n_servers);
    if (o.json) {
        printf(
            "{\"bench\": \"otlp_walk\", \"servers\": %u, \"series\": %zu, \"message_bytes\": %zu, "
            "\"samples_per_s\": %.0f, \"cpu_s_per_million\": %.4f, "
            "\"protobuf_c\": {\"samples_per_s\": %.0f, \"cpu_s_per_million\": %.4f}}\n",
            o.n_servers, t.series.n, message_bytes, walk.samples_per_s, walk.cpu_s_per_million,
            unpack.samples_per_s, unpack.cpu_s_per_million);
    } else {
        printf("otlp_walk: %.2f M samples/s, %.3f CPU-s per million (goal: 6 M/s); protobuf-c "
               "unpack alone: "
               "%.2f M/s, %.3f; %u servers, %zu series, messages of %zu bytes\n",
               walk.samples_per_s / 1e6, walk.cpu_s_per_million, unpack.samples_per_s / 1e6,
               unpack.cpu_s_per_million, o.n_servers, t.series.n, message_bytes);
    }
    otlp_fleet_free_messages(messages, o.n_servers);
    otlp_fleet_free(fleet);
    table_fini(&t.series);
    return 0;
}
