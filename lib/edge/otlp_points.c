/* Points of OTLP metrics. */
#include <math.h>

#include "batch/histogram.h"
#include "edge/pass.h"
#include "wire/otlp.h"

enum { NUMBER_TEXT_BYTES = 32, SHARED_BYTES = 16 << 20 };

/* What the series of one resource, and of one metric, have in common when they are judged. */
struct shared {
    struct arena resource_arena;
    struct arena metric_arena;
    bool has_resource;
    bool has_metric;
    uint64_t resource_key;
    uint32_t resource_index;
    struct raw_labels attributes;
    struct judged_attributes judged;
    struct judged_metric metric;
};

struct otlp_points_walk {
    struct pass *pass;
    const struct otlp_metric *metric;
    enum series_kind kind;
    bool delta;
    enum reason refused; /* the metric as a whole, whatever its labels */
    struct shared shared;
};

static void on_scope(void *ctx, const struct otlp_resource *r)
{
    const struct otlp_points_walk *w = ctx;
    skeleton_keep(w->pass->skeletons); /* the metric before it, of the scope before it */
    skeleton_scope(w->pass->skeletons, r, w->pass->tenant->salt.lo);
}

static uint32_t on_known(void *ctx, const struct otlp_metric *m)
{
    const struct otlp_points_walk *w = ctx;
    skeleton_keep(w->pass->skeletons);
    return skeleton_take(w->pass->skeletons, w->pass, m);
}

/* What the metric is here, before the policy is asked. */
static bool on_metric(void *ctx, const struct otlp_metric *m, struct err *e)
{
    struct otlp_points_walk *w = ctx;
    (void)e;
    if (w->pass->skeletons != NULL) {
        skeleton_learn(w->pass->skeletons, m);
    }
    w->metric = m;
    w->shared.has_metric = false;
    w->delta = m->temporality == OTLP_DELTA;
    w->refused = REASON_NONE;
    switch (m->kind) {
    case OTLP_SUM:
        w->kind = m->monotonic ? SERIES_COUNTER : SERIES_GAUGE;
        if (!m->monotonic && w->delta) {
            w->refused = REASON_DELTA_NOT_MONOTONIC;
        }
        break;
    case OTLP_HISTOGRAM:
        w->kind = SERIES_CLASSIC_HISTOGRAM;
        break;
    case OTLP_EXP_HISTOGRAM:
        w->kind = SERIES_EXP_HISTOGRAM;
        break;
    default:
        w->kind = SERIES_GAUGE;
        w->delta = false;
        return true;
    }
    if (m->temporality == OTLP_UNSPECIFIED) {
        w->refused = REASON_TEMPORALITY_MISSING;
    }
    return true;
}

/* Attributes as labels, in the judgement's arena; a run that can't be read gives one unusable
 * label. */
static bool attributes_read(struct arena *a, struct slice run, struct raw_labels *out)
{
    struct otlp_attribute attribute;
    uint32_t n = 0;
    for (struct cursor c = cursor_of(run); otlp_attribute_next(&c, &attribute);) {
        n++;
    }
    struct raw_label *labels = ARENA_ARRAY(a, struct raw_label, (size_t)n + 1);
    if (labels == NULL) {
        return false;
    }
    struct cursor c = cursor_of(run);
    for (uint32_t i = 0; i < n && otlp_attribute_next(&c, &attribute); i++) {
        char *space = attribute.type == OTLP_V_STRING ? NULL : arena_alloc(a, NUMBER_TEXT_BYTES);
        if (attribute.type != OTLP_V_STRING && space == NULL) {
            return false;
        }
        labels[i].name = attribute.name;
        labels[i].is_text = otlp_attribute_text(
            &attribute, space, space == NULL ? 0 : NUMBER_TEXT_BYTES, &labels[i].value);
    }
    (void)otlp_attribute_next(&c, &attribute); /* the end, or where it fails */
    if (!cursor_ok(&c)) {
        labels[n++] = (struct raw_label){.name = SLICE_LITERAL("?")};
    }
    *out = (struct raw_labels){n, labels};
    return true;
}

/* Where raw differs from the metric's usual form: the parts of a summary. */
struct series_part {
    struct slice suffix;
    struct raw_label extra;
    enum series_kind kind;
};

