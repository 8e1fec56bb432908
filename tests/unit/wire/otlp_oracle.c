#include "unit/wire/otlp_oracle.h"

#include <inttypes.h>
#include <stdlib.h>

#include "otlp_metrics.pb-c.h"
#include "wire/protobuf.h"

enum { DUMP_MAX_BYTES = 64 << 20, SCRATCH_MAX_BYTES = 64 << 20, ORACLE_MAX_BYTES = 256 << 20 };

static void put_bits(struct buf *out, const char *name, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    buf_printf(out, " %s=%016" PRIx64, name, bits);
}

/* protobuf-c's strings end at the first NUL. */
static void put_text(struct buf *out, struct slice s)
{
    const uint8_t *nul = s.len == 0 ? NULL : memchr(s.ptr, 0, s.len);
    buf_put(out, "'", 1);
    buf_put(out, s.ptr, nul == NULL ? s.len : (size_t)(nul - s.ptr));
    buf_put(out, "'", 1);
}

static void put_value(struct buf *out, const struct otlp_attribute *a)
{
    buf_printf(out, "=%d:", (int)a->type);
    if (a->type == OTLP_V_STRING) {
        put_text(out, a->text);
    } else if (a->type == OTLP_V_BYTES) {
        buf_put_slice(out, a->text);
    } else if (a->type == OTLP_V_BOOL || a->type == OTLP_V_INT) {
        buf_printf(out, "%" PRId64, a->integer);
    } else if (a->type == OTLP_V_DOUBLE) {
        put_bits(out, "d", a->number);
    }
}

static bool walk_attributes(struct buf *out, struct slice run, struct err *e)
{
    struct cursor c = cursor_of(run);
    struct otlp_attribute a;
    buf_put(out, " {", 2);
    while (otlp_attribute_next(&c, &a)) {
        put_text(out, a.name);
        put_value(out, &a);
        buf_put(out, ",", 1);
    }
    buf_put(out, "}", 1);
    return cursor_ok(&c) || err_set(e, ERR_BAD_INPUT, "attributes: bad or cut off");
}

static bool walk_metric(void *ctx, const struct otlp_metric *m, struct err *e)
{
    struct buf *out = ctx;
    buf_printf(out, "resource %u", m->resource->index);
    if (!walk_attributes(out, m->resource->attributes, e)) {
        return false;
    }
    put_text(out, m->resource->scope_name);
    buf_printf(out, " metric %u ", m->index);
    put_text(out, m->name);
    put_text(out, m->unit);
    put_text(out, m->description);
    buf_printf(out, " %d %d %d\n", (int)m->kind, (int)m->temporality, m->monotonic);
    return true;
}

static void put_counts(struct buf *out, const char *name, const uint64_t *counts, size_t n)
{
    buf_printf(out, " %s[", name);
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%" PRIu64 ",", counts[i]);
    }
    buf_put(out, "]", 1);
}

static void put_doubles(struct buf *out, const char *name, const double *values, size_t n)
{
    buf_printf(out, " %s[", name);
    for (size_t i = 0; i < n; i++) {
        put_bits(out, "", values[i]);
    }
    buf_put(out, "]", 1);
}

static bool walk_point(void *ctx, const struct otlp_metric *m, const struct otlp_point *p,
                       struct err *e)
{
    struct buf *out = ctx;
    (void)m;
    buf_printf(out, " point %u t=%" PRIu64 " s=%" PRIu64 " stale=%d", p->index, p->time_ns,
               p->start_ns, p->no_value);
    buf_printf(out, " has=%d%d", p->has_value, p->has_sum);
    put_bits(out, "v", p->value);
    put_bits(out, "sum", p->sum);
    buf_printf(out, " count=%" PRIu64 " scale=%d zero=%" PRIu64, p->count, p->scale, p->zero_count);
    put_bits(out, "threshold", p->zero_threshold);
    put_counts(out, "counts", p->counts, p->n_counts);
    put_doubles(out, "bounds", p->bounds, p->n_bounds);
    buf_printf(out, " %d", p->positive.offset);
    put_counts(out, "positive", p->positive.counts, p->positive.n);
    buf_printf(out, " %d", p->negative.offset);
    put_counts(out, "negative", p->negative.counts, p->negative.n);
    put_doubles(out, "quantiles", p->quantiles, (size_t)p->n_quantiles * 2);
    bool ok = walk_attributes(out, p->attributes, e);
    buf_put(out, "\n", 1);
    return ok;
}

