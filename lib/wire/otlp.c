#include "wire/otlp.h"

#include <inttypes.h>

#include "wire/otlp_point.h"
#include "wire/protobuf.h"

const struct otlp_caps otlp_default_caps = {
    .max_message_bytes = 8 << 20,
    .max_points = 1000000,
    .max_buckets = 8192,
    .max_attributes = 128,
};

static const struct pb_type message_type = {"MetricsData", {PB_TAG(1, PB_LEN)}};
static const struct pb_type resource_metrics_type = {
    "ResourceMetrics", {PB_TAG(1, PB_LEN), PB_TAG(2, PB_LEN), PB_TAG(3, PB_LEN)}};
static const struct pb_type resource_type = {"Resource", {PB_TAG(1, PB_LEN), PB_TAG(2, PB_VARINT)}};
static const struct pb_type scope_metrics_type = {
    "ScopeMetrics", {PB_TAG(1, PB_LEN), PB_TAG(2, PB_LEN), PB_TAG(3, PB_LEN)}};
static const struct pb_type scope_type = {
    "InstrumentationScope",
    {PB_TAG(1, PB_LEN), PB_TAG(2, PB_LEN), PB_TAG(3, PB_LEN), PB_TAG(4, PB_VARINT)}};
static const struct pb_type metric_type = {
    "Metric",
    {PB_TAG(1, PB_LEN), PB_TAG(2, PB_LEN), PB_TAG(3, PB_LEN), PB_TAG(5, PB_LEN), PB_TAG(7, PB_LEN),
     PB_TAG(9, PB_LEN), PB_TAG(10, PB_LEN), PB_TAG(11, PB_LEN), PB_TAG(12, PB_LEN)}};
/* Gauge, Sum, Histogram …: those without a temporality or monotonic skip these fields unknown. */
static const struct pb_type points_type = {"Gauge or Summary", {PB_TAG(1, PB_LEN)}};
static const struct pb_type histograms_type = {"Histogram",
                                               {PB_TAG(1, PB_LEN), PB_TAG(2, PB_VARINT)}};
static const struct pb_type sum_type = {
    "Sum", {PB_TAG(1, PB_LEN), PB_TAG(2, PB_VARINT), PB_TAG(3, PB_VARINT)}};

enum { RESOURCE = 1, SCOPE_METRICS = 2, SCOPE = 1, METRIC = 2, POINT = 1 };
enum { N_AHEAD = 16 };

struct walk {
    const struct otlp_sink *sink;
    struct otlp_point_reader reader;
    struct arena merged; /* copies of what a resource's message has in pieces; hardly ever used */
    struct otlp_resource resource;
    uint32_t n_points;
    uint32_t n_metrics;               /* of this resource */
    struct otlp_point ahead[N_AHEAD]; /* gauges and sums only: the rest of their fields stays 0 */
};

static void scratch_reset(struct walk *w)
{
    if (w->reader.scratch->used_bytes != 0) {
        arena_reset(w->reader.scratch);
    }
}

static enum otlp_kind kind_of_tag(uint32_t tag)
{
    switch (tag) {
    case PB_TAG(5, PB_LEN):
        return OTLP_GAUGE;
    case PB_TAG(7, PB_LEN):
        return OTLP_SUM;
    case PB_TAG(9, PB_LEN):
        return OTLP_HISTOGRAM;
    case PB_TAG(10, PB_LEN):
        return OTLP_EXP_HISTOGRAM;
    default:
        return OTLP_SUMMARY;
    }
}

static const struct pb_type *data_type(enum otlp_kind kind)
{
    if (kind == OTLP_SUM) {
        return &sum_type;
    }
    return kind == OTLP_HISTOGRAM || kind == OTLP_EXP_HISTOGRAM ? &histograms_type : &points_type;
}