static bool share_resource(struct otlp_points_walk *w, struct raw_series *raw, struct err *e)
{
    struct shared *s = &w->shared;
    const struct otlp_resource *r = w->metric->resource;
    if (!s->has_resource || s->resource_key != r->key || s->resource_index != r->index) {
        arena_reset(&s->resource_arena);
        s->has_resource = false;
        if (!attributes_read(&s->resource_arena, r->attributes, &raw->attributes) ||
            !policy_judge_attributes(w->pass->tenant->rules, raw, &s->resource_arena, &s->judged, e)) {
            return pass_no_room(e);
        }
        s->attributes = raw->attributes;
        s->resource_key = r->key;
        s->resource_index = r->index;
        s->has_resource = true;
    }
    raw->attributes = s->attributes;
    raw->judged = &s->judged;
    return true;
}

static bool share_metric(struct otlp_points_walk *w, struct raw_series *raw, struct err *e)
{
    struct shared *s = &w->shared;
    if (!s->has_metric) {
        arena_reset(&s->metric_arena);
        if (!policy_judge_metric(w->pass->tenant->rules, raw, &s->metric_arena, &s->metric, e)) {
            return pass_no_room(e);
        }
        s->has_metric = true;
    }
    raw->metric_judged = &s->metric;
    return true;
}

static bool learn(struct otlp_points_walk *w, const struct otlp_point *p,
                  const struct series_part *part, struct hash128 key, struct entry **out,
                  struct err *e)
{
    struct arena *a = w->pass->judge_arena;
    struct raw_series raw = {
        .metric = w->metric->name,
        .suffix = part->suffix,
        .unit = w->metric->unit,
        .kind = part->kind,
        .delta = w->delta,
        .is_up_down = w->metric->kind == OTLP_SUM && !w->metric->monotonic,
        .extra = part->extra,
        .bounds = p->bounds,
        .n_bounds = p->n_bounds,
    };
    bool is_part = part->suffix.len > 0 || part->extra.name.len > 0;
    arena_reset(a);
    if (!share_resource(w, &raw, e) || (!is_part && !share_metric(w, &raw, e))) {
        return false;
    }
    if (!attributes_read(a, p->attributes, &raw.labels)) {
        return pass_no_room(e);
    }
    return pass_learn(w->pass, key, &raw, w->refused, out, e);
}

static bool reject(const struct otlp_points_walk *w, const struct otlp_point *p,
                   const struct entry *entry, enum reason reason, const char *detail, struct err *e)
{
    if (w->pass->skeletons != NULL) {
        skeleton_spoil(w->pass->skeletons);
    }
    const struct pass_point point = {w->metric->name,
                                     (int64_t)(p->time_ns / NS_PER_MS),
                                     0,
                                     {w->metric->resource->index, w->metric->index, p->index}};
    return pass_reject(w->pass, &point, entry, reason, detail, e);
}

static double stale_marker(void)
{
    double v;
    memcpy(&v, &stale_marker_bits, sizeof v);
    return v;
}

/* What is unusual or wrong: the long way, which can tell. space: room for err.text. */
static bool pack_exp_slowly(struct pass *pass, const struct otlp_point *p, struct exp_histogram *h, const char **detail,
                            char *space, struct err *e)
{
    const struct dense_buckets positive = {p->positive.offset, p->positive.n, p->positive.counts};
    const struct dense_buckets negative = {p->negative.offset, p->negative.n, p->negative.counts};
    struct err why = ERR_INIT;
    arena_reset(pass->judge_arena);
    if (!exp_histogram_from_dense(p->scale, &positive, &negative, pass->judge_arena, h, &why)) {
        memcpy(space, why.text, sizeof why.text);
        *detail = space;
        return true;
    }
    exp_histogram_encode(h, &pass->groups->packed);
    return buf_ok(&pass->groups->packed) || pass_no_room(e);
}

