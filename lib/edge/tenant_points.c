/* Points of the tenants' own Avro record. */
#include "edge/pass.h"
#include "wire/tenant_avro.h"

struct tenant_walk {
    struct pass *pass;
    struct slice source;
    uint64_t source_key;
    struct raw_label shared[64];
    uint32_t n_shared;
};

static bool on_source(void *ctx, struct slice name, const struct tenant_label *labels,
                      uint32_t n_labels, struct err *e)
{
    struct tenant_walk *w = ctx;
    (void)e;
    w->source = name;
    w->source_key = hash64_seeded(name, 5);
    w->n_shared = 0;
    for (uint32_t i = 0; i < n_labels && i < sizeof w->shared / sizeof w->shared[0]; i++) {
        w->shared[w->n_shared++] = (struct raw_label){labels[i].name, labels[i].value, true};
        w->source_key =
            hash64_seeded(labels[i].value, hash64_seeded(labels[i].name, w->source_key));
    }
    return true;
}

static bool is_own(const struct tenant_point *p, struct slice name)
{
    for (uint32_t i = 0; i < p->n_labels; i++) {
        if (slice_eq(p->labels[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool learn(const struct tenant_walk *w, const struct tenant_point *p, struct hash128 key,
                  struct entry **out, struct err *e)
{
    arena_reset(w->pass->judge_arena);
    struct raw_label *labels =
        ARENA_ARRAY(w->pass->judge_arena, struct raw_label, (size_t)p->n_labels + w->n_shared);
    if (labels == NULL) {
        return pass_no_room(e);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_labels; i++) {
        labels[n++] = (struct raw_label){p->labels[i].name, p->labels[i].value, true};
    }
    for (uint32_t i = 0; i < w->n_shared; i++) {
        if (!is_own(p, w->shared[i].name)) {
            labels[n++] = w->shared[i];
        }
    }
    const struct raw_series raw = {
        .metric = p->metric,
        .unit = p->unit,
        .kind = p->kind == TENANT_COUNTER ? SERIES_COUNTER : SERIES_GAUGE,
        .is_final = true,
        .source = w->source,
        .labels = {n, labels},
    };
    enum reason reason = w->source.len == 0 ? REASON_SOURCE_MISSING : REASON_NONE;
    return pass_learn(w->pass, key, &raw, reason, out, e);
}

static bool on_point(void *ctx, const struct tenant_point *p, struct err *e)
{
    struct tenant_walk *w = ctx;
    struct pass *pass = w->pass;
    uint64_t salt =
        hash64_seeded(p->unit, hash64_seeded(p->metric, w->source_key + (uint64_t)p->kind));
    struct hash128 key = pass_key(pass, hash128_seeded(p->labels_raw, salt));
    struct entry *entry = series_cache_find(pass->series, key);
    pass->n_in++;
    if (entry == NULL && !learn(w, p, key, &entry, e)) {
        return false;
    }
    if (entry->reason == REASON_NONE && pass_times_ok(pass, p->time_ms, p->start_ms)) {
        uint64_t bits;
        memcpy(&bits, &p->value, sizeof bits);
        return pass_add(pass, entry, p->time_ms, p->start_ms, bits, e);
    }
    const struct pass_point point = {p->metric, p->time_ms, p->start_ms, {0, 0, p->index}};
    enum reason reason = entry->reason != REASON_NONE
                             ? (enum reason)entry->reason
                             : pass_check_times(pass, p->time_ms, p->start_ms);
    return pass_reject(pass, &point, entry, reason, NULL, e);
}

bool tenant_points(struct pass *p, struct slice message, struct err *e)
{
    struct tenant_walk w = {.pass = p};
    const struct tenant_avro_sink sink = {.ctx = &w, .source = on_source, .point = on_point};
    struct tenant_avro_caps caps = tenant_avro_default_caps;
    caps.max_points = MAX_RECORD_POINTS;
    return tenant_avro_walk(message, &caps, p->walk_arena, &sink, e);
}
