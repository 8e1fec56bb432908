/* What one record costs in validate's step, in memory: OTLP messages of 2,000 game servers, 300
 * points each (6 attributes; one in ten an exponential histogram of 20 to 60 buckets a side), the
 * output forgotten after 256 records as after a transaction. Hit path: the same messages again.
 * Miss path: each message cut at a random place, as a sender's batch processor does, so that the
 * sequence of series is new each time (series known). Learn path: all caches cold. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "otlp_metrics.pb-c.h"
#include "validate.h"

enum { N_NAMES = 30, N_POINTS = 10, N_ATTRIBUTES = 6, MAX_SIDE = 60, EXP_EVERY = 10, BOX = 256 };

static const int64_t now_ms = INT64_C(1780000000000);
static const char *const label_names[N_ATTRIBUTES] = {"region", "cluster",       "az",
                                                      "queue",  "instance_type", "asn_bucket"};
static const char *const label_values[N_ATTRIBUTES][4] = {
    {"eu-central-1", "us-east-1", "ap-northeast-1", "sa-east-1"},
    {"battle_royale", "team_deathmatch", "capture_the_flag", "duel"},
    {"frozen_harbour", "old_town", "desert_station", "orbital"},
    {"ranked", "casual", "custom", "tournament"},
    {"playstation", "windows", "xbox", "mobile"},
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

/* One message's tree for protobuf-c: built once, values changed for each server. */
struct tree {
    Otlp__MetricsData data;
    Otlp__ResourceMetrics resource_metrics, *resource_metrics_list[1];
    Otlp__Resource resource;
    Otlp__ScopeMetrics scope_metrics, *scope_metrics_list[1];
    Otlp__InstrumentationScope scope;
    Otlp__KeyValue resource_attribute[2], *resource_attributes[2];
    Otlp__AnyValue resource_value;
    char server[64];
    Otlp__Metric metrics[N_NAMES], *metric_list[N_NAMES];
    char names[N_NAMES][64];
    Otlp__Sum sums[N_NAMES];
    Otlp__ExponentialHistogram histograms[N_NAMES];
    Otlp__NumberDataPoint numbers[N_NAMES][N_POINTS], *number_list[N_NAMES][N_POINTS];
    Otlp__ExponentialHistogramDataPoint exps[N_NAMES][N_POINTS], *exp_list[N_NAMES][N_POINTS];
    Otlp__ExponentialHistogramDataPoint__Buckets sides[N_NAMES][N_POINTS][2];
    uint64_t counts[N_NAMES][N_POINTS][2][MAX_SIDE];
    Otlp__KeyValue attributes[N_POINTS][N_ATTRIBUTES], *attribute_list[N_POINTS][N_ATTRIBUTES];
    Otlp__AnyValue values[N_POINTS][N_ATTRIBUTES];
};

static char *text(const char *s)
{
    return strdup(s); /* the tree lives as long as the program */
}

static void build_attributes(struct tree *t)
{
    for (unsigned p = 0; p < N_POINTS; p++) {
        for (unsigned i = 0; i < N_ATTRIBUTES; i++) {
            otlp__any_value__init(&t->values[p][i]);
            t->values[p][i].value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
            t->values[p][i].string_value = text(label_values[i][(p >> (i % 3)) & 3]);
            otlp__key_value__init(&t->attributes[p][i]);
            t->attributes[p][i].key = text(label_names[i]);
            t->attributes[p][i].value = &t->values[p][i];
            t->attribute_list[p][i] = &t->attributes[p][i];
        }
    }
}

static void build_number(struct tree *t, unsigned m, unsigned p)
{
    Otlp__NumberDataPoint *point = &t->numbers[m][p];
    otlp__number_data_point__init(point);
    point->n_attributes = N_ATTRIBUTES;
    point->attributes = t->attribute_list[p];
    point->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
    t->number_list[m][p] = point;
}

static void build_exp(struct tree *t, unsigned m, unsigned p)
{
    Otlp__ExponentialHistogramDataPoint *point = &t->exps[m][p];
    otlp__exponential_histogram_data_point__init(point);
    point->n_attributes = N_ATTRIBUTES;
    point->attributes = t->attribute_list[p];
    point->scale = 3;
    point->sum_one_case = OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__SUM_ONE_SUM;
    point->positive = &t->sides[m][p][0];
    point->negative = &t->sides[m][p][1];
    for (unsigned side = 0; side < 2; side++) {
        otlp__exponential_histogram_data_point__buckets__init(&t->sides[m][p][side]);
        t->sides[m][p][side].bucket_counts = t->counts[m][p][side];
        t->sides[m][p][side].offset = -12;
    }
    t->exp_list[m][p] = point;
}

