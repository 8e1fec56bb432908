#include "origin_points.h"

#include "avro_json.h"
#include "batch/batch.h"
#include "points_json.h"
#include "edge/mask.h"
#include "stage/ingest.h"
#include "wire/inflate.h"
#include "wire/otlp.h"
#include "wire/remote_write.h"
#include "wire/tenant_avro.h"

enum { MAX_LABELS = 256 };

struct reading {
    const struct origin_wanted *wanted;
    struct origin_points *out;
    json_t *shared; /* labels of all points of a resource or message; owned */
};

static bool has_time(const struct origin_wanted *w, int64_t time_ms)
{
    size_t low = 0;
    size_t high = w->n_times;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->times_ms[middle] < time_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return w->n_times == 0 || (low < w->n_times && w->times_ms[low] == time_ms);
}

/* Counts the point; true when it is to be shown. */
static bool takes(struct reading *r, struct slice metric, int64_t time_ms)
{
    r->out->n_points++;
    bool fits = (r->wanted->metric.len == 0 || slice_eq(r->wanted->metric, metric)) && has_time(r->wanted, time_ms);
    r->out->n_wanted += fits;
    return fits && r->out->n_wanted <= ORIGIN_MAX_POINTS;
}

static json_t *masked(const struct reading *r, struct slice value)
{
    uint8_t mask[MASK_BYTES];
    if (!mask_value(r->wanted->mask_key, value, mask)) {
        return json_string("***");
    }
    json_t *hex = json_of_hex(slice_of(mask, sizeof mask));
    json_t *out = json_sprintf("hmac:%s", json_string_value(hex));
    json_decref(hex);
    return out;
}

static void label_put(const struct reading *r, json_t *labels, struct slice name, struct slice value)
{
    json_t *key = json_of_text(name);
    if (key != NULL && json_object_size(labels) < MAX_LABELS) {
        (void)json_object_set_new(labels, json_string_value(key), masked(r, value));
    }
    json_decref(key);
}

static json_t *point_json(struct reading *r, struct slice metric, const char *kind, int64_t time_ms, json_t *labels,
                          json_t *value)
{
    json_t *all = json_copy(r->shared);
    if (all == NULL) {
        all = json_object();
    }
    (void)json_object_update(all, labels);
    json_decref(labels);
    return json_pack("{s:o, s:s, s:I, s:o, s:o}", "metric", json_of_text(metric), "kind", kind, "time_ms",
                     (json_int_t)time_ms, "labels", all, "value", value);
}

static bool add(struct reading *r, json_t *point, struct err *e)
{
    return json_array_append_new(r->out->points, point) == 0 || err_set(e, ERR_FATAL, "out of memory");
}

/* --- OTLP --- */

static const char *otlp_kind_name(enum otlp_kind kind)
{
    static const char *const names[] = {"none",      "gauge",                 "sum",
                                        "histogram", "exponential_histogram", "summary"};
    return names[kind];
}

static void attributes_put(const struct reading *r, json_t *labels, struct slice run)
{
    struct cursor c = cursor_of(run);
    struct otlp_attribute a;
    while (otlp_attribute_next(&c, &a)) {
        char space[40];
        struct slice text = SLICE_LITERAL("(nested)");
        (void)otlp_attribute_text(&a, space, sizeof space, &text);
        label_put(r, labels, a.name, text);
    }
}

static bool otlp_point(void *ctx, const struct otlp_metric *m, const struct otlp_point *p, struct err *e)
{
    struct reading *r = ctx;
    int64_t time_ms = (int64_t)(p->time_ns / 1000000);
    if (!takes(r, m->name, time_ms)) {
        return true;
    }
    json_t *labels = json_object();
    attributes_put(r, labels, m->resource->attributes);
    attributes_put(r, labels, p->attributes);
    bool is_number = m->kind == OTLP_GAUGE || m->kind == OTLP_SUM;
    json_t *value = is_number ? (p->has_value ? json_of_double(p->value) : json_null())
                              : json_pack("{s:I, s:o}", "count", (json_int_t)p->count, "sum",
                                          p->has_sum ? json_of_double(p->sum) : json_null());
    json_t *point = point_json(r, m->name, otlp_kind_name(m->kind), time_ms, labels, value);
    if (p->fault != NULL && point != NULL) {
        (void)json_object_set_new(point, "fault", json_string(p->fault));
    }
    return add(r, point, e);
}

/* --- Avro of tenants --- */

static bool tenant_source(void *ctx, struct slice name, const struct tenant_label *labels, uint32_t n, struct err *e)
{
    struct reading *r = ctx;
    (void)name;
    (void)e;
    for (uint32_t i = 0; i < n; i++) {
        label_put(r, r->shared, labels[i].name, labels[i].value);
    }
    return true;
}

