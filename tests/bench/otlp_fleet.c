#include "otlp_fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "otlp_metrics.pb-c.h"

enum { N_ATTRIBUTES = 6, MAX_SIDE = 60, EXP_EVERY = 10 };

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
struct otlp_fleet {
    bool has_histograms;
    Otlp__MetricsData data;
    Otlp__ResourceMetrics resource_metrics, *resource_metrics_list[1];
    Otlp__Resource resource;
    Otlp__ScopeMetrics scope_metrics, *scope_metrics_list[1];
    Otlp__InstrumentationScope scope;
    Otlp__KeyValue resource_attribute[2], *resource_attributes[2];
    Otlp__AnyValue resource_value;
    char server[64];
    Otlp__Metric metrics[FLEET_METRICS], *metric_list[FLEET_METRICS];
    char names[FLEET_METRICS][64];
    Otlp__Sum sums[FLEET_METRICS];
    Otlp__ExponentialHistogram histograms[FLEET_METRICS];
    Otlp__NumberDataPoint numbers[FLEET_METRICS][FLEET_POINTS],
        *number_list[FLEET_METRICS][FLEET_POINTS];
    Otlp__ExponentialHistogramDataPoint exps[FLEET_METRICS][FLEET_POINTS],
        *exp_list[FLEET_METRICS][FLEET_POINTS];
    Otlp__ExponentialHistogramDataPoint__Buckets sides[FLEET_METRICS][FLEET_POINTS][2];
    uint64_t counts[FLEET_METRICS][FLEET_POINTS][2][MAX_SIDE];
    Otlp__KeyValue attributes[FLEET_POINTS][N_ATTRIBUTES],
        *attribute_list[FLEET_POINTS][N_ATTRIBUTES];
    Otlp__AnyValue values[FLEET_POINTS][N_ATTRIBUTES];
};

static char *text(const char *s)
{
    return strdup(s); /* the tree lives as long as the program */
}

static void build_attributes(struct otlp_fleet *t)
{
    for (unsigned p = 0; p < FLEET_POINTS; p++) {
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

static void build_number(struct otlp_fleet *t, unsigned m, unsigned p)
{
    Otlp__NumberDataPoint *point = &t->numbers[m][p];
    otlp__number_data_point__init(point);
    point->n_attributes = N_ATTRIBUTES;
    point->attributes = t->attribute_list[p];
    point->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
    t->number_list[m][p] = point;
}

static void build_exp(struct otlp_fleet *t, unsigned m, unsigned p)
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

static bool is_exp(const struct otlp_fleet *t, unsigned m)
{
    return t->has_histograms && m % EXP_EVERY == 0;
}

static void build_metric(struct otlp_fleet *t, unsigned m)
{
    Otlp__Metric *metric = &t->metrics[m];
    otlp__metric__init(metric);
    (void)snprintf(t->names[m], sizeof t->names[m], "game.server.matchmaking.step_%u", m);
    metric->name = t->names[m];
    metric->unit = text(is_exp(t, m) ? "ms" : "{event}");
    t->metric_list[m] = metric;
    for (unsigned p = 0; p < FLEET_POINTS; p++) {
        build_number(t, m, p);
        build_exp(t, m, p);
    }
    if (is_exp(t, m)) {
        otlp__exponential_histogram__init(&t->histograms[m]);
        t->histograms[m].n_data_points = FLEET_POINTS;
        t->histograms[m].data_points = t->exp_list[m];
        t->histograms[m].aggregation_temporality =
            OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
        metric->data_case = OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM;
        metric->exponential_histogram = &t->histograms[m];
        return;
    }
    otlp__sum__init(&t->sums[m]);
    t->sums[m].n_data_points = FLEET_POINTS;
    t->sums[m].data_points = t->number_list[m];
    t->sums[m].aggregation_temporality =
        OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
    t->sums[m].is_monotonic = 1;
    metric->data_case = OTLP__METRIC__DATA_SUM;
    metric->sum = &t->sums[m];
}

static struct otlp_fleet *fleet_new(bool has_histograms)
{
    struct otlp_fleet *t = calloc(1, sizeof *t);
    if (t == NULL) {
        exit(1);
    }
    t->has_histograms = has_histograms;
    static const char *const names[2] = {"service.instance.id", "shard_id"};
    build_attributes(t);
    for (unsigned m = 0; m < FLEET_METRICS; m++) {
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
    t->scope_metrics.n_metrics = FLEET_METRICS;
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
    return t;
}

struct otlp_fleet *otlp_fleet_new(void)
{
    return fleet_new(true);
}

struct otlp_fleet *otlp_fleet_new_sums(void)
{
    return fleet_new(false);
}

void otlp_fleet_free(struct otlp_fleet *t)
{
    free(t);
}

static void fill_exp(struct otlp_fleet *t, unsigned m, unsigned p)
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

static void fill_tree(struct otlp_fleet *t, unsigned server)
{
    const uint64_t now_ns = (uint64_t)FLEET_NOW_MS * 1000000;
    (void)snprintf(t->server, sizeof t->server, "game-server-%05u", server);
    for (unsigned m = 0; m < FLEET_METRICS; m++) {
        for (unsigned p = 0; p < FLEET_POINTS; p++) {
            t->numbers[m][p].start_time_unix_nano = t->exps[m][p].start_time_unix_nano =
                now_ns - (server + 1) * UINT64_C(1000000000);
            t->numbers[m][p].time_unix_nano = t->exps[m][p].time_unix_nano = now_ns;
            t->numbers[m][p].as_double = (double)(random_next() % 1000000);
            if (is_exp(t, m)) {
                fill_exp(t, m, p);
            }
        }
    }
}

static struct otlp_message pack(struct otlp_fleet *t)
{
    size_t n = otlp__metrics_data__get_packed_size(&t->data);
    uint8_t *bytes = malloc(n);
    if (bytes == NULL) {
        exit(1);
    }
    return (struct otlp_message){slice_of(bytes, otlp__metrics_data__pack(&t->data, bytes)),
                                 (unsigned)t->scope_metrics.n_metrics * FLEET_POINTS};
}

struct otlp_message *otlp_fleet_messages(struct otlp_fleet *t, unsigned n_servers, unsigned parts)
{
    struct otlp_message *messages = calloc((size_t)n_servers * parts, sizeof *messages);
    if (messages == NULL) {
        exit(1);
    }
    for (unsigned s = 0; s < n_servers; s++) {
        fill_tree(t, s);
        unsigned cut = parts == 1 ? 0 : 1 + (unsigned)(random_next() % (FLEET_METRICS - 1));
        for (unsigned i = 0; i < parts; i++) {
            unsigned first = i == 0 ? 0 : cut;
            t->scope_metrics.metrics = t->metric_list + first;
            t->scope_metrics.n_metrics = parts == 1 ? FLEET_METRICS
                                         : i == 0   ? cut
                                                    : FLEET_METRICS - cut;
            messages[(size_t)s * parts + i] = pack(t);
        }
    }
    t->scope_metrics.metrics = t->metric_list;
    t->scope_metrics.n_metrics = FLEET_METRICS;
    return messages;
}

void otlp_fleet_free_messages(struct otlp_message *messages, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)messages[i].bytes.ptr);
    }
    free(messages);
}