static void build_metric(struct tree *t, unsigned m)
{
    Otlp__Metric *metric = &t->metrics[m];
    otlp__metric__init(metric);
    (void)snprintf(t->names[m], sizeof t->names[m], "game.server.matchmaking.step_%u", m);
    metric->name = t->names[m];
    metric->unit = text(m % EXP_EVERY == 0 ? "ms" : "{event}");
    t->metric_list[m] = metric;
    for (unsigned p = 0; p < N_POINTS; p++) {
        build_number(t, m, p);
        build_exp(t, m, p);
    }
    if (m % EXP_EVERY == 0) {
        otlp__exponential_histogram__init(&t->histograms[m]);
        t->histograms[m].n_data_points = N_POINTS;
        t->histograms[m].data_points = t->exp_list[m];
        t->histograms[m].aggregation_temporality =
            OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
        metric->data_case = OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM;
        metric->exponential_histogram = &t->histograms[m];
        return;
    }
    otlp__sum__init(&t->sums[m]);
    t->sums[m].n_data_points = N_POINTS;
    t->sums[m].data_points = t->number_list[m];
    t->sums[m].aggregation_temporality =
        OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
    t->sums[m].is_monotonic = 1;
    metric->data_case = OTLP__METRIC__DATA_SUM;
    metric->sum = &t->sums[m];
}

static void build_tree(struct tree *t)
{
    static const char *const names[2] = {"service.instance.id", "shard_id"};
    build_attributes(t);
    for (unsigned m = 0; m < N_NAMES; m++) {
        build_metric(t, m);
    }
    otlp__any_value__init(&t->resource_value);
    t->resource_value.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
    t->resource_value.string_value = t->server;
    for (unsigned i = 0; i < 2; i++) {
        otlp__key_value__init(&t->resource_attribute[i]);
        t->resource_attribute[i].key = text(names[i]);
        t->resource_attribute[i].value = &t->resource_value;
        t->resource_attributes[i] = &t->resource_attribute[i];
    }
    otlp__resource__init(&t->resource);
    t->resource.n_attributes = 2;
    t->resource.attributes = t->resource_attributes;
    otlp__instrumentation_scope__init(&t->scope);
    t->scope.name = text("game.metrics");
    otlp__scope_metrics__init(&t->scope_metrics);
    t->scope_metrics.scope = &t->scope;
    t->scope_metrics.n_metrics = N_NAMES;
    t->scope_metrics.metrics = t->metric_list;
    t->scope_metrics_list[0] = &t->scope_metrics;
    otlp__resource_metrics__init(&t->resource_metrics);
    t->resource_metrics.resource = &t->resource;
    t->resource_metrics.n_scope_metrics = 1;
    t->resource_metrics.scope_metrics = t->scope_metrics_list;
    t->resource_metrics_list[0] = &t->resource_metrics;
    otlp__metrics_data__init(&t->data);
    t->data.n_resource_metrics = 1;
    t->data.resource_metrics = t->resource_metrics_list;
}

static void fill_exp(struct tree *t, unsigned m, unsigned p)
{
    Otlp__ExponentialHistogramDataPoint *point = &t->exps[m][p];
    point->zero_count = random_next() % 8;
    point->count = point->zero_count;
    for (unsigned side = 0; side < 2; side++) {
        unsigned n = 20 + (unsigned)(random_next() % 41);
        t->sides[m][p][side].n_bucket_counts = n;
        for (unsigned i = 0; i < n; i++) {
            t->counts[m][p][side][i] = random_next() % (random_next() % 2 == 0 ? 100 : 5000);
            point->count += t->counts[m][p][side][i];
        }
    }
    point->sum = (double)point->count * 1.5;
}

static void fill_tree(struct tree *t, unsigned server)
{
    const uint64_t now_ns = (uint64_t)now_ms * 1000000;
    (void)snprintf(t->server, sizeof t->server, "game-server-%05u", server);
    for (unsigned m = 0; m < N_NAMES; m++) {
        for (unsigned p = 0; p < N_POINTS; p++) {
            t->numbers[m][p].start_time_unix_nano = t->exps[m][p].start_time_unix_nano =
                now_ns - (server + 1) * UINT64_C(1000000000);
            t->numbers[m][p].time_unix_nano = t->exps[m][p].time_unix_nano = now_ns;
            t->numbers[m][p].as_double = (double)(random_next() % 1000000);
            if (m % EXP_EVERY == 0) {
                fill_exp(t, m, p);
            }
        }
    }
}

struct message {
    struct slice bytes;
    unsigned n_points;
};

static struct message pack(struct tree *t)
{
    size_t n = otlp__metrics_data__get_packed_size(&t->data);
    uint8_t *bytes = malloc(n);
    if (bytes == NULL) {
        exit(1);
    }
    return (struct message){slice_of(bytes, otlp__metrics_data__pack(&t->data, bytes)),
                            (unsigned)t->scope_metrics.n_metrics * N_POINTS};
}

