/* How fast OTLP is walked: messages of 2,000 game servers, 300 points each (6 attributes; one in
 * ten an exponential histogram of 20 to 60 buckets a side), every point's series looked up in a
 * table of all of them: 600,000 series, far beyond the processor's caches. In the same run the same
 * messages through protobuf-c's unpack, without a lookup. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/table.h"
#include "otlp_metrics.pb-c.h"
#include "wire/otlp.h"

enum { N_METRICS = 30, N_POINTS = 10, N_ATTRIBUTES = 6, MAX_SIDE = 60, EXP_EVERY = 10 };

static const char *const label_names[N_ATTRIBUTES] = {"region", "game_mode", "map",
                                                      "queue",  "platform",  "result"};
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
    Otlp__KeyValue resource_attribute, *resource_attributes[1];
    Otlp__AnyValue resource_value;
    char server[64];
    Otlp__Metric metrics[N_METRICS], *metric_list[N_METRICS];
    char names[N_METRICS][64];
    Otlp__Sum sums[N_METRICS];
    Otlp__ExponentialHistogram histograms[N_METRICS];
    Otlp__NumberDataPoint numbers[N_METRICS][N_POINTS], *number_list[N_METRICS][N_POINTS];
    Otlp__ExponentialHistogramDataPoint exps[N_METRICS][N_POINTS], *exp_list[N_METRICS][N_POINTS];
    Otlp__ExponentialHistogramDataPoint__Buckets sides[N_METRICS][N_POINTS][2];
    uint64_t counts[N_METRICS][N_POINTS][2][MAX_SIDE];
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
    build_attributes(t);
    for (unsigned m = 0; m < N_METRICS; m++) {
        build_metric(t, m);
    }
    otlp__any_value__init(&t->resource_value);
    t->resource_value.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
    t->resource_value.string_value = t->server;
    otlp__key_value__init(&t->resource_attribute);
    t->resource_attribute.key = text("service.instance.id");
    t->resource_attribute.value = &t->resource_value;
    t->resource_attributes[0] = &t->resource_attribute;
    otlp__resource__init(&t->resource);
    t->resource.n_attributes = 1;
    t->resource.attributes = t->resource_attributes;
    otlp__instrumentation_scope__init(&t->scope);
    t->scope.name = text("game.metrics");
    otlp__scope_metrics__init(&t->scope_metrics);
    t->scope_metrics.scope = &t->scope;
    t->scope_metrics.n_metrics = N_METRICS;
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
    const uint64_t now_ns = UINT64_C(1780000000000000000);
    (void)snprintf(t->server, sizeof t->server, "game-server-%05u", server);
    for (unsigned m = 0; m < N_METRICS; m++) {
        for (unsigned p = 0; p < N_POINTS; p++) {
            t->numbers[m][p].start_time_unix_nano = t->exps[m][p].start_time_unix_nano =
                now_ns - server * UINT64_C(1000000);
            t->numbers[m][p].time_unix_nano = t->exps[m][p].time_unix_nano = now_ns;
            t->numbers[m][p].as_double = (double)(random_next() % 1000000);
            if (m % EXP_EVERY == 0) {
                fill_exp(t, m, p);
            }
        }
    }
}

static struct slice *build_messages(unsigned n_servers, size_t *n_bytes)
{
    struct tree *t = calloc(1, sizeof *t);
    struct slice *messages = calloc(n_servers, sizeof *messages);
    if (t == NULL || messages == NULL) {
        exit(1);
    }
    build_tree(t);
    for (unsigned s = 0; s < n_servers; s++) {
        fill_tree(t, s);
        uint8_t *bytes = malloc(otlp__metrics_data__get_packed_size(&t->data));
        if (bytes == NULL) {
            exit(1);
        }
        messages[s] = slice_of(bytes, otlp__metrics_data__pack(&t->data, bytes));
        *n_bytes += messages[s].len;
    }
    return messages;
}

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

static void walk_all(const struct slice *messages, unsigned n_servers, struct tally *t)
{
    struct arena scratch;
    struct err e = ERR_INIT;
    arena_init(&scratch, 1 << 20);
    struct otlp_sink sink = {.ctx = t, .point = take_point, .expect = expect_series};
    for (unsigned s = 0; s < n_servers; s++) {
        if (!otlp_walk(messages[s], &otlp_default_caps, &scratch, &sink, &e)) {
            fprintf(stderr, "%s\n", e.text);
            exit(1);
        }
    }
    arena_fini(&scratch);
}

static void unpack_all(const struct slice *messages, unsigned n_servers)
{
    for (unsigned s = 0; s < n_servers; s++) {
        Otlp__MetricsData *data =
            otlp__metrics_data__unpack(NULL, messages[s].len, messages[s].ptr);
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

static struct rate measure_walk(const struct slice *messages, unsigned n_servers, unsigned n_rounds,
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

static struct rate measure_unpack(const struct slice *messages, unsigned n_servers)
{
    int64_t wall_ns = clock_mono_ns();
    int64_t cpu_ns = clock_cpu_ns();
    unpack_all(messages, n_servers);
    cpu_ns = clock_cpu_ns() - cpu_ns;
    return rate_of(cpu_ns, clock_mono_ns() - wall_ns, (uint64_t)n_servers * N_METRICS * N_POINTS);
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
    size_t n_bytes = 0;
    struct slice *messages = build_messages(n_servers, &n_bytes);
    struct tally t = {0};
    table_init(&t.series, 0, NULL);
    struct rate walk = measure_walk(messages, n_servers, n_rounds, &t);
    struct rate unpack = measure_unpack(messages, n_servers);
    size_t message_bytes = n_bytes / (n_servers == 0 ? 1 : n_servers);
    if (json) {
        printf(
            "{\"bench\": \"otlp_walk\", \"servers\": %u, \"series\": %zu, \"message_bytes\": %zu, "
            "\"samples_per_s\": %.0f, \"cpu_s_per_million\": %.4f, "
            "\"protobuf_c\": {\"samples_per_s\": %.0f, \"cpu_s_per_million\": %.4f}}\n",
            n_servers, t.series.n, message_bytes, walk.samples_per_s, walk.cpu_s_per_million,
            unpack.samples_per_s, unpack.cpu_s_per_million);
    } else {
        printf("otlp_walk: %.2f M samples/s, %.3f CPU-s per million (goal: 6 M/s); protobuf-c "
               "unpack alone: "
               "%.2f M/s, %.3f; %u servers, %zu series, messages of %zu bytes\n",
               walk.samples_per_s / 1e6, walk.cpu_s_per_million, unpack.samples_per_s / 1e6,
               unpack.cpu_s_per_million, n_servers, t.series.n, message_bytes);
    }
    for (unsigned s = 0; s < n_servers; s++) {
        free((void *)(uintptr_t)messages[s].ptr);
    }
    free(messages);
    table_fini(&t.series);
    return 0;
}
