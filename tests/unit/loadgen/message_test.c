#include "message.h"

#include "../runner.h"
#include "load.h"
#include "otlp_metrics.pb-c.h"

static const char *attribute(Otlp__KeyValue **list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i]->key, name) == 0) {
            return list[i]->value->string_value;
        }
    }
    return "";
}

struct scrape {
    const struct model *m;
    uint32_t server;
    int64_t step;
    struct epoch epoch;
    struct model_server names;
    bool forbidden;
};

static void labels_check(const struct scrape *at, uint32_t series, Otlp__KeyValue **list, size_t n)
{
    const struct model_series *s = &at->m->series[series];
    bool marked = at->forbidden && model_series_forbidden(at->m, series);
    ck_assert_uint_eq(n, marked ? 8 : 7);
    ck_assert_str_eq(attribute(list, n, "az"), at->names.az);
    ck_assert_str_eq(attribute(list, n, "build_id"), at->names.build_id);
    ck_assert_str_eq(attribute(list, n, "cluster"), at->names.cluster);
    ck_assert_str_eq(attribute(list, n, "instance_type"), at->names.instance_type);
    ck_assert_str_eq(attribute(list, n, "region"), at->names.region);
    ck_assert_str_eq(attribute(list, n, "shard_id"), at->names.shard_id);
    ck_assert_str_eq(attribute(list, n, s->metric->dimension), s->dimension_value);
    ck_assert_str_eq(attribute(list, n, "player_id"), marked ? "p-10000001" : "");
}

static void number_check(const struct scrape *at, uint32_t series, const Otlp__NumberDataPoint *p)
{
    int64_t number = model_counter(at->m, at->server, series, at->step, at->epoch);
    ck_assert_uint_eq(p->time_unix_nano, model_time_ns(at->m, at->server, at->step));
    ck_assert_uint_eq(p->start_time_unix_nano, model_start_ns(at->m, at->server, at->epoch));
    if (at->m->series[series].metric->is_double) {
        ck_assert_int_eq(p->value_case, OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE);
        ck_assert(p->as_double == (double)number / 1024);
    } else {
        ck_assert_int_eq(p->value_case, OTLP__NUMBER_DATA_POINT__VALUE_AS_INT);
        ck_assert_int_eq(p->as_int, number);
    }
    labels_check(at, series, p->attributes, p->n_attributes);
}

static void histogram_check(const struct scrape *at, uint32_t series,
                            const Otlp__ExponentialHistogramDataPoint *p)
{
    struct model_histogram h;
    model_histogram(at->m, at->server, series, at->step, at->epoch, &h);
    ck_assert_uint_eq(p->time_unix_nano, model_time_ns(at->m, at->server, at->step));
    ck_assert_uint_eq(p->start_time_unix_nano, model_start_ns(at->m, at->server, at->epoch));
    ck_assert_uint_eq(p->count, h.count);
    ck_assert(p->sum == h.sum);
    ck_assert_int_eq(p->scale, h.scale);
    ck_assert_uint_eq(p->zero_count, h.zero_count);
    ck_assert_int_eq(p->positive->offset, h.offset);
    ck_assert_uint_eq(p->positive->n_bucket_counts, h.n_buckets);
    for (uint32_t i = 0; i < h.n_buckets; i++) {
        ck_assert_uint_eq(p->positive->bucket_counts[i], h.counts[i]);
    }
    labels_check(at, series, p->attributes, p->n_attributes);
}

/* All series in the model's order; gives how many there were. */
static uint32_t metrics_check(const struct scrape *at, const Otlp__ScopeMetrics *scope)
{
    uint32_t series = 0;
    for (size_t i = 0; i < scope->n_metrics; i++) {
        const Otlp__Metric *metric = scope->metrics[i];
        ck_assert_str_eq(metric->name, at->m->series[series].metric->name);
        ck_assert_str_eq(metric->unit, at->m->series[series].metric->unit);
        if (metric->data_case == OTLP__METRIC__DATA_SUM) {
            ck_assert(metric->sum->is_monotonic);
            ck_assert_int_eq(metric->sum->aggregation_temporality, 2);
            for (size_t k = 0; k < metric->sum->n_data_points; k++) {
                number_check(at, series++, metric->sum->data_points[k]);
            }
            continue;
        }
        ck_assert_int_eq(metric->data_case, OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM);
        const Otlp__ExponentialHistogram *h = metric->exponential_histogram;
        ck_assert_int_eq(h->aggregation_temporality, 2);
        for (size_t k = 0; k < h->n_data_points; k++) {
            histogram_check(at, series++, h->data_points[k]);
        }
    }
    return series;
}

