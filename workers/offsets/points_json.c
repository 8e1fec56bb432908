#include "points_json.h"

#include "avro_json.h"
#include "batch/histogram.h"
#include "policy/glob.h"

/* What is passed over on the way through a record's columns. */
struct columns {
    struct cursor scalars; /* of counters or gauges, in rollups */
    struct cursor gauges;
    struct cursor exp;
    struct cursor classic;
};

static bool is_wanted(const struct series *s, struct slice glob)
{
    return glob.len == 0 || glob_match(glob, s->metric);
}

static json_t *series_json(const struct series *s)
{
    json_t *out = json_object();
    json_t *labels = json_object();
    struct hash128 id = s->id;
    for (uint32_t i = 0; i < s->n_labels; i++) {
        (void)json_object_setn_new(labels, (const char *)s->labels[i].name.ptr, s->labels[i].name.len,
                                   json_of_text(s->labels[i].value));
    }
    (void)json_object_set_new(out, "metric", json_of_text(s->metric));
    (void)json_object_set_new(out, "kind", json_string(series_kind_name(s->kind)));
    if (s->delta) {
        (void)json_object_set_new(out, "temporality", json_string("delta"));
    }
    if (s->unit.len > 0) {
        (void)json_object_set_new(out, "unit", json_of_text(s->unit));
    }
    (void)json_object_set_new(out, "labels", labels);
    (void)json_object_set_new(out, "series", json_of_hex(slice_of(&id, sizeof id)));
    return out;
}

static json_t *counts_json(const uint64_t *counts, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++) {
        (void)json_array_append_new(list, json_integer((json_int_t)counts[i]));
    }
    return list;
}

/* {bucket's index: count} */
static json_t *side_json(const struct exp_buckets *b)
{
    json_t *out = json_object();
    char index[16];
    int64_t at = 0;
    uint32_t k = 0;
    for (uint32_t i = 0; i < b->n_spans; i++) {
        at += b->spans[i].offset;
        for (uint32_t n = 0; n < b->spans[i].n; n++, at++) {
            (void)snprintf(index, sizeof index, "%lld", (long long)at);
            (void)json_object_set_new(out, index, json_integer((json_int_t)b->counts[k++]));
        }
    }
    return out;
}

static json_t *exp_json(const struct exp_histogram *h)
{
    return json_pack("{s:I, s:o, s:i, s:o, s:I, s:o, s:o}", "count", (json_int_t)h->count, "sum",
                     json_of_double(h->sum), "schema", (int)h->schema, "zero_threshold",
                     json_of_double(h->zero_threshold), "zero_count", (json_int_t)h->zero_count, "positive",
                     side_json(&h->positive), "negative", side_json(&h->negative));
}

static json_t *classic_json(const struct classic_histogram *h, const struct series *s)
{
    json_t *bounds = json_array();
    for (uint32_t i = 0; i < s->n_bounds; i++) {
        (void)json_array_append_new(bounds, json_of_double(s->bounds[i]));
    }
    json_t *sum = h->stale ? json_string("stale") : h->has_sum ? json_of_double(h->sum) : json_null();
    return json_pack("{s:I, s:o, s:o, s:o}", "count", (json_int_t)h->count, "sum", sum, "bounds", bounds, "counts",
                     counts_json(h->counts, h->n_counts));
}

/* One packed histogram; NULL JSON where there is none (of length 0). */
static bool histogram_json(const struct series *s, struct columns *c, struct arena *a, json_t **out, struct err *e)
{
    if (s->kind == SERIES_CLASSIC_HISTOGRAM) {
        struct classic_histogram h;
        bool ok = classic_histogram_decode(&c->classic, s->n_bounds, a, &h, e);
        *out = ok ? classic_json(&h, s) : NULL;
        return ok;
    }
    struct cursor ahead = c->exp;
    struct slice packed = exp_histogram_skip(&ahead);
    if (cursor_ok(&ahead) && packed.len == 0) {
        c->exp = ahead;
        *out = json_null();
        return true;
    }
    struct exp_histogram h;
    bool ok = exp_histogram_decode(&c->exp, HISTOGRAM_MAX_BYTES, a, &h, e);
    *out = ok ? exp_json(&h) : NULL;
    return ok;
}

/* --- batches --- */

static bool batch_value_json(const struct series *s, struct columns *c, struct arena *a, json_t **out,
                             struct err *e)
{
    if (s->kind == SERIES_COUNTER || s->kind == SERIES_GAUGE) {
        *out = json_of_double(cursor_double(&c->scalars));
        return true;
    }
    return histogram_json(s, c, a, out, e);
}