static bool tenant_point(void *ctx, const struct tenant_point *p, struct err *e)
{
    struct reading *r = ctx;
    if (!takes(r, p->metric, p->time_ms)) {
        return true;
    }
    json_t *labels = json_object();
    for (uint32_t i = 0; i < p->n_labels; i++) {
        label_put(r, labels, p->labels[i].name, p->labels[i].value);
    }
    return add(r, point_json(r, p->metric, p->kind == TENANT_COUNTER ? "counter" : "gauge", p->time_ms, labels,
                             json_of_double(p->value)), e);
}

/* --- remote write --- */

static bool remote_write_point(void *ctx, const struct remote_write_series *s, const struct remote_write_point *p,
                               struct err *e)
{
    struct reading *r = ctx;
    if (!takes(r, s->metric, p->time_ms)) {
        return true;
    }
    json_t *labels = json_object();
    for (uint32_t i = 0; i < s->n_labels; i++) {
        label_put(r, labels, s->labels[i].name, s->labels[i].value);
    }
    bool is_sample = p->histogram.ptr == NULL;
    return add(r, point_json(r, s->metric, is_sample ? "sample" : "native_histogram", p->time_ms, labels,
                             is_sample ? json_of_double(p->value) : json_null()), e);
}

static bool remote_write_series(void *ctx, const struct remote_write_series *s, struct err *e)
{
    (void)ctx;
    (void)s;
    (void)e;
    return true;
}

static bool remote_write_read(struct reading *r, const struct record *in, enum remote_write_version version,
                              struct arena *scratch, struct err *e)
{
    const struct remote_write_caps *caps = &remote_write_default_caps;
    const struct remote_write_sink sink = {.ctx = r, .series = remote_write_series, .point = remote_write_point};
    struct buf unpacked;
    buf_init(&unpacked, caps->max_message_bytes);
    bool ok = inflate_bytes(INFLATE_SNAPPY, in->value, caps->max_message_bytes, &unpacked, e) &&
              remote_write_walk(version, buf_slice(&unpacked), caps, scratch, &sink, e);
    buf_fini(&unpacked);
    return ok;
}

/* --- batches, of the gateway or in a series topic --- */

static void mask_all(const struct reading *r, json_t *labels)
{
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(labels, next, name, value)
    {
        (void)json_object_set_new(labels, name, masked(r, slice_str(json_string_value(value))));
    }
}

static bool batch_points(struct reading *r, const struct record *in, struct arena *scratch, struct err *e)
{
    struct batch b;
    struct shape shape;
    json_t *all = NULL;
    if (!batch_decode(in->value, &batch_default_caps, scratch, &b, e)) {
        return false;
    }
    if (b.shape.len == 0) {
        return true;
    }
    if (!shape_decode(b.shape, b.tenant, &shape_default_caps, scratch, &shape, e) ||
        !points_of_batch(&b, &shape, SLICE_NONE, scratch, &all, e)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *point = json_array_get(all, i);
        struct slice metric = slice_str(json_string_value(json_object_get(point, "metric")));
        if (takes(r, metric, json_integer_value(json_object_get(point, "time_ms")))) {
            mask_all(r, json_object_get(point, "labels"));
            (void)json_array_append(r->out->points, point);
        }
    }
    json_decref(all);
    return true;
}

static bool read_as(struct reading *r, const struct record *in, enum ingest_format format, struct arena *scratch,
                    struct err *e)
{
    static const char *const names[] = {[INGEST_OTLP] = "otlp",
                                        [INGEST_TENANT_AVRO] = "avro",
                                        [INGEST_REMOTE_WRITE_1] = "remote_write_1",
                                        [INGEST_REMOTE_WRITE_2] = "remote_write_2",
                                        [INGEST_BATCH] = "batch"};
    const struct otlp_sink otlp = {.ctx = r, .point = otlp_point};
    const struct tenant_avro_sink avro = {.ctx = r, .source = tenant_source, .point = tenant_point};
    r->out->format = names[format];
    switch (format) {
    case INGEST_TENANT_AVRO:
        return tenant_avro_walk(in->value, &tenant_avro_default_caps, scratch, &avro, e);
    case INGEST_REMOTE_WRITE_1:
        return remote_write_read(r, in, REMOTE_WRITE_1, scratch, e);
    case INGEST_REMOTE_WRITE_2:
        return remote_write_read(r, in, REMOTE_WRITE_2, scratch, e);
    case INGEST_BATCH:
        return batch_points(r, in, scratch, e);
    default:
        return otlp_walk(in->value, &otlp_default_caps, scratch, &otlp, e);
    }
}

bool origin_points_read(const struct record *r, const struct origin_wanted *wanted, struct arena *scratch,
                        struct origin_points *out, struct err *e)
{
    struct ingest ingest = ingest_look(r, slice_str(wanted->shared_topic));
    *out = (struct origin_points){.format = "unknown", .points = json_array()};
    struct reading reading = {.wanted = wanted, .out = out, .shared = json_object()};
    bool ok = r->value.len > 0 || err_set(e, ERR_BAD_INPUT, "the record is empty");
    ok = ok && read_as(&reading, r, ingest.format, scratch, e);
    json_decref(reading.shared);
    if (!ok) {
        json_decref(out->points);
        out->points = NULL;
    }
    return ok;
}
