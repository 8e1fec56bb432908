#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "prometheus.h"
#include "stored.h"

/* The query API's JSON of a range selector (HTTP API v1, "Native histograms"):
 *   {"data":{"result":[{"metric":{...},"histograms":[[s, {"count":"9","sum":"1.5",
 *    "buckets":[[rule,"low","high","count"],...]}],...]}]}}
 * Rule 0: (low, high]; rule 3, [low, high], is the zero bucket. The schema is not told: the bounds
 * must be those of the model's. */

enum {
    SAMPLES_PER_QUERY = 8000,
    MAX_FORM_BYTES = 1 << 20,
    MAX_ANSWER_BYTES = 1 << 30,
    MAX_URL_BYTES = 2048,
    SCHEMA = 3,
    RULE_UPPER_CLOSED = 0,
    RULE_BOTH_CLOSED = 3
};

struct histograms {
    struct reader *reader;
    struct http *http;
    char url[MAX_URL_BYTES];
    struct buf form;
    struct buf answer;
};

static bool number_of(const json_t *value, double *out)
{
    const char *text = json_string_value(value);
    if (text == NULL) {
        return false;
    }
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0';
}

static bool count_of(const json_t *value, uint64_t *out)
{
    double number;
    if (!number_of(value, &number) || !(number >= 0 && number < 0x1p63) || number != floor(number)) {
        return false;
    }
    *out = (uint64_t)number;
    return true;
}

/* The index whose bounds these are; false when they are of another schema. */
static bool index_of(double low, double high, int32_t *index)
{
    double per_octave = ldexp(1, SCHEMA);
    *index = (int32_t)lround(log2(high) * per_octave);
    double right_high = exp2(*index / per_octave);
    double right_low = exp2((*index - 1) / per_octave);
    return fabs(high - right_high) <= right_high * 1e-12 && fabs(low - right_low) <= right_low * 1e-12;
}

static bool bucket_read(const json_t *bucket, struct native_histogram *out)
{
    double low;
    double high;
    uint64_t count;
    if (!number_of(json_array_get(bucket, 1), &low) || !number_of(json_array_get(bucket, 2), &high) ||
        !count_of(json_array_get(bucket, 3), &count)) {
        return false;
    }
    json_int_t rule = json_integer_value(json_array_get(bucket, 0));
    if (rule == RULE_BOTH_CLOSED) {
        out->zero_threshold = high;
        out->zero_count = count;
        return low == -high;
    }
    if (rule != RULE_UPPER_CLOSED || low < 0) {
        out->has_negative = true;
        return true;
    }
    int32_t index = 0;
    if (!index_of(low, high, &index)) {
        out->schema = INT32_MIN; /* equals none of the model's */
        return true;
    }
    if (count == 0) {
        return true;
    }
    if (out->n_buckets == MAX_NATIVE_BUCKETS) {
        return false;
    }
    out->buckets[out->n_buckets++] = (struct native_bucket){index, count};
    return true;
}

static bool histogram_read(const json_t *point, struct native_histogram *out)
{
    const json_t *body = json_array_get(point, 1);
    const json_t *buckets = json_object_get(body, "buckets");
    *out = (struct native_histogram){.schema = SCHEMA};
    out->time_ms = llround(json_number_value(json_array_get(point, 0)) * 1000);
    if (!count_of(json_object_get(body, "count"), &out->count) ||
        !number_of(json_object_get(body, "sum"), &out->sum)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(buckets); i++) {
        if (!bucket_read(json_array_get(buckets, i), out)) {
            return false;
        }
    }
    return true;
}

/* Numbers under a histogram's name are wrong ones. */
static void numbers_see(struct histograms *q, const struct stored_series *s, const json_t *values,
                        const struct prometheus_window *w)
{
    for (size_t i = 0; i < json_array_size(values); i++) {
        struct sighting seen = {.start_ms = -1, .n_times = 1};
        seen.time_ms = llround(json_number_value(json_array_get(json_array_get(values, i), 0)) * 1000);
        if (seen.time_ms >= w->from_ms && seen.time_ms <= w->to_ms) {
            stored_see(s, q->reader, &seen);
        }
    }
}

static bool series_read(struct histograms *q, json_t *object, const struct prometheus_window *w,
                        struct err *e)
{
    struct stored_series s = {.n_labels = 0};
    if (!stored_labels_json(&s, json_object_get(object, "metric"))) {
        return err_set(e, ERR_FATAL, "%s: labels that can't be read", q->url);
    }
    stored_match(&s, q->reader);
    numbers_see(q, &s, json_object_get(object, "values"), w);
    const json_t *points = json_object_get(object, "histograms");
    for (size_t i = 0; i < json_array_size(points); i++) {
        struct native_histogram h;
        if (!histogram_read(json_array_get(points, i), &h)) {
            return err_set(e, ERR_FATAL, "%s: a histogram that can't be read", q->url);
        }
        struct sighting seen = {.start_ms = -1,
                                .n_times = 1,
                                .time_ms = h.time_ms,
                                .is_histogram = true,
                                .histogram = &h};
        /* Ranges include their left end or not, by version. */
        if (h.time_ms >= w->from_ms && h.time_ms <= w->to_ms) {
            stored_see(&s, q->reader, &seen);
        }
    }
    return true;
}

static void form_fill(struct histograms *q, const struct prometheus_window *w)
{
    buf_reset(&q->form);
    /* The names and shards need no escapes; %2B and the like are not in them, but | " { } are. */
    buf_printf(&q->form, "time=%" PRId64 ".%03" PRId64 "&query=%%7Bshard_id%%3D~%%22", w->to_ms / 1000,
               w->to_ms % 1000);
    prometheus_shards(q->reader->ledger->model, w, &q->form);
    buf_printf(&q->form, "%%22%%2C__name__%%3D~%%22");
    prometheus_histogram_names(&q->form);
    buf_printf(&q->form, "%%22%%7D%%5B%" PRId64 "ms%%5D", w->to_ms - w->from_ms + 1);
}

static bool histograms_query(void *ctx, const struct prometheus_window *w, struct err *e)
{
    struct histograms *q = ctx;
    form_fill(q, w);
    buf_reset(&q->answer);
    if (!buf_ok(&q->form)) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!http_form(q->http, q->url, buf_slice(&q->form), &q->answer, e)) {
        return false;
    }
    json_error_t why;
    json_t *root = json_loadb((const char *)q->answer.ptr, q->answer.len, 0, &why);
    const json_t *result = json_object_get(json_object_get(root, "data"), "result");
    bool ok = json_is_array(result) || err_set(e, ERR_FATAL, "%s: no answer to a query", q->url);
    for (size_t i = 0; ok && i < json_array_size(result); i++) {
        ok = series_read(q, json_array_get(result, i), w, e);
    }
    json_decref(root);
    return ok;
}

bool read_prometheus_histograms(struct reader *r, struct http *http, const char *url, struct err *e)
{
    const struct model *m = r->ledger->model;
    struct histograms q = {.reader = r, .http = http};
    (void)snprintf(q.url, sizeof q.url, "%.*s/api/v1/query", prometheus_base_len(url), url);
    buf_init(&q.form, MAX_FORM_BYTES);
    buf_init(&q.answer, MAX_ANSWER_BYTES);
    bool ok = prometheus_windows(r, m->p.n_series - m->n_counters, SAMPLES_PER_QUERY,
                                 histograms_query, &q, e);
    buf_fini(&q.form);
    buf_fini(&q.answer);
    return ok;
}