/* Unpacks, compares with the model, and packs again: the same bytes. */
static void message_check(const struct scrape *at, struct slice bytes)
{
    Otlp__MetricsData *data = otlp__metrics_data__unpack(NULL, bytes.len, bytes.ptr);
    ck_assert_ptr_nonnull(data);
    ck_assert_uint_eq(data->n_resource_metrics, 1);
    const Otlp__ResourceMetrics *rm = data->resource_metrics[0];
    ck_assert_str_eq(attribute(rm->resource->attributes, rm->resource->n_attributes,
                               "service.instance.id"),
                     at->names.source);
    ck_assert_str_eq(attribute(rm->resource->attributes, rm->resource->n_attributes, "shard_id"),
                     at->names.shard_id);
    ck_assert_uint_eq(rm->n_scope_metrics, 1);
    ck_assert_uint_eq(metrics_check(at, rm->scope_metrics[0]), at->m->p.n_series);

    size_t len = otlp__metrics_data__get_packed_size(data);
    uint8_t *again = malloc(len + 1);
    ck_assert_ptr_nonnull(again);
    (void)otlp__metrics_data__pack(data, again);
    ck_assert(slice_eq(slice_of(again, len), bytes));
    free(again);
    otlp__metrics_data__free_unpacked(data, NULL);
}

static void load_check(struct model_params p, int64_t n_steps)
{
    struct model m;
    struct message w;
    struct err e = ERR_INIT;
    load_open(&m, p);
    ck_assert_msg(message_init(&w, &m, &e), "%s", e.text);
    for (int64_t step = 0; step < n_steps; step++) {
        for (uint32_t server = 0; server < p.n_servers; server++) {
            struct scrape at = {.m = &m, .server = server, .step = step};
            at.epoch = model_epoch(&m, server, step);
            at.forbidden = model_forbidden(&m, server, step);
            model_server(&m, server, &at.names);
            message_check(&at, message_encode(&w, server, step));
        }
    }
    message_fini(&w);
    model_fini(&m);
}

START_TEST(messages_are_what_the_model_says)
{
    load_check(load_params(), 4);
}
END_TEST

/* Resets (values from 0 on), restarts and the longer messages with forbidden labels between the
 * others: no template leaks into another. */
START_TEST(unruly_messages_are_what_the_model_says)
{
    load_check(load_unruly(), 16);
}
END_TEST

START_TEST(any_number_of_series)
{
    static const uint32_t numbers[] = {1, 9, 10, 11, 27, 28, 299, 301, 2000};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct model_params p = load_params();
        p.n_series = numbers[i];
        load_check(p, 2);
    }
}
END_TEST

/* Far steps: holes and varints of large values. */
START_TEST(large_values)
{
    struct model_params p = load_params();
    struct model m;
    struct message w;
    struct err e = ERR_INIT;
    p.interval_ms = 1;
    load_open(&m, p);
    ck_assert(message_init(&w, &m, &e));
    for (int64_t step = 1; step < INT64_C(1) << 21; step *= 2) {
        struct scrape at = {.m = &m, .server = 1, .step = step, .epoch = {0, 0}};
        model_server(&m, 1, &at.names);
        message_check(&at, message_encode(&w, 1, step));
    }
    message_fini(&w);
    model_fini(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loadgen message");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    suite_add_tcase(suite, all);
    tcase_add_test(all, messages_are_what_the_model_says);
    tcase_add_test(all, unruly_messages_are_what_the_model_says);
    tcase_add_test(all, any_number_of_series);
    tcase_add_test(all, large_values);
    return run_suite(suite);
}
