#include "validate.h"

#include <assert.h>
#include <stdlib.h>

#include "edge/pass.h"
#include "forward.h"
#include "stage/ingest.h"
#include "switches.h"
#include "tenant_schemas.h"
#include "wire/inflate.h"

enum {
    CLAMP_AHEAD_MS = 60000,
    WALK_BYTES = 32 << 20,
    JUDGE_BYTES = 16 << 20,
    RECORD_BYTES = 64 << 20,
    SCHEMA_BYTES = 64 << 20
};

struct validate {
    struct validate_options options;
    struct metrics *metrics;
    struct policy_file file;
    struct mask_source mask;
    struct tenant_schemas schemas;
    struct arena schema_arena; /* a record of another schema, in the current one */
    struct policy *policy;
    struct tenants tenants;
    struct tenant_cells *cells; /* owned, by tenant */
    struct series_cache series;
    struct plan_cache plans;
    struct skeletons skeletons;
    struct lines lines;
    struct groups groups;
    struct rejects rejects;
    struct forward forward;
    struct buf unpacked; /* a remote write message */
    struct switches switches;
    struct arena walk_arena;
    struct arena judge_arena;
    struct arena name_arena; /* an unknown tenant's name */
    struct cell *clamped;
};

/* The caches hold entries of one another: they are emptied together. */
static void caches_clear(struct validate *v)
{
    series_cache_clear(&v->series);
    plan_cache_clear(&v->plans);
    skeletons_clear(&v->skeletons);
    lines_clear(&v->lines);
}

static void version_show(struct validate *v, double on)
{
    struct slice version = slice_str(v->policy->version);
    cell_set(metrics_cell(v->metrics, M_POLICY_VERSION, &version), on);
}

static void tenants_close(struct tenants *tenants, struct tenant_cells *cells)
{
    tenants_fini(tenants);
    free(cells);
}

static bool tenants_open(const struct policy *p, struct metrics *m, struct tenants *tenants,
                         struct tenant_cells **cells, struct err *e)
{
    if (!tenants_init(tenants, p, e)) {
        return false;
    }
    *cells = tenant_cells_new(tenants, m);
    return *cells != NULL || err_set(e, ERR_FATAL, "out of memory");
}

bool validate_new(const struct validate_options *o, struct metrics *m, struct validate **out,
                  struct err *e)
{
    struct validate *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    v->options = *o;
    v->metrics = m;
    v->clamped = metrics_cell(m, M_CLAMPED, NULL);
    series_cache_init(&v->series, o->cache_bytes / 4 * 3);
    plan_cache_init(&v->plans, o->cache_bytes / 4);
    skeletons_init(&v->skeletons, o->cache_bytes / 8);
    lines_init(&v->lines, o->cache_bytes / 8);
    groups_init(&v->groups, RECORD_BYTES);
    rejects_init(&v->rejects, RECORD_BYTES, (uint32_t)o->dlq_samples_per_minute);
    forward_init(&v->forward, o->cache_bytes / 8);
    buf_init(&v->unpacked, remote_write_default_caps.max_message_bytes);
    arena_init(&v->walk_arena, WALK_BYTES);
    arena_init(&v->judge_arena, JUDGE_BYTES);
    arena_init(&v->schema_arena, SCHEMA_BYTES);
    arena_init(&v->name_arena, JUDGE_BYTES);
    if (!switches_init(&v->switches)) {
        validate_free(v);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!mask_source_open(&v->mask, o->mask_key_file, o->mask_key, e) ||
        !tenant_schemas_open(&v->schemas, o->tenant_schemas, o->n_tenant_schemas, e) ||
        !policy_file_open(&v->file, o->policy_path, &v->policy, e) ||
        !tenants_open(v->policy, m, &v->tenants, &v->cells, e)) {
        validate_free(v);
        return false;
    }
    version_show(v, 1);
    *out = v;
    return true;
}

void validate_free(struct validate *v)
{
    if (v == NULL) {
        return;
    }
    series_cache_fini(&v->series);
    plan_cache_fini(&v->plans);
    skeletons_fini(&v->skeletons);
    lines_fini(&v->lines);
    groups_fini(&v->groups);
    rejects_fini(&v->rejects);
    forward_fini(&v->forward);
    buf_fini(&v->unpacked);
    switches_fini(&v->switches);
    arena_fini(&v->walk_arena);
    arena_fini(&v->judge_arena);
    arena_fini(&v->name_arena);
    tenants_close(&v->tenants, v->cells);
    policy_free(v->policy);
    mask_source_fini(&v->mask);
    tenant_schemas_fini(&v->schemas);
    arena_fini(&v->schema_arena);
    free(v);
}

