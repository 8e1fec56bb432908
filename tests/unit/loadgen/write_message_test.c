#include "write_message.h"

#include "../runner.h"
#include "load.h"
#include "native.h"
#include "remote_write.pb-c.h"

static const char *label(const Prometheus__TimeSeries *ts, const char *name)
{
    for (size_t i = 0; i < ts->n_labels; i++) {
        if (strcmp(ts->labels[i]->name, name) == 0) {
            return ts->labels[i]->value;
        }
    }
    return "";
}

static void labels_check(const Prometheus__TimeSeries *ts, const struct model_series *s,
                         const struct model_server *names, bool forbidden)
{
    ck_assert_uint_eq(ts->n_labels, forbidden ? 9 : 8);
    for (size_t i = 1; i < ts->n_labels; i++) {
        ck_assert_int_lt(strcmp(ts->labels[i - 1]->name, ts->labels[i]->name), 0);
    }
    ck_assert_str_eq(label(ts, "__name__"), s->metric->prometheus);
    ck_assert_str_eq(label(ts, "az"), names->az);
    ck_assert_str_eq(label(ts, "build_id"), names->build_id);
    ck_assert_str_eq(label(ts, "cluster"), names->cluster);
    ck_assert_str_eq(label(ts, "instance_type"), names->instance_type);
    ck_assert_str_eq(label(ts, "region"), names->region);
    ck_assert_str_eq(label(ts, "shard_id"), names->shard_id);
    ck_assert_str_eq(label(ts, s->metric->dimension), s->dimension_value);
    ck_assert_str_eq(label(ts, "player_id"), forbidden ? "p-10000001" : "");
}

/* By the verifier's own decoder. */
static void histogram_check(const Prometheus__TimeSeries *ts, const struct model_histogram *h,
                            int64_t time_ms)
{
    struct native_histogram expected;
    struct native_histogram seen;
    struct err e = ERR_INIT;
    uint8_t bytes[4096];
    ck_assert_uint_eq(ts->n_histograms, 1);
    ck_assert_uint_lt(prometheus__histogram__get_packed_size(ts->histograms[0]), sizeof bytes);
    size_t n = prometheus__histogram__pack(ts->histograms[0], bytes);
    ck_assert_msg(native_decode(slice_of(bytes, n), &seen, &e), "%s", e.text);
    native_expect(h, &expected);
    ck_assert(native_equal(&expected, &seen));
    ck_assert_int_eq(seen.time_ms, time_ms);
}

static void message_check(struct write_message *w, uint32_t server, int64_t step)
{
    const struct model *m = w->model;
    struct epoch epoch = model_epoch(m, server, step);
    int64_t time_ms = model_time_ms(m, server, step);
    bool forbidden = model_forbidden(m, server, step);
    struct model_server names;
    struct slice bytes = write_message_encode(w, server, step);
    Prometheus__WriteRequest *request =
        prometheus__write_request__unpack(NULL, bytes.len, bytes.ptr);
    ck_assert_ptr_nonnull(request);
    ck_assert_uint_eq(request->n_timeseries, m->p.n_series);
    model_server(m, server, &names);
    for (uint32_t i = 0; i < m->p.n_series; i++) {
        const Prometheus__TimeSeries *ts = request->timeseries[i];
        labels_check(ts, &m->series[i], &names, forbidden && model_series_forbidden(m, i));
        if (m->series[i].is_histogram) {
            struct model_histogram h;
            model_histogram(m, server, i, step, epoch, &h);
            histogram_check(ts, &h, time_ms);
            continue;
        }
        int64_t number = model_counter(m, server, i, step, epoch);
        ck_assert_uint_eq(ts->n_samples, 1);
        ck_assert_int_eq(ts->samples[0]->timestamp, time_ms);
        ck_assert(ts->samples[0]->value == model_value(m, i, number));
    }
    prometheus__write_request__free_unpacked(request, NULL);
}

static void load_check(struct model_params p, int64_t n_steps)
{
    struct model m;
    struct write_message w;
    load_open(&m, p);
    write_message_init(&w, &m);
    for (int64_t step = 0; step < n_steps; step++) {
        for (uint32_t server = 0; server < p.n_servers; server++) {
            message_check(&w, server, step);
        }
    }
    write_message_fini(&w);
    model_fini(&m);
}

START_TEST(messages_are_what_the_model_says)
{
    load_check(load_params(), 3);
    load_check(load_unruly(), 8);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loadgen write message");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, messages_are_what_the_model_says);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