/* Packs it; *detail set: the point is refused. */
static bool pack_exp(struct pass *pass, const struct otlp_point *p, const char **detail, char *space, struct err *e)
{
    struct exp_histogram h = {.zero_threshold = p->zero_threshold,
                              .zero_count = p->zero_count,
                              .count = p->count,
                              .sum = p->sum};
    const struct dense_buckets positive = {p->positive.offset, p->positive.n, p->positive.counts};
    const struct dense_buckets negative = {p->negative.offset, p->negative.n, p->negative.counts};
    struct buf *packed = &pass->groups->packed;
    if (p->no_value) {
        h = (struct exp_histogram){.sum = stale_marker()};
        exp_histogram_encode(&h, packed);
        return buf_ok(packed) || pass_no_room(e);
    }
    if (isnan(p->sum)) {
        *detail = "the sum is NaN";
        return true;
    }
    if (exp_histogram_encode_dense(&h, p->scale, &positive, &negative, packed)) {
        return buf_ok(packed) || pass_no_room(e);
    }
    return pack_exp_slowly(pass, p, &h, detail, space, e);
}

static bool pack_classic(struct pass *pass, const struct otlp_point *p, const char **detail,
                         struct err *e)
{
    struct classic_histogram h = {.has_sum = p->has_sum,
                                  .sum = p->has_sum ? p->sum : 0,
                                  .count = p->count,
                                  .n_counts = p->n_bounds + 1,
                                  .counts = p->n_counts == 0 ? &p->count : p->counts};
    if (p->no_value) {
        uint64_t *zeros = arena_calloc(pass->walk_arena, (size_t)p->n_bounds + 1, sizeof *zeros);
        if (zeros == NULL) {
            return pass_no_room(e);
        }
        h = (struct classic_histogram){.stale = true, .n_counts = p->n_bounds + 1, .counts = zeros};
    } else if (p->has_sum && isnan(p->sum)) {
        *detail = "the sum is NaN";
        return true;
    }
    classic_histogram_encode(&h, &pass->groups->packed);
    return buf_ok(&pass->groups->packed) || pass_no_room(e);
}

static bool add_histogram(struct otlp_points_walk *w, const struct otlp_point *p,
                          const struct entry *entry, int64_t time_ms, int64_t start_ms,
                          struct err *e)
{
    struct pass *pass = w->pass;
    struct buf *packed = &pass->groups->packed;
    const char *detail = NULL;
    char space[sizeof e->text] __attribute__((uninitialized)); /* of what detail says */
    size_t start = packed->len;
    bool ok = w->kind == SERIES_EXP_HISTOGRAM ? pack_exp(pass, p, &detail, space, e)
                                              : pack_classic(pass, p, &detail, e);
    if (!ok) {
        return false;
    }
    if (detail == NULL && packed_undo_large(packed, start)) {
        detail = histogram_too_large;
    }
    if (detail != NULL) {
        return reject(w, p, entry, REASON_HISTOGRAM_INVALID, detail, e);
    }
    return pass_add(pass, entry, time_ms, start_ms, packed_place(packed, start), e);
}

static bool add_scalar(struct otlp_points_walk *w, const struct otlp_point *p,
                       const struct entry *entry, int64_t time_ms, int64_t start_ms, struct err *e)
{
    uint64_t bits;
    memcpy(&bits, &p->value, sizeof bits);
    if (p->no_value) {
        bits = stale_marker_bits;
    } else if (!p->has_value) {
        return reject(w, p, entry, REASON_POINT_INVALID, "the point has no value", e);
    }
    if (w->pass->skeletons != NULL) {
        skeleton_note(w->pass->skeletons, p, entry);
    }
    return pass_add(w->pass, entry, time_ms, start_ms, bits, e);
}

/* One value of a summary in mode open, as a series of its own. */
static bool add_part(struct otlp_points_walk *w, const struct otlp_point *p,
                     const struct series_part *part, double value, struct err *e)
{
    struct pass *pass = w->pass;
    struct hash128 key = pass_key(pass, p->series_key);
    key.lo ^= hash64_seeded(part->suffix, hash64_seeded(part->extra.value, 7));
    struct entry *entry = series_cache_find(pass->series, key);
    pass->n_in++;
    if (entry == NULL && !learn(w, p, part, key, &entry, e)) {
        return false;
    }
    int64_t time_ms = pass_ms_of(pass, p->time_ns);
    int64_t start_ms = (int64_t)(p->start_ns / NS_PER_MS);
    enum reason reason = entry->reason != REASON_NONE ? (enum reason)entry->reason
                                                      : pass_check_times(pass, time_ms, start_ms);
    if (reason != REASON_NONE) {
        return reject(w, p, entry, reason, NULL, e);
    }
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return pass_add(pass, entry, time_ms, start_ms, p->no_value ? stale_marker_bits : bits, e);
}