bool otlp_dump_walk(struct slice message, const struct otlp_caps *caps, struct buf *out,
                    struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, SCRATCH_MAX_BYTES);
    struct otlp_sink sink = {.ctx = out, .metric = walk_metric, .point = walk_point};
    bool ok = otlp_walk(message, caps, &scratch, &sink, e);
    arena_fini(&scratch);
    return ok;
}

/* protobuf-c's side */

static void tree_attributes(struct buf *out, Otlp__KeyValue *const *list, size_t n)
{
    buf_put(out, " {", 2);
    for (size_t i = 0; i < n; i++) {
        const Otlp__AnyValue *v = list[i]->value;
        struct otlp_attribute a = {.type = OTLP_V_NONE};
        switch (v == NULL ? OTLP__ANY_VALUE__VALUE__NOT_SET : v->value_case) {
        case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
            a.type = OTLP_V_STRING;
            a.text = slice_str(v->string_value);
            break;
        case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
            a.type = OTLP_V_BOOL;
            a.integer = v->bool_value;
            break;
        case OTLP__ANY_VALUE__VALUE_INT_VALUE:
            a.type = OTLP_V_INT;
            a.integer = v->int_value;
            break;
        case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
            a.type = OTLP_V_DOUBLE;
            a.number = v->double_value;
            break;
        case OTLP__ANY_VALUE__VALUE_BYTES_VALUE:
            a.type = OTLP_V_BYTES;
            a.text = slice_of(v->bytes_value.data, v->bytes_value.len);
            break;
        case OTLP__ANY_VALUE__VALUE_ARRAY_VALUE:
        case OTLP__ANY_VALUE__VALUE_KVLIST_VALUE:
            a.type = OTLP_V_NESTED;
            break;
        default:
            break;
        }
        put_text(out, slice_str(list[i]->key));
        put_value(out, &a);
        buf_put(out, ",", 1);
    }
    buf_put(out, "}", 1);
}

/* A point of any kind in the walk's form, so that one function prints both. Its attributes are
 * printed behind it. */
static void tree_point(struct buf *out, const struct otlp_point *p, Otlp__KeyValue *const *list,
                       size_t n)
{
    struct err e = ERR_INIT;
    struct buf line;
    buf_init(&line, DUMP_MAX_BYTES);
    bool ok = walk_point(&line, NULL, p, &e);
    const size_t tail = sizeof " {}\n" - 1;
    buf_put(out, line.ptr, ok ? line.len - tail : 0);
    tree_attributes(out, list, n);
    buf_put(out, "\n", 1);
    buf_fini(&line);
}

static void tree_numbers(struct buf *out, Otlp__NumberDataPoint *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const Otlp__NumberDataPoint *d = list[i];
        struct otlp_point p = {.index = (uint32_t)i,
                               .time_ns = d->time_unix_nano,
                               .start_ns = d->start_time_unix_nano,
                               .no_value = (d->flags & 1) != 0};
        if (d->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE) {
            p.has_value = true;
            p.value = d->as_double;
        } else if (d->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_INT) {
            p.has_value = true;
            p.value = (double)d->as_int;
        }
        tree_point(out, &p, d->attributes, d->n_attributes);
    }
}

static void tree_histograms(struct buf *out, Otlp__HistogramDataPoint *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const Otlp__HistogramDataPoint *d = list[i];
        bool has_sum = d->sum_one_case == OTLP__HISTOGRAM_DATA_POINT__SUM_ONE_SUM;
        struct otlp_point p = {.index = (uint32_t)i,
                               .time_ns = d->time_unix_nano,
                               .start_ns = d->start_time_unix_nano,
                               .no_value = (d->flags & 1) != 0,
                               .count = d->count,
                               .has_sum = has_sum,
                               .sum = has_sum ? d->sum : 0,
                               .counts = d->bucket_counts,
                               .n_counts = (uint32_t)d->n_bucket_counts,
                               .bounds = d->explicit_bounds,
                               .n_bounds = (uint32_t)d->n_explicit_bounds};
        tree_point(out, &p, d->attributes, d->n_attributes);
    }
}

static struct otlp_buckets tree_buckets(const Otlp__ExponentialHistogramDataPoint__Buckets *b)
{
    if (b == NULL) {
        return (struct otlp_buckets){0};
    }
    return (struct otlp_buckets){
        .offset = b->offset, .n = (uint32_t)b->n_bucket_counts, .counts = b->bucket_counts};
}