enum policy_change validate_reload(struct validate *v, struct err *e)
{
    struct policy *fresh = NULL;
    struct tenants tenants = {0};
    struct tenant_cells *cells = NULL;
    enum policy_change change = policy_file_poll(&v->file, &fresh, e);
    if (change == POLICY_NEW && !tenants_open(fresh, v->metrics, &tenants, &cells, e)) {
        tenants_close(&tenants, cells);
        policy_free(fresh);
        change = POLICY_REFUSED;
    }
    if (change == POLICY_REFUSED) {
        cell_add(metrics_cell(v->metrics, M_POLICY_ERRORS, NULL), 1);
    }
    if (change != POLICY_NEW) {
        return change;
    }
    version_show(v, 0);
    caches_clear(v);
    tenants_close(&v->tenants, v->cells);
    policy_free(v->policy);
    v->tenants = tenants;
    v->cells = cells;
    v->policy = fresh;
    version_show(v, 1);
    return POLICY_NEW;
}

enum mask_change validate_reload_mask(struct validate *v, struct err *e)
{
    enum mask_change change = mask_source_poll(&v->mask, e);
    if (change == MASK_REFUSED) {
        cell_add(metrics_cell(v->metrics, M_MASK_ERRORS, NULL), 1);
    } else if (change == MASK_NEW) {
        caches_clear(v); /* they hold masks */
    }
    return change;
}

const char *validate_mask_key_id(const struct validate *v)
{
    return v->mask.id;
}

const char *validate_policy_version(const struct validate *v)
{
    return v->policy->version;
}

static void show(struct validate *v, enum metric_id id, const char *label, uint64_t n)
{
    struct slice value = slice_str(label);
    cell_set(metrics_cell(v->metrics, id, &value), (double)n);
}

void validate_export(struct validate *v)
{
    show(v, M_SERIES_CACHE, "hit", v->series.n_hits);
    show(v, M_SERIES_CACHE, "miss", v->series.n_misses);
    show(v, M_SKELETONS, "hit", v->skeletons.n_hits + v->lines.n_hits);
    show(v, M_SKELETONS, "miss", v->skeletons.n_misses + v->lines.n_misses);
    show(v, M_SHAPE_CACHE, "hit", v->plans.n_hits);
    show(v, M_SHAPE_CACHE, "miss", v->plans.n_misses);
    cell_set(metrics_cell(v->metrics, M_SHAPE_CACHE_BYTES, NULL),
             (double)(plan_cache_bytes(&v->plans) + series_cache_bytes(&v->series) +
                      skeletons_bytes(&v->skeletons) + lines_bytes(&v->lines)));
}