static bool add_summary(struct otlp_points_walk *w, const struct otlp_point *p, struct err *e)
{
    for (uint32_t i = 0; i < p->n_quantiles; i++) {
        char text[NUMBER_TEXT_BYTES];
        struct otlp_attribute quantile = {.type = OTLP_V_DOUBLE,
                                          .number = p->quantiles[(size_t)i * 2]};
        struct series_part part = {.kind = SERIES_GAUGE,
                                   .extra = {.name = SLICE_LITERAL("quantile"), .is_text = true}};
        (void)otlp_attribute_text(&quantile, text, sizeof text, &part.extra.value);
        if (!add_part(w, p, &part, p->quantiles[(size_t)i * 2 + 1], e)) {
            return false;
        }
    }
    const struct series_part count = {.suffix = SLICE_LITERAL("_count"), .kind = SERIES_COUNTER};
    const struct series_part sum = {.suffix = SLICE_LITERAL("_sum"), .kind = SERIES_COUNTER};
    return add_part(w, p, &count, (double)p->count, e) &&
           (!p->has_sum || add_part(w, p, &sum, p->sum, e));
}

static bool on_point(void *ctx, const struct otlp_metric *m, const struct otlp_point *p,
                     struct err *e)
{
    struct otlp_points_walk *w = ctx;
    struct pass *pass = w->pass;
    bool is_histogram = w->kind == SERIES_CLASSIC_HISTOGRAM || w->kind == SERIES_EXP_HISTOGRAM;
    if (m->kind == OTLP_SUMMARY && pass->tenant->rules->open && p->fault == NULL) {
        return add_summary(w, p, e);
    }
    pass->n_in++;
    if (p->fault != NULL || m->kind == OTLP_SUMMARY) {
        enum reason reason = p->fault == NULL ? REASON_KIND_NOT_ALLOWED
                             : is_histogram   ? REASON_HISTOGRAM_INVALID
                                              : REASON_POINT_INVALID;
        return reject(w, p, NULL, reason, p->fault, e);
    }
    struct hash128 key = pass_key(pass, p->series_key);
    if (w->kind == SERIES_CLASSIC_HISTOGRAM) { /* the bounds are part of the series */
        key.hi ^= hash64_seeded(slice_of(p->bounds, p->n_bounds * sizeof *p->bounds), 9);
    }
    struct entry *entry = series_cache_find(pass->series, key);
    if (entry == NULL && !learn(w, p, &(struct series_part){.kind = w->kind}, key, &entry, e)) {
        return false;
    }
    int64_t time_ms = pass_ms_of(pass, p->time_ns);
    int64_t start_ms = p->start_ns == 0 ? 0 : (int64_t)(p->start_ns / NS_PER_MS);
    if (entry->reason != REASON_NONE || !pass_times_ok(pass, time_ms, start_ms)) {
        enum reason reason = entry->reason != REASON_NONE
                                 ? (enum reason)entry->reason
                                 : pass_check_times(pass, time_ms, start_ms);
        return reject(w, p, entry, reason, NULL, e);
    }
    return is_histogram ? add_histogram(w, p, entry, time_ms, start_ms, e)
                        : add_scalar(w, p, entry, time_ms, start_ms, e);
}

bool otlp_points(struct pass *p, struct slice message, struct err *e)
{
    struct otlp_points_walk w = {.pass = p};
    struct otlp_caps caps = otlp_default_caps;
    caps.max_points = MAX_RECORD_POINTS;
    struct otlp_sink sink = {.ctx = &w, .metric = on_metric, .point = on_point};
    if (p->skeletons != NULL) {
        sink.scope = on_scope;
        sink.known = on_known;
        skeletons_begin(p->skeletons);
    }
    arena_init(&w.shared.resource_arena, SHARED_BYTES);
    arena_init(&w.shared.metric_arena, SHARED_BYTES);
    bool ok = otlp_walk(message, &caps, p->walk_arena, &sink, e);
    if (ok && p->skeletons != NULL) {
        skeleton_keep(p->skeletons);
    }
    arena_fini(&w.shared.resource_arena);
    arena_fini(&w.shared.metric_arena);
    return ok;
}