bool points_of_batch(const struct batch *b, const struct shape *s, struct slice metric_glob, struct arena *a,
                     json_t **out, struct err *e)
{
    struct columns c = {.scalars = cursor_of(b->values), .exp = cursor_of(b->exp), .classic = cursor_of(b->classic)};
    int64_t *times = ARENA_ARRAY(a, int64_t, s->n_series + 1);
    int64_t *starts = ARENA_ARRAY(a, int64_t, s->n_series + 1);
    *out = NULL;
    if (times == NULL || starts == NULL) {
        return err_set(e, ERR_BAD_INPUT, "larger than the memory for a record");
    }
    if (!batch_check_shape(b, s, e) || !batch_times_decode(&b->times, s->n_series, times, e) ||
        !batch_times_decode(&b->starts, s->n_series, starts, e)) {
        return false;
    }
    json_t *list = json_array();
    for (uint32_t i = 0; i < s->n_series; i++) {
        json_t *value;
        if (!batch_value_json(&s->series[i], &c, a, &value, e)) {
            json_decref(list);
            return false;
        }
        if (!is_wanted(&s->series[i], metric_glob)) {
            json_decref(value);
            continue;
        }
        json_t *point = series_json(&s->series[i]);
        (void)json_object_set_new(point, "time_ms", json_integer(times[i]));
        if (starts[i] != 0) {
            (void)json_object_set_new(point, "start_ms", json_integer(starts[i]));
        }
        (void)json_object_set_new(point, "value", value);
        (void)json_array_append_new(list, point);
    }
    *out = list;
    return true;
}

/* --- rollups --- */

static const char *const counter_columns[] = {"total", "delta", "last"};
static const char *const gauge_columns[] = {"sum", "min", "max", "last"};

static bool row_values(const struct series *s, struct columns *c, struct arena *a, json_t *point, struct err *e)
{
    if (s->kind == SERIES_GAUGE) {
        for (int i = 0; i < GAUGE_COLUMNS; i++) {
            (void)json_object_set_new(point, gauge_columns[i], json_of_double(cursor_double(&c->gauges)));
        }
        return true;
    }
    for (int i = 0; i < COUNTER_COLUMNS; i++) {
        json_t *value;
        if (s->kind == SERIES_COUNTER) {
            value = json_of_double(cursor_double(&c->scalars));
        } else if (!histogram_json(s, c, a, &value, e)) {
            return false;
        }
        (void)json_object_set_new(point, counter_columns[i], value);
    }
    return true;
}

static bool late_json(const struct series *s, struct slice amount, struct arena *a, json_t **out, struct err *e)
{
    struct columns c = {.scalars = cursor_of(amount), .exp = cursor_of(amount), .classic = cursor_of(amount)};
    return batch_value_json(s, &c, a, out, e);
}

bool points_of_rollup(const struct rollup *r, const struct shape *s, struct slice metric_glob, struct arena *a,
                      json_t **out, struct err *e)
{
    struct columns c = {.scalars = cursor_of(r->counters),
                        .gauges = cursor_of(r->gauges),
                        .exp = cursor_of(r->exp),
                        .classic = cursor_of(r->classic)};
    uint32_t at_late = 0;
    uint32_t at_ended = 0;
    *out = NULL;
    if (!rollup_check(r, s, e)) {
        return false;
    }
    json_t *list = json_array();
    bool ok = true;
    for (uint32_t i = 0; ok && i < s->n_series; i++) {
        json_t *point = series_json(&s->series[i]);
        json_t *late = NULL;
        (void)json_object_set_new(point, "samples", json_integer(r->samples[i]));
        (void)json_object_set_new(point, "last_ms", json_integer(r->last_ms[i]));
        ok = row_values(&s->series[i], &c, a, point, e);
        if (ok && at_late < r->n_late && r->late[at_late].series == i) {
            ok = late_json(&s->series[i], r->late[at_late++].amount, a, &late, e);
            (void)json_object_set_new(point, "late", ok ? late : json_null());
        }
        if (at_ended < r->n_ended && r->ended[at_ended] == i) {
            at_ended++;
            (void)json_object_set_new(point, "ended", json_true());
        }
        if (ok && is_wanted(&s->series[i], metric_glob)) {
            (void)json_array_append(list, point);
        }
        json_decref(point);
    }
    if (!ok) {
        json_decref(list);
        return false;
    }
    *out = list;
    return true;
}