/* Gauge, Sum …: what stands beside the points, most often behind them. */
static bool data_skim(struct slice data, struct otlp_metric *m, struct err *e)
{
    const struct pb_type *type = data_type(m->kind);
    uint32_t temporality = 0;
    struct cursor c = cursor_of(data);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == PB_TAG(POINT, PB_LEN)) {
            (void)pb_bytes(&c);
        } else if (tag == PB_TAG(2, PB_VARINT) && type != &points_type) {
            temporality = pb_uint32(&c);
        } else if (tag == PB_TAG(3, PB_VARINT) && type == &sum_type) {
            m->monotonic = cursor_varint(&c) != 0;
        } else {
            pb_skip(&c, tag, type);
        }
    }
    bool known = temporality == OTLP_DELTA || temporality == OTLP_CUMULATIVE;
    m->temporality = known ? (enum otlp_temporality)temporality : OTLP_UNSPECIFIED;
    return cursor_ok(&c) || pb_explain(data, type, e);
}

static uint64_t metric_key(const struct otlp_metric *m)
{
    uint64_t what =
        (uint64_t)m->kind | (uint64_t)m->temporality << 8 | (uint64_t)m->monotonic << 16;
    return hash64_seeded(m->unit, hash64_seeded(m->name, m->resource->key) ^ what);
}

static bool too_many_points(const struct walk *w, struct err *e)
{
    return err_set_code(e, ERR_BAD_INPUT, PB_TOO_LARGE, "more than %" PRIu32 " points",
                        w->reader.caps->max_points);
}

static bool point_read(struct walk *w, const struct otlp_metric *m, struct slice raw,
                       uint32_t index, struct otlp_point *p, struct err *e)
{
    p->index = index;
    if (++w->n_points > w->reader.caps->max_points) {
        return too_many_points(w, e);
    }
    return otlp_point_read(&w->reader, m->kind, raw, p, e) || err_wrap(e, "point %" PRIu32, index);
}

static bool points_deliver(const struct walk *w, const struct otlp_metric *m,
                           const struct otlp_point *p, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!w->sink->point(w->sink->ctx, m, &p[i], e)) {
            return err_wrap(e, "point %" PRIu32, p[i].index);
        }
    }
    return true;
}

/* Gauges and sums: read some points ahead, so that what the sink looks up for them is on its way
 * from memory. The data has been skimmed: its fields are in order. */
static bool walk_numbers(struct walk *w, const struct otlp_metric *m, struct slice data,
                         struct err *e)
{
    const struct pb_type *type = data_type(m->kind);
    uint32_t index = 0;
    uint32_t n_ahead = 0;
    struct cursor c = cursor_of(data);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag != PB_TAG(POINT, PB_LEN)) {
            pb_skip(&c, tag, type);
            continue;
        }
        if (!point_read(w, m, pb_bytes(&c), index++, &w->ahead[n_ahead++], e)) {
            return false;
        }
        if (n_ahead == N_AHEAD || w->reader.scratch->used_bytes != 0) {
            if (!points_deliver(w, m, w->ahead, n_ahead, e)) {
                return false;
            }
            n_ahead = 0;
            scratch_reset(w);
        }
    }
    return points_deliver(w, m, w->ahead, n_ahead, e);
}

static bool walk_histograms(struct walk *w, const struct otlp_metric *m, struct slice data,
                            struct err *e)
{
    const struct pb_type *type = data_type(m->kind);
    uint32_t index = 0;
    struct cursor c = cursor_of(data);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag != PB_TAG(POINT, PB_LEN)) {
            pb_skip(&c, tag, type);
            continue;
        }
        struct otlp_point p __attribute__((uninitialized)); /* its reader clears it */
        if (!point_read(w, m, pb_bytes(&c), index++, &p, e) || !points_deliver(w, m, &p, 1, e)) {
            return false;
        }
        scratch_reset(w);
    }
    return true;
}

/* The oneof in Metric: its last kind counts, and that kind's messages since another one stood. */
struct metric_data {
    uint32_t tag;
    uint32_t n;
    struct slice last;
    const uint8_t *first; /* where its first field begins */
};

static void data_take(struct cursor *c, const uint8_t *at, uint32_t tag, struct metric_data *data)
{
    if (data->tag != tag) {
        *data = (struct metric_data){.tag = tag, .first = at};
    }
    data->last = pb_bytes(c);
    data->n++;
}

