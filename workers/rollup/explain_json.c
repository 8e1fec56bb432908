#include "explain_json.h"

#include <math.h>

#include "batch/histogram.h"

enum { NAME_BYTES = 1 << 20, MAX_READ_BUCKETS = 1 << 16 };

json_t *json_double(double v)
{
    if (double_is_stale(v)) {
        return json_null();
    }
    return isnan(v)   ? json_string("NaN")
           : isinf(v) ? json_string(v < 0 ? "-Inf" : "+Inf")
                      : json_real(v);
}

static void name_put(struct buf *out, const struct series *s)
{
    buf_put_slice(out, s->metric);
    for (uint32_t i = 0; i < s->n_labels; i++) {
        const struct label *l = &s->labels[i];
        buf_printf(out, "%s%.*s=\"%.*s\"", i == 0 ? "{" : ",", SLICE_ARG(l->name),
                   SLICE_ARG(l->value));
    }
    buf_printf(out, s->n_labels > 0 ? "}" : "%s", "");
}

static json_t *json_slice_of(struct slice s)
{
    return json_stringn((const char *)s.ptr, s.len);
}

json_t *json_series(const struct series *s)
{
    struct buf name;
    buf_init(&name, NAME_BYTES);
    name_put(&name, s);
    json_t *out =
        json_pack("{s:o, s:o, s:s, s:s, s:o}", "name", json_slice_of(buf_slice(&name)), "metric",
                  json_slice_of(s->metric), "kind", series_kind_name(s->kind), "temporality",
                  s->delta ? "delta" : "cumulative", "unit", json_slice_of(s->unit));
    buf_fini(&name);
    return out;
}

json_t *json_packed(uint8_t kind, uint16_t n_bounds, struct slice packed, struct arena *a)
{
    struct err why = ERR_INIT;
    struct cursor c = cursor_of(packed);
    arena_reset(a);
    if (kind == SERIES_EXP_HISTOGRAM) {
        struct exp_histogram h;
        bool ok = packed.len > 1 && exp_histogram_decode(&c, MAX_READ_BUCKETS, a, &h, &why) &&
                  !double_is_stale(h.sum);
        return ok ? json_pack("{s:I, s:o, s:i}", "count", (json_int_t)h.count, "sum",
                              json_double(h.sum), "schema", h.schema)
                  : json_null();
    }
    struct classic_histogram h;
    bool ok = packed.len > 0 && classic_histogram_decode(&c, n_bounds, a, &h, &why) && !h.stale;
    return ok ? json_pack("{s:I, s:o}", "count", (json_int_t)h.count, "sum",
                          h.has_sum ? json_double(h.sum) : json_null())
              : json_null();
}

static json_t *late_json(struct layout l, struct slice late, struct arena *a)
{
    if (kind_is_packed(l.kind)) {
        return json_packed(l.kind, l.n_bounds, late, a);
    }
    double v;
    memcpy(&v, late.ptr, sizeof v);
    return json_double(v);
}

static json_t *json_columns(struct layout l, const struct row_series *v, struct arena *a)
{
    json_t *out = json_pack("{s:i}", "samples", (int)v->samples);
    if (l.kind == SERIES_GAUGE) {
        (void)json_object_set_new(out, "sum", json_double(v->sum));
        (void)json_object_set_new(out, "min", json_double(v->min));
        (void)json_object_set_new(out, "max", json_double(v->max));
        (void)json_object_set_new(out, "last", json_double(v->last));
    } else if (l.kind == SERIES_COUNTER) {
        (void)json_object_set_new(out, "total", json_double(v->total));
        (void)json_object_set_new(out, "delta", json_double(v->delta));
        (void)json_object_set_new(out, "last", json_double(v->last));
    } else {
        static const char *const names[HISTOGRAM_COLUMNS] = {"total", "delta", "last"};
        for (int i = 0; i < HISTOGRAM_COLUMNS; i++) {
            (void)json_object_set_new(out, names[i],
                                      json_packed(l.kind, l.n_bounds, v->packed[i], a));
        }
    }
    if (v->last_ms != 0) {
        (void)json_object_set_new(out, "last_ms", json_integer(v->last_ms));
    }
    if (v->late.ptr != NULL) {
        (void)json_object_set_new(out, "late", late_json(l, v->late, a));
    }
    (void)json_object_set_new(out, "ended", json_boolean(v->ended));
    return out;
}

json_t *json_row(const struct rollup *row, struct arena *a)
{
    struct err why = ERR_INIT;
    struct shape shape = {0};
    struct arena own;
    json_t *out = json_array();
    struct row_reader reader = row_reader_of(row);
    arena_init(&own, (size_t)192 << 20);
    bool ok = row->shape.len == 0 ||
              shape_decode(row->shape, row->tenant, &row_shape_caps, &own, &shape, &why);
    for (uint32_t i = 0; ok && i < shape.n_series; i++) {
        struct row_series v;
        struct layout l = layout_of(&shape.series[i]);
        row_next(&reader, l, &v);
        json_t *series = json_series(&shape.series[i]);
        (void)json_object_set_new(series, "row", json_columns(l, &v, a));
        (void)json_array_append_new(out, series);
    }
    arena_fini(&own);
    if (!ok) {
        json_decref(out);
        return NULL;
    }
    return out;
}