/* parts: 1, or 2: the message's metrics cut at a random place. */
static struct message *build_messages(struct tree *t, unsigned n_servers, unsigned parts)
{
    struct message *messages = calloc((size_t)n_servers * parts, sizeof *messages);
    if (messages == NULL) {
        exit(1);
    }
    for (unsigned s = 0; s < n_servers; s++) {
        fill_tree(t, s);
        unsigned cut = parts == 1 ? 0 : 1 + (unsigned)(random_next() % (N_NAMES - 1));
        for (unsigned i = 0; i < parts; i++) {
            unsigned first = i == 0 ? 0 : cut;
            t->scope_metrics.metrics = t->metric_list + first;
            t->scope_metrics.n_metrics = parts == 1 ? N_NAMES : i == 0 ? cut : N_NAMES - cut;
            messages[(size_t)s * parts + i] = pack(t);
        }
    }
    t->scope_metrics.metrics = t->metric_list;
    t->scope_metrics.n_metrics = N_NAMES;
    return messages;
}

static void free_messages(struct message *messages, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)messages[i].bytes.ptr);
    }
    free(messages);
}

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

static void worker_run(struct worker *w, const struct message *messages, size_t n)
{
    struct err e = ERR_INIT;
    for (size_t i = 0; i < n; i++) {
        const struct record in = {.partition = &w->partition,
                                  .offset = (int64_t)i,
                                  .timestamp_ms = now_ms,
                                  .value = messages[i].bytes};
        if (!validate_step(w->validate, NULL, &in, now_ms, &w->out, &e)) {
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

struct rate {
    double samples_per_s;
    double cpu_s_per_million;
};

static struct rate measure(struct worker *w, const struct message *messages, size_t n,
                           unsigned n_rounds)
{
    w->n_samples = 0;
    w->n_bytes_out = 0;
    int64_t wall_ns = clock_mono_ns();
    int64_t cpu_ns = clock_cpu_ns();
    for (unsigned i = 0; i < n_rounds; i++) {
        worker_run(w, messages, n);
    }
    cpu_ns = clock_cpu_ns() - cpu_ns;
    wall_ns = clock_mono_ns() - wall_ns;
    return (struct rate){(double)w->n_samples * 1e9 / (double)wall_ns,
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
        printf("validate_step %-5s %6.2f M samples/s, %.3f CPU-s per million, %.1f bytes out per "
               "sample\n",
               name, r.samples_per_s / 1e6, r.cpu_s_per_million, bytes_per_sample);
    }
}

int main(int argc, char **argv)
{
    unsigned n_servers = 2000;
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
            *(c == 's' ? &n_servers : &n_rounds) = (unsigned)strtoul(optarg, NULL, 10);
        } else {
            return 2;
        }
    }
    struct tree *t = calloc(1, sizeof *t);
    struct worker w;
    if (t == NULL) {
        return 1;
    }
    build_tree(t);
    worker_open(&w, (size_t)1 << 30);
    struct message *messages = build_messages(t, n_servers, 1);
    struct rate learn = measure(&w, messages, n_servers, 1);
    report("learn", learn, json, (double)w.n_bytes_out / (double)w.n_samples);
    validate_export(w.validate);
    double cache_bytes = cell_get(metrics_cell(w.metrics, M_SHAPE_CACHE_BYTES, NULL));
    double bytes_per_series = cache_bytes / ((double)n_servers * N_NAMES * N_POINTS);
    if (json) {
        printf("{\"bench\": \"validate_step\", \"cache_bytes_per_series\": %.0f}\n",
               bytes_per_series);
    } else {
        printf("validate_step caches: %.0f bytes per series\n", bytes_per_series);
    }
    struct rate hit = measure(&w, messages, n_servers, n_rounds);
    report("hit", hit, json, (double)w.n_bytes_out / (double)w.n_samples);
    free_messages(messages, n_servers);

    uint64_t n_samples = 0;
    struct rate miss = {0};
    for (unsigned i = 0; i < 3; i++) { /* new cuts each time */
        messages = build_messages(t, n_servers, 2);
        struct rate r = measure(&w, messages, (size_t)n_servers * 2, 1);
        n_samples += w.n_samples;
        miss.samples_per_s += r.samples_per_s / 3;
        miss.cpu_s_per_million += r.cpu_s_per_million / 3;
        free_messages(messages, (size_t)n_servers * 2);
    }
    report("miss", miss, json, (double)w.n_bytes_out / (double)w.n_samples);
    check_all_valid(&w);
    worker_close(&w);
    free(t);
    return n_samples == 0;
}