static void tree_exps(struct buf *out, Otlp__ExponentialHistogramDataPoint *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const Otlp__ExponentialHistogramDataPoint *d = list[i];
        bool has_sum = d->sum_one_case == OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__SUM_ONE_SUM;
        struct otlp_point p = {.index = (uint32_t)i,
                               .time_ns = d->time_unix_nano,
                               .start_ns = d->start_time_unix_nano,
                               .no_value = (d->flags & 1) != 0,
                               .count = d->count,
                               .has_sum = has_sum,
                               .sum = has_sum ? d->sum : 0,
                               .scale = d->scale,
                               .zero_count = d->zero_count,
                               .zero_threshold = d->zero_threshold,
                               .positive = tree_buckets(d->positive),
                               .negative = tree_buckets(d->negative)};
        tree_point(out, &p, d->attributes, d->n_attributes);
    }
}

static void tree_summaries(struct buf *out, Otlp__SummaryDataPoint *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const Otlp__SummaryDataPoint *d = list[i];
        double *pairs = calloc(d->n_quantile_values + 1, 2 * sizeof *pairs);
        for (size_t q = 0; pairs != NULL && q < d->n_quantile_values; q++) {
            pairs[2 * q] = d->quantile_values[q]->quantile;
            pairs[2 * q + 1] = d->quantile_values[q]->value;
        }
        struct otlp_point p = {.index = (uint32_t)i,
                               .time_ns = d->time_unix_nano,
                               .start_ns = d->start_time_unix_nano,
                               .no_value = (d->flags & 1) != 0,
                               .count = d->count,
                               .has_sum = true,
                               .sum = d->sum,
                               .n_quantiles = (uint32_t)d->n_quantile_values,
                               .quantiles = pairs};
        tree_point(out, &p, d->attributes, d->n_attributes);
        free(pairs);
    }
}

static void tree_head(struct buf *out, const Otlp__Metric *m, enum otlp_kind kind, int temporality,
                      bool monotonic)
{
    put_text(out, slice_str(m->name));
    put_text(out, slice_str(m->unit));
    put_text(out, slice_str(m->description));
    bool known = temporality == OTLP_DELTA || temporality == OTLP_CUMULATIVE;
    buf_printf(out, " %d %d %d\n", (int)kind, known ? temporality : 0, monotonic);
}

static void tree_metric(struct buf *out, const Otlp__Metric *m)
{
    switch (m->data_case) {
    case OTLP__METRIC__DATA_GAUGE:
        tree_head(out, m, OTLP_GAUGE, 0, false);
        tree_numbers(out, m->gauge->data_points, m->gauge->n_data_points);
        break;
    case OTLP__METRIC__DATA_SUM:
        tree_head(out, m, OTLP_SUM, (int)m->sum->aggregation_temporality, m->sum->is_monotonic);
        tree_numbers(out, m->sum->data_points, m->sum->n_data_points);
        break;
    case OTLP__METRIC__DATA_HISTOGRAM:
        tree_head(out, m, OTLP_HISTOGRAM, (int)m->histogram->aggregation_temporality, false);
        tree_histograms(out, m->histogram->data_points, m->histogram->n_data_points);
        break;
    case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
        tree_head(out, m, OTLP_EXP_HISTOGRAM,
                  (int)m->exponential_histogram->aggregation_temporality, false);
        tree_exps(out, m->exponential_histogram->data_points,
                  m->exponential_histogram->n_data_points);
        break;
    case OTLP__METRIC__DATA_SUMMARY:
        tree_head(out, m, OTLP_SUMMARY, 0, false);
        tree_summaries(out, m->summary->data_points, m->summary->n_data_points);
        break;
    default:
        tree_head(out, m, OTLP_NO_DATA, 0, false);
        break;
    }
}

static void tree_resource(struct buf *out, const Otlp__ResourceMetrics *r, size_t index)
{
    size_t n_metrics = 0;
    for (size_t s = 0; s < r->n_scope_metrics; s++) {
        const Otlp__ScopeMetrics *scope = r->scope_metrics[s];
        for (size_t m = 0; m < scope->n_metrics; m++) {
            buf_printf(out, "resource %zu", index);
            tree_attributes(out, r->resource == NULL ? NULL : r->resource->attributes,
                            r->resource == NULL ? 0 : r->resource->n_attributes);
            put_text(out, scope->scope == NULL ? SLICE_NONE : slice_str(scope->scope->name));
            buf_printf(out, " metric %zu ", n_metrics++);
            tree_metric(out, scope->metrics[m]);
        }
    }
}