static bool metric_skim(struct slice raw, struct otlp_metric *m, struct metric_data *data,
                        struct err *e)
{
    struct cursor c = cursor_of(raw);
    const uint8_t *at = c.next;
    for (uint32_t tag; (tag = pb_tag(&c)) != 0; at = c.next) {
        switch (tag) {
        case PB_TAG(1, PB_LEN):
            m->name = pb_bytes(&c);
            break;
        case PB_TAG(2, PB_LEN):
            m->description = pb_bytes(&c);
            break;
        case PB_TAG(3, PB_LEN):
            m->unit = pb_bytes(&c);
            break;
        case PB_TAG(5, PB_LEN):
        case PB_TAG(7, PB_LEN):
        case PB_TAG(9, PB_LEN):
        case PB_TAG(10, PB_LEN):
        case PB_TAG(11, PB_LEN):
            data_take(&c, at, tag, data);
            break;
        default:
            pb_skip(&c, tag, &metric_type);
            break;
        }
    }
    return cursor_ok(&c) || pb_explain(raw, &metric_type, e);
}

/* Has the sink read it itself? */
static bool is_known(struct walk *w, const struct otlp_metric *m)
{
    uint32_t n = w->sink->known == NULL ? 0 : w->sink->known(w->sink->ctx, m);
    w->n_points += n;
    return n > 0;
}

static bool walk_metric(struct walk *w, struct otlp_metric *m, struct err *e)
{
    struct metric_data data = {0};
    struct slice raw = m->raw;
    if (!metric_skim(raw, m, &data, e)) {
        return false;
    }
    if (data.n > 1) {
        struct slice rest = slice_of(data.first, (size_t)(raw.ptr + raw.len - data.first));
        data.last = pb_gather(rest, data.tag, false, &w->merged);
        if (data.last.ptr == NULL) {
            return otlp_no_room(e);
        }
    }
    if (data.n > 0) {
        m->kind = kind_of_tag(data.tag);
        if (!data_skim(data.last, m, e)) {
            return false;
        }
    }
    m->key = metric_key(m);
    if (is_known(w, m)) {
        return true;
    }
    if (w->sink->metric != NULL && !w->sink->metric(w->sink->ctx, m, e)) {
        return false;
    }
    w->reader.metric_key = m->key;
    bool numbers = m->kind == OTLP_GAUGE || m->kind == OTLP_SUM;
    return numbers ? walk_numbers(w, m, data.last, e) : walk_histograms(w, m, data.last, e);
}

static bool scope_read(struct slice raw, struct slice *name, struct err *e)
{
    struct cursor c = cursor_of(raw);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == PB_TAG(1, PB_LEN)) {
            *name = pb_bytes(&c);
        } else {
            pb_skip(&c, tag, &scope_type);
        }
    }
    return cursor_ok(&c) || pb_explain(raw, &scope_type, e);
}

/* The scope comes first or not: found before any metric is read. */
static bool scope_skim(struct slice raw, struct slice *name, struct err *e)
{
    struct cursor c = cursor_of(raw);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag != PB_TAG(SCOPE, PB_LEN)) {
            pb_skip(&c, tag, &scope_metrics_type);
        } else if (!scope_read(pb_bytes(&c), name, e)) {
            return false;
        }
    }
    return cursor_ok(&c) || pb_explain(raw, &scope_metrics_type, e);
}

static bool walk_scope(struct walk *w, struct slice raw, uint64_t attributes_key, struct err *e)
{
    w->resource.scope_name = SLICE_NONE;
    if (!scope_skim(raw, &w->resource.scope_name, e)) {
        return false;
    }
    w->resource.key = hash64_seeded(w->resource.scope_name, attributes_key);
    if (w->sink->scope != NULL) {
        w->sink->scope(w->sink->ctx, &w->resource);
    }
    struct cursor c = cursor_of(raw);
    const uint8_t *fetched = c.next;
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        fetched = pb_fetch_ahead(&c, fetched);
        if (tag != PB_TAG(METRIC, PB_LEN)) {
            pb_skip(&c, tag, &scope_metrics_type);
            continue;
        }
        struct otlp_metric m = {
            .resource = &w->resource, .raw = pb_bytes(&c), .index = w->n_metrics};
        bool ok = is_known(w, &m) || walk_metric(w, &m, e);
        if (ok && w->n_points > w->reader.caps->max_points) {
            ok = too_many_points(w, e);
        }
        if (!ok) {
            return err_wrap(e, "metric %" PRIu32, m.index);
        }
        w->n_metrics++;
    }
    return true;
}

