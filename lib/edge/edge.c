#include "edge/edge.h"

#include <assert.h>
#include <stdlib.h>

#include "edge/answer.h"
#include "edge/kills.h"
#include "edge/pass.h"
#include "wire/otlp_json.h"
#include "wire/protobuf.h"

enum {
    WALK_BYTES = 32 << 20,
    JUDGE_BYTES = 16 << 20,
    MESSAGE_BYTES = 64 << 20,
    KEPT_PART_BYTES = 4 << 20,
    REJECT_POINTS = 1 /* of those listed for a dead letter, none is read here */
};

struct edge {
    struct policy_file file;
    struct policy *policy;
    struct tenants tenants;
    struct series_cache series;
    struct plan_cache plans;
    struct skeletons skeletons;
    struct lines lines;
    bool has_skeletons;
    struct groups groups;
    struct rejects rejects;
    struct kills kills;
    struct answer_batches batches;
    struct parts parts;
    struct buf translated; /* from JSON */
    struct arena walk_arena;
    struct arena judge_arena;
};

bool edge_new(const struct edge_options *o, struct edge **out, struct err *e)
{
    struct edge *edge = calloc(1, sizeof *edge);
    if (edge == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    series_cache_init(&edge->series, o->cache_bytes / 4 * 3);
    plan_cache_init(&edge->plans, o->cache_bytes / 4);
    skeletons_init(&edge->skeletons, o->cache_bytes / 8);
    lines_init(&edge->lines, o->cache_bytes / 8);
    edge->has_skeletons = !o->no_skeletons;
    groups_init(&edge->groups, MESSAGE_BYTES);
    rejects_init(&edge->rejects, MESSAGE_BYTES, REJECT_POINTS);
    kills_init(&edge->kills);
    answer_batches_init(&edge->batches, MESSAGE_BYTES);
    parts_init(&edge->parts);
    buf_init(&edge->translated, otlp_json_default_caps.max_message_bytes);
    arena_init(&edge->walk_arena, WALK_BYTES);
    arena_init(&edge->judge_arena, JUDGE_BYTES);
    if (!policy_file_open(&edge->file, o->policy_path, &edge->policy, e) ||
        !tenants_init(&edge->tenants, edge->policy, e)) {
        edge_free(edge);
        return false;
    }
    *out = edge;
    return true;
}

void edge_free(struct edge *edge)
{
    if (edge == NULL) {
        return;
    }
    series_cache_fini(&edge->series);
    plan_cache_fini(&edge->plans);
    skeletons_fini(&edge->skeletons);
    lines_fini(&edge->lines);
    groups_fini(&edge->groups);
    rejects_fini(&edge->rejects);
    kills_fini(&edge->kills);
    answer_batches_fini(&edge->batches);
    parts_fini(&edge->parts);
    buf_fini(&edge->translated);
    arena_fini(&edge->walk_arena);
    arena_fini(&edge->judge_arena);
    tenants_fini(&edge->tenants);
    policy_free(edge->policy);
    free(edge);
}

/* The caches hold entries of one another: they are emptied together. */
static void caches_clear(struct edge *edge)
{
    series_cache_clear(&edge->series);
    plan_cache_clear(&edge->plans);
    skeletons_clear(&edge->skeletons);
    lines_clear(&edge->lines);
    kills_forget(&edge->kills);
}

enum policy_change edge_reload(struct edge *edge, struct err *e)
{
    struct policy *fresh = NULL;
    struct tenants tenants = {0};
    enum policy_change change = policy_file_poll(&edge->file, &fresh, e);
    if (change == POLICY_NEW && !tenants_init(&tenants, fresh, e)) {
        tenants_fini(&tenants);
        policy_free(fresh);
        change = POLICY_REFUSED;
    }
    if (change != POLICY_NEW) {
        return change;
    }
    caches_clear(edge);
    tenants_fini(&edge->tenants);
    policy_free(edge->policy);
    edge->tenants = tenants;
    edge->policy = fresh;
    return POLICY_NEW;
}

void edge_set_controls(struct edge *edge, const struct controls *c)
{
    edge->kills.controls = c;
}

struct edge_stats edge_stats(const struct edge *edge)
{
    return (struct edge_stats){
        .n_series_hits = edge->series.n_hits,
        .n_series_misses = edge->series.n_misses,
        .n_shape_hits = edge->plans.n_hits,
        .n_shape_misses = edge->plans.n_misses,
        .n_skeleton_hits = edge->skeletons.n_hits + edge->lines.n_hits,
        .n_skeleton_misses = edge->skeletons.n_misses + edge->lines.n_misses,
        .cache_bytes = series_cache_bytes(&edge->series) + plan_cache_bytes(&edge->plans) +
                       skeletons_bytes(&edge->skeletons) + lines_bytes(&edge->lines),
    };
}

static struct pass pass_begin(struct edge *edge, const struct tenant *tenant, int64_t now_ms)
{
    groups_reset(&edge->groups);
    rejects_reset(&edge->rejects);
    answer_batches_reset(&edge->batches);
    edge->kills.n_counts = 0;
    return (struct pass){
        .tenant = tenant,
        .min_ms = now_ms - tenant->rules->max_age_ms,
        .max_ms = now_ms + tenant->rules->max_future_ms,
        .series = &edge->series,
        .groups = &edge->groups,
        .rejects = &edge->rejects,
        .skeletons = edge->has_skeletons ? &edge->skeletons : NULL,
        .lines = edge->has_skeletons ? &edge->lines : NULL,
        .walk_arena = &edge->walk_arena,
        .judge_arena = &edge->judge_arena,
    };
}

static bool json_read(struct edge *edge, struct pass *p, struct slice body, struct err *e)
{
    buf_reset(&edge->translated);
    return otlp_json_read(body, &otlp_json_default_caps, &edge->translated, e) &&
           otlp_points(p, buf_slice(&edge->translated), e);
}

static bool points_read(struct edge *edge, struct pass *p, enum edge_format format,
                        struct slice body, struct err *e)
{
    bool ok = false;
    switch (format) {
    case EDGE_OTLP:
        ok = otlp_points(p, body, e);
        break;
    case EDGE_OTLP_JSON:
        ok = json_read(edge, p, body, e);
        break;
    case EDGE_REMOTE_WRITE_1:
        ok = remote_write_points(p, REMOTE_WRITE_1, body, e);
        break;
    case EDGE_REMOTE_WRITE_2:
        ok = remote_write_points(p, REMOTE_WRITE_2, body, e);
        break;
    }
    if (!ok && e->kind == ERR_BAD_INPUT && e->code != REASON_TOO_LARGE) {
        e->code = e->code == PB_TOO_LARGE ? REASON_TOO_LARGE : REASON_MALFORMED;
    }
    return ok;
}

bool edge_judge(struct edge *edge, struct slice tenant_name, enum edge_format format,
                struct slice body, int64_t now_ms, struct edge_answer *out, struct err *e)
{
    const struct tenant *tenant = tenants_find(&edge->tenants, tenant_name);
    if (series_cache_bytes(&edge->series) > edge->series.max_bytes ||
        plan_cache_bytes(&edge->plans) > edge->plans.max_bytes) {
        caches_clear(edge);
    }
    if (tenant == NULL) {
        return err_set_code(e, ERR_BAD_INPUT, REASON_UNKNOWN_TENANT,
                            "the policy does not know this tenant");
    }
    struct pass p = pass_begin(edge, tenant, now_ms);
    struct batch_target target = {.ctx = &edge->batches,
                                  .put = answer_batch_put,
                                  .max_series = tenant->rules->max_series,
                                  .rejects = &edge->rejects};
    if (!points_read(edge, &p, format, body, e) ||
        !kills_apply(&edge->kills, &p, &edge->plans, now_ms, e) ||
        !groups_emit(&edge->groups, &edge->plans, &edge->series, &target, e)) {
        return false;
    }
    assert(p.n_in == target.n_samples + edge->rejects.n_samples);
    const struct answer_parts parts = {&edge->batches, &edge->rejects, &edge->kills,
                                       &edge->groups.arena, format};
    return answer_fill(&parts, out, e);
}

bool edge_split(struct edge *edge, struct slice tenant_name, struct slice otlp,
                const struct edge_way *way, struct edge_parts *out, struct err *e)
{
    static const struct text_list none = {0};
    const struct tenant *tenant = tenants_find(&edge->tenants, tenant_name);
    const struct parts_route route = {
        .tenant = tenant_name,
        .attributes = tenant == NULL ? &none : &tenant->rules->source.attributes,
        .other_source = way->other_source,
        .n_partitions = way->n_partitions};
    if (edge->parts.bytes.cap > KEPT_PART_BYTES) {
        buf_fini(&edge->parts.bytes); /* what one large message took */
    }
    bool ok = parts_split(&edge->parts, &route, otlp, e);
    *out = (struct edge_parts){edge->parts.n, edge->parts.items};
    return ok;
}