static void *capped_alloc(void *ctx, size_t n_bytes)
{
    size_t *left = ctx;
    if (n_bytes > *left) {
        return NULL;
    }
    *left -= n_bytes;
    return malloc(n_bytes);
}

static void capped_free(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

bool otlp_dump_protobuf_c(struct slice message, struct buf *out)
{
    size_t left = ORACLE_MAX_BYTES;
    ProtobufCAllocator allocator = {capped_alloc, capped_free, &left};
    Otlp__MetricsData *data = otlp__metrics_data__unpack(&allocator, message.len, message.ptr);
    if (data == NULL) {
        return false;
    }
    for (size_t i = 0; i < data->n_resource_metrics; i++) {
        tree_resource(out, data->resource_metrics[i], i);
    }
    otlp__metrics_data__free_unpacked(data, &allocator);
    return true;
}

bool otlp_nests_shallowly(struct slice message)
{
    size_t n = 0; /* each level of an array or map needs a byte like its tag's (5 or 6) */
    for (size_t i = 0; i < message.len; i++) {
        uint8_t low = message.ptr[i] & 0x7f;
        n += low == PB_TAG(5, PB_LEN) || low == PB_TAG(6, PB_LEN);
    }
    return n <= 128;
}

/* Message types by what they may hold: child type per field number, and which must not repeat. */
enum type {
    T_NONE,
    T_DATA,
    T_RESOURCE_METRICS,
    T_RESOURCE,
    T_SCOPE_METRICS,
    T_SCOPE,
    T_METRIC,
    T_NUMBERS,
    T_HISTOGRAMS,
    T_EXPS,
    T_SUMMARIES,
    T_NUMBER,
    T_HISTOGRAM,
    T_EXP,
    T_SUMMARY,
    T_BUCKETS,
    T_KEY_VALUE,
    T_VALUE
};

static enum type child_type(enum type parent, uint32_t number)
{
    static const enum type children[][13] = {
        [T_DATA] = {0, T_RESOURCE_METRICS},
        [T_RESOURCE_METRICS] = {0, T_RESOURCE, T_SCOPE_METRICS},
        [T_RESOURCE] = {0, T_KEY_VALUE},
        [T_SCOPE_METRICS] = {0, T_SCOPE, T_METRIC},
        [T_METRIC] = {0, 0, 0, 0, 0, T_NUMBERS, 0, T_NUMBERS, 0, T_HISTOGRAMS, T_EXPS, T_SUMMARIES},
        [T_NUMBERS] = {0, T_NUMBER},
        [T_HISTOGRAMS] = {0, T_HISTOGRAM},
        [T_EXPS] = {0, T_EXP},
        [T_SUMMARIES] = {0, T_SUMMARY},
        [T_NUMBER] = {0, 0, 0, 0, 0, 0, 0, T_KEY_VALUE},
        [T_HISTOGRAM] = {0, 0, 0, 0, 0, 0, 0, 0, 0, T_KEY_VALUE},
        [T_EXP] = {0, T_KEY_VALUE, 0, 0, 0, 0, 0, 0, T_BUCKETS, T_BUCKETS},
        [T_SUMMARY] = {0, 0, 0, 0, 0, 0, 0, T_KEY_VALUE},
        [T_KEY_VALUE] = {0, 0, T_VALUE},
        [T_SCOPE] = {0},
        [T_BUCKETS] = {0},
        [T_VALUE] = {0},
    };
    return number < 13 ? children[parent][number] : T_NONE;
}

static bool is_singular(enum type t)
{
    return t == T_RESOURCE || t == T_SCOPE || t == T_NUMBERS || t == T_HISTOGRAMS || t == T_EXPS ||
           t == T_SUMMARIES || t == T_BUCKETS || t == T_VALUE;
}

/* Recursion as deep as the types nest: seven. */
static bool repeats(struct slice message, enum type type)
{
    static const struct pb_type any = {"any", {0}};
    uint32_t seen = 0;
    struct cursor c = cursor_of(message);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        enum type child = (tag & 7) == PB_LEN ? child_type(type, tag >> 3) : T_NONE;
        if (child == T_NONE) {
            pb_skip(&c, tag, &any);
            continue;
        }
        uint32_t bit = is_singular(child) ? 1U << (tag >> 3) : 0;
        struct slice contents = cursor_varint_bytes(&c);
        if ((seen & bit) != 0 || (cursor_ok(&c) && repeats(contents, child))) {
            return true;
        }
        seen |= bit;
    }
    return false;
}

bool otlp_repeats_a_message(struct slice message)
{
    return repeats(message, T_DATA);
}