static bool resource_read(struct walk *w, struct slice raw, struct err *e)
{
    const uint8_t attributes_tag = PB_TAG(1, PB_LEN);
    struct otlp_run run = {0};
    struct cursor c = cursor_of(raw);
    const uint8_t *at = c.next;
    for (uint32_t tag; (tag = pb_tag(&c)) != 0; at = c.next) {
        if (tag == PB_TAG(1, PB_LEN)) {
            otlp_run_take(&c, at, attributes_tag, &run);
        } else {
            pb_skip(&c, tag, &resource_type);
        }
    }
    if (!cursor_ok(&c)) {
        return pb_explain(raw, &resource_type, e);
    }
    if (run.n > w->reader.caps->max_attributes) {
        return err_set(e, ERR_BAD_INPUT, "%" PRIu32 " attributes, more than %" PRIu32, run.n,
                       w->reader.caps->max_attributes);
    }
    return otlp_run_slice(&run, raw, attributes_tag, &w->merged, &w->resource.attributes) ||
           otlp_no_room(e);
}

/* The resource stands before its metrics or not. */
static bool resource_skim(struct walk *w, struct slice raw, struct err *e)
{
    struct slice resource = SLICE_NONE;
    uint32_t n = 0;
    struct cursor c = cursor_of(raw);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == PB_TAG(RESOURCE, PB_LEN)) {
            resource = pb_bytes(&c);
            n++;
        } else {
            pb_skip(&c, tag, &resource_metrics_type);
        }
    }
    if (!cursor_ok(&c)) {
        return pb_explain(raw, &resource_metrics_type, e);
    }
    if (n > 1) {
        resource = pb_gather(raw, PB_TAG(RESOURCE, PB_LEN), false, &w->merged);
        if (resource.ptr == NULL) {
            return otlp_no_room(e);
        }
    }
    return resource_read(w, resource, e);
}

static bool walk_resource(struct walk *w, struct slice raw, struct err *e)
{
    arena_reset(&w->merged);
    w->resource.attributes = SLICE_NONE;
    w->n_metrics = 0;
    if (!resource_skim(w, raw, e)) {
        return false;
    }
    uint64_t attributes_key = hash64_seeded(w->resource.attributes, 0);
    struct cursor c = cursor_of(raw);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag != PB_TAG(SCOPE_METRICS, PB_LEN)) {
            pb_skip(&c, tag, &resource_metrics_type);
        } else if (!walk_scope(w, pb_bytes(&c), attributes_key, e)) {
            return false;
        }
    }
    return true;
}

static bool walk_message(struct walk *w, struct slice message, struct err *e)
{
    struct cursor c = cursor_of(message);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag != PB_TAG(1, PB_LEN)) {
            pb_skip(&c, tag, &message_type);
            continue;
        }
        struct slice raw = pb_bytes(&c);
        if (!cursor_ok(&c)) {
            break;
        }
        if (!walk_resource(w, raw, e)) {
            return err_wrap(e, "resource %" PRIu32, w->resource.index);
        }
        w->resource.index++;
    }
    return cursor_ok(&c) || pb_explain(message, &message_type, e);
}

bool otlp_walk(struct slice message, const struct otlp_caps *caps, struct arena *scratch,
               const struct otlp_sink *sink, struct err *e)
{
    if (message.len > caps->max_message_bytes) {
        return err_set_code(e, ERR_BAD_INPUT, PB_TOO_LARGE, "message of %zu bytes, more than %zu",
                            message.len, caps->max_message_bytes);
    }
    struct walk w = {.sink = sink, .reader = {.caps = caps, .scratch = scratch, .sink = sink}};
    arena_reset(scratch);
    arena_init(&w.merged, 8 * message.len + (1 << 20)); /* the pieces, thrice copied, and slack */
    bool ok = walk_message(&w, message, e);
    arena_fini(&w.merged);
    return ok;
}