bool validate_recover(void *ctx, struct stage *s, struct partition *p, int64_t committed,
                      struct slice metadata, struct err *e)
{
    const struct validate *v = ctx;
    (void)s;
    (void)committed;
    (void)metadata;
    struct caps *caps = calloc(1, sizeof *caps);
    if (caps == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    caps_init(caps, v->options.dlq_samples_per_minute);
    p->state = caps;
    return true;
}

void validate_drop(void *ctx, struct partition *p)
{
    (void)ctx;
    if (p->state != NULL) {
        caps_fini(p->state);
        free(p->state);
        p->state = NULL;
    }
}

static bool tell(struct outbox *out, struct cell *cell, uint64_t n, struct err *e)
{
    return n == 0 || tally_add(&out->tally, cell, (double)n) ||
           err_set(e, ERR_RETRY, "no memory for a count");
}

/* The log's time, but never far ahead of ours. */
static bool received(const struct validate *v, const struct record *in, int64_t now_ms,
                     struct outbox *out, int64_t *received_ms, struct err *e)
{
    *received_ms = in->timestamp_ms;
    if (in->timestamp_ms > 0 && in->timestamp_ms <= now_ms + CLAMP_AHEAD_MS) {
        return true;
    }
    *received_ms = in->timestamp_ms > 0 ? now_ms + CLAMP_AHEAD_MS : now_ms;
    return tell(out, v->clamped, 1, e);
}

/* Once per record and source. */
static bool switches_count(struct validate *v, const struct tenant_cells *t, const struct record *in,
                           struct outbox *out, struct err *e)
{
    uint64_t where = hash64_seeded(in->partition->topic, (uint64_t)in->partition->number) | 1;
    uint64_t n = 0;
    for (const struct group *g = v->groups.first; g != NULL; g = g->next) {
        n += switches_moved(&v->switches, g->stream->source, where);
    }
    if (!tell(out, t->switches, n, e)) {
        return false;
    }
    for (const struct group *g = v->groups.first; g != NULL; g = g->next) {
        switches_note(&v->switches, g->stream->source, where);
    }
    return true;
}

static bool counts_put(const struct tenant_cells *t, uint64_t n_in, uint64_t n_out, int64_t received_ms,
                       struct outbox *out, struct err *e)
{
    return tell(out, t->in, n_in, e) && tell(out, t->out, n_out, e) &&
           (n_out == 0 || outbox_age(out, received_ms, n_out, e));
}

static struct pass pass_begin(struct validate *v, const struct letter_origin *o)
{
    const struct rules *rules = o->tenant->rules;
    groups_reset(&v->groups);
    rejects_reset(&v->rejects);
    return (struct pass){
        .tenant = o->tenant,
        .min_ms = o->received_ms - rules->max_age_ms,
        .max_ms = o->received_ms + rules->max_future_ms,
        .mask_key = buf_slice(&v->mask.key),
        .watch = v->options.watch,
        .series = &v->series,
        .groups = &v->groups,
        .rejects = &v->rejects,
        .skeletons = &v->skeletons,
        .lines = &v->lines,
        .walk_arena = &v->walk_arena,
        .judge_arena = &v->judge_arena,
    };
}

static bool remote_write_read(struct validate *v, struct pass *p, enum remote_write_version version,
                              struct slice value, struct err *e)
{
    buf_reset(&v->unpacked);
    return inflate_bytes(INFLATE_SNAPPY, value, remote_write_default_caps.max_message_bytes, &v->unpacked, e) &&
           remote_write_points(p, version, buf_slice(&v->unpacked), e);
}

static bool avro_read(struct validate *v, struct pass *p, struct slice value, struct err *e)
{
    if (!tenant_schemas_have(&v->schemas, value)) {
        return tenant_points(p, value, e);
    }
    struct slice current;
    arena_reset(&v->schema_arena);
    return tenant_schemas_convert(&v->schemas, value, SCHEMA_BYTES / 4, &v->schema_arena, &current, e) &&
           tenant_points(p, current, e);
}

static bool points_read(struct validate *v, struct pass *p, enum ingest_format format, struct slice value,
                        struct err *e)
{
    switch (format) {
    case INGEST_TENANT_AVRO:
        return avro_read(v, p, value, e);
    case INGEST_REMOTE_WRITE_1:
        return remote_write_read(v, p, REMOTE_WRITE_1, value, e);
    case INGEST_REMOTE_WRITE_2:
        return remote_write_read(v, p, REMOTE_WRITE_2, value, e);
    default:
        return otlp_points(p, value, e);
    }
}

/* What a record's batches are put with. */
struct batch_output {
    struct outbox *out;
    int32_t n_partitions;
};

static bool batch_put(void *ctx, const struct batch *b, uint32_t n_samples, struct slice encoded,
                      struct err *e)
{
    const struct batch_output *o = ctx;
    uint8_t key[sizeof b->source];
    (void)n_samples;
    memcpy(key, &b->source, sizeof key);
    const struct outgoing r = {
        .output = OUTPUT_VALID,
        .partition = batch_partition(b->source, o->n_partitions),
        .key = slice_of(key, sizeof key),
        .value = encoded,
    };
    return outbox_put(o->out, &r, e);
}

/* Points become batches and dead letters. */
static bool points_put(struct validate *v, const struct letter_origin *o, enum ingest_format format,
                       const struct letter_target *letters, struct err *e)
{
    struct pass p = pass_begin(v, o);
    struct outbox *out = letters->out;
    struct batch_output output = {out, (int32_t)out->n_output_partitions[OUTPUT_VALID]};
    struct batch_target target = {.ctx = &output,
                                  .put = batch_put,
                                  .origin = {.topic = o->topic,
                                             .partition = o->in->partition->number,
                                             .offset = o->in->offset},
                                  .received_ms = o->received_ms,
                                  .max_series = o->tenant->rules->max_series,
                                  .rejects = &v->rejects};
    memcpy(target.origin.topic_id, o->in->partition->topic_id, TOPIC_ID_BYTES);
    if (!points_read(v, &p, format, o->in->value, e) ||
        !groups_emit(&v->groups, &v->plans, &v->series, &target, e)) {
        return false;
    }
    assert(p.n_in == target.n_samples + v->rejects.n_samples);
    return rejects_put(&v->rejects, o, letters, e) &&
           counts_put(o->cells, p.n_in, target.n_samples, o->received_ms, out, e) &&
           switches_count(v, o->cells, o->in, out, e);
}

static bool batch_put_on(struct validate *v, const struct letter_origin *o, struct outbox *out,
                         struct err *e)
{
    uint64_t n = 0;
    return forward_batch(&v->forward, o, &v->walk_arena, OUTPUT_VALID, out, &n, e) &&
           counts_put(o->cells, n, n, o->received_ms, out, e);
}

static bool record_put(struct validate *v, const struct letter_origin *o, const struct ingest *look,
                       const struct letter_target *letters, struct err *e)
{
    struct outbox *out = letters->out;
    struct outbox_mark mark = outbox_mark(out);
    struct err why = ERR_INIT;
    bool ok = look->format == INGEST_BATCH ? batch_put_on(v, o, out, &why)
                                           : points_put(v, o, look->format, letters, &why);
    if (ok) {
        return true;
    }
    if (why.kind != ERR_BAD_INPUT) {
        *e = why;
        return false;
    }
    /* No partial effect. */
    outbox_rewind(out, mark);
    caps_begin(letters->caps);
    enum reason reason = why.code == REASON_TOO_LARGE || why.code == REASON_FORGED_BATCH
                             ? (enum reason)why.code
                             : REASON_MALFORMED;
    return reject_record(o, reason, why.text, letters, e);
}

/* Who the letters are about; the tenant's rules are those of nobody when it is unknown. */
static bool origin_of(struct validate *v, const struct record *in, const struct ingest *look,
                      int64_t received_ms, struct letter_origin *o, struct err *e)
{
    struct tenant *tenant = tenants_find(&v->tenants, look->tenant_name);
    *o = (struct letter_origin){.in = in, .topic = look->topic, .received_ms = received_ms};
    arena_reset(&v->name_arena);
    o->tenant = tenant != NULL ? tenant : &v->tenants.nobody;
    o->cells = &v->cells[o->tenant->index];
    o->tenant_name =
        tenant != NULL ? tenant->name : printable_name(&v->name_arena, look->tenant_name);
    return o->tenant_name.ptr != NULL || err_set(e, ERR_FATAL, "out of memory");
}

static struct letter_target letters_of(const struct validate *v, const struct record *in,
                                       struct outbox *out)
{
    return (struct letter_target){
        .metrics = v->metrics,
        .caps = in->partition->state,
        .out = out,
        .output = OUTPUT_DLQ,
        .mask_key = slice_str(v->mask.id),
        .policy_version = slice_str(v->policy->version),
        .fault_lose = v->options.fault_lose_letters && (in->offset & 1) == 0,
    };
}

bool validate_step(void *ctx, struct stage *s, const struct record *in, int64_t now_ms,
                   struct outbox *out, struct err *e)
{
    struct validate *v = ctx;
    const struct letter_target letters = letters_of(v, in, out);
    struct letter_origin o;
    int64_t received_ms;
    (void)s;
    if (v->options.watch != NULL || series_cache_bytes(&v->series) > v->series.max_bytes ||
        plan_cache_bytes(&v->plans) > v->plans.max_bytes) {
        caches_clear(v);
    }
    caps_begin(letters.caps);
    struct ingest look = ingest_look(in, v->options.shared_topic);
    if (!received(v, in, now_ms, out, &received_ms, e) ||
        !origin_of(v, in, &look, received_ms, &o, e)) {
        return false;
    }
    if (look.reason == REASON_NONE && o.tenant == &v->tenants.nobody) {
        look.reason = REASON_UNKNOWN_TENANT;
    }
    bool ok = look.reason == REASON_NONE
                  ? record_put(v, &o, &look, &letters, e)
                  : reject_record(&o, look.reason, NULL, &letters, e);
    if (ok) {
        caps_keep(letters.caps);
    }
    return ok;
}

bool validate_give_up(void *ctx, struct stage *s, const struct record *in, const char *reason,
                      struct outbox *out, struct err *e)
{
    struct validate *v = ctx;
    const struct letter_target letters = letters_of(v, in, out);
    struct letter_origin o;
    struct ingest look = ingest_look(in, v->options.shared_topic);
    (void)s;
    caps_begin(letters.caps);
    bool ok = origin_of(v, in, &look, in->timestamp_ms, &o, e) &&
              reject_record(&o, REASON_OUTPUT_REFUSED, reason, &letters, e);
    if (ok) {
        caps_keep(letters.caps);
    }
    return ok;
}
