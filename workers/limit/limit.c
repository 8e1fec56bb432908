#include "limit.h"

#include <stdlib.h>

#include "allocator.h"
#include "base/clock.h"
#include "budgets.h"
#include "completeness.h"
#include "filter.h"
#include "letters.h"
#include "offenders.h"
#include "pages.h"
#include "rulebook.h"
#include "run/log.h"
#include "state.h"

enum {
    DECODE_BYTES = 32 << 20,
    OFFENDERS_BYTES = 32 << 20,
    OFFENDERS_EVERY_MS = 600000,
    RELOAD_EVERY_MS = 1000,
    PAGES_EVERY_MS = 2000,
    GROWTH_EVERY_MS = 60000,
    FASTEST_TICK_MS = 1000,
    SLOWEST_TICK_MS = 10000,
    MAX_SILENT_LISTED = 100,
    MAX_METRICS_LISTED = 100,
    WORST_OFFENDERS = 20,
    LEASE_BYTES = 1024, /* of a lease's records, to be reserved */
    SCRATCH_BYTES = 1 << 20
};

struct limit {
    struct limit_options options;
    struct metrics *metrics;
    struct rulebook rules;
    uint64_t applied_rules; /* the rulebook's version that the holdings know */
    struct board board;
    struct judge judge;
    struct holding *holdings; /* of the partitions assigned */
    uint64_t draw;
    struct arena arena;   /* the batch at hand */
    struct arena scratch; /* the filter's */
    struct buf encoded;
    struct buf keys; /* lease records being made */
    struct offenders offenders;
    bool is_shedding[N_CLASSES];
    int64_t reloaded_ms;
    int64_t pages_at_ms;
    int64_t growth_at_ms;
    struct pages pages;
    struct cell *heartbeats;
    struct cell *restored;
};

/* What a partition's state is. */
struct owned_state {
    struct holding *holding;
    struct caps caps;
    int64_t waiting_offset; /* of the record that waits for a lease; -1 = none does */
    int64_t waiting_since_ms;
};

static void on_news(void *ctx, const struct tenant_use *t, const struct series *s, bool is_refused)
{
    struct limit *l = ctx;
    offenders_note(&l->offenders, t->name, s, is_refused);
}

bool limit_new(const struct limit_options *o, struct metrics *m, struct limit **out, struct err *e)
{
    struct limit *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    l->options = *o;
    l->metrics = m;
    judge_init(&l->judge, o->memory_bytes / 8, o->memory_bytes / 2);
    l->judge.news = on_news;
    l->judge.news_ctx = l;
    board_init(&l->board);
    arena_init(&l->arena, DECODE_BYTES);
    arena_init(&l->scratch, DECODE_BYTES);
    buf_init(&l->encoded, batch_default_caps.max_bytes);
    buf_init(&l->keys, SCRATCH_BYTES);
    offenders_init(&l->offenders, OFFENDERS_BYTES, clock_now_ms());
    pages_init(&l->pages);
    l->heartbeats = metrics_cell(m, M_HEARTBEATS, NULL);
    l->restored = metrics_cell(m, M_LIMIT_RESTORE_RECORDS, NULL);
    if (!rulebook_open(&l->rules, o->policy_path, &l->draw, m, e)) {
        limit_free(l);
        return false;
    }
    *out = l;
    return true;
}

void limit_free(struct limit *l)
{
    if (l == NULL) {
        return;
    }
    judge_fini(&l->judge);
    board_fini(&l->board);
    offenders_fini(&l->offenders);
    arena_fini(&l->arena);
    arena_fini(&l->scratch);
    buf_fini(&l->encoded);
    buf_fini(&l->keys);
    pages_fini(&l->pages);
    rulebook_close(&l->rules);
    free(l);
}

/* --- rules --- */

/* The holdings learn of new rules: what was refused may pass now. */
static void rules_spread(struct limit *l)
{
    if (l->applied_rules == l->rules.version) {
        return;
    }
    l->applied_rules = l->rules.version;
    for (struct holding *h = l->holdings; h != NULL; h = h->next) {
        usage_rebind(&h->usage, &l->rules.tenants);
        h->epoch = ++l->draw;
    }
}

enum policy_change limit_reload(struct limit *l, struct err *e)
{
    enum policy_change change = rulebook_reload(&l->rules, e);
    rules_spread(l);
    return change;
}

const char *limit_policy_version(const struct limit *l)
{
    return l->rules.policy->version;
}

bool limit_follow(void *ctx, size_t topic, const struct record *r, struct err *e)
{
    struct limit *l = ctx;
    struct err why = ERR_INIT;
    bool ok = topic == FOLLOW_LEASES ? board_take(&l->board, r, &why)
                                     : rulebook_take(&l->rules, r, clock_now_ms(), &why);
    if (!ok && why.kind != ERR_BAD_INPUT) {
        *e = why;
        return false;
    }
    if (!ok) {
        cell_add(metrics_cell(l->metrics, M_CONTROL_ERRORS, NULL), topic == FOLLOW_LEASES);
        log_err(LOG_ERROR, "a record that all read is passed over", &why);
    }
    return true;
}

/* --- what operators see --- */

static void lookups_show(struct limit *l, const char *result, uint64_t n)
{
    struct slice value = slice_str(result);
    cell_set(metrics_cell(l->metrics, M_SHAPE_CACHE, &value), (double)n);
}

static void pages_make(struct limit *l)
{
    completeness_look(l->holdings, &l->rules.tenants, MAX_SILENT_LISTED,
                      pages_begin(&l->pages, PAGE_COMPLETENESS));
    pages_end(&l->pages);
    offenders_print(&l->offenders, WORST_OFFENDERS, pages_begin(&l->pages, PAGE_OFFENDERS));
    pages_end(&l->pages);
    budgets_look(&l->board, &l->rules.tenants, MAX_METRICS_LISTED,
                 pages_begin(&l->pages, PAGE_BUDGETS));
    pages_end(&l->pages);
}

static bool is_due(int64_t *last_ms, int64_t now_ms, int64_t every_ms)
{
    if (now_ms >= *last_ms && now_ms - *last_ms < every_ms) {
        return false;
    }
    *last_ms = now_ms;
    return true;
}

static void gauges_set(struct limit *l)
{
    size_t n_bytes = 0;
    for (const struct holding *h = l->holdings; h != NULL; h = h->next) {
        n_bytes += h->n_set_bytes;
    }
    cell_set(metrics_cell(l->metrics, M_LIMIT_BYTES, NULL), (double)n_bytes);
    cell_set(metrics_cell(l->metrics, M_SHAPE_CACHE_BYTES, NULL),
             (double)l->judge.verdicts.cost_bytes);
    lookups_show(l, "hit", l->judge.n_hits);
    lookups_show(l, "miss", l->judge.n_misses);
    for (int i = 0; i < N_CLASSES; i++) {
        struct slice name = slice_str(batch_class_name((enum batch_class)i));
        cell_set(metrics_cell(l->metrics, M_SHEDDING, &name), l->is_shedding[i]);
    }
}

void limit_export(struct limit *l, int64_t now_ms)
{
    gauges_set(l);
    if (now_ms - l->offenders.since_ms > OFFENDERS_EVERY_MS) {
        offenders_reset(&l->offenders, now_ms);
    }
    if (is_due(&l->growth_at_ms, now_ms, GROWTH_EVERY_MS)) {
        budgets_note(&l->board);
    }
    if (is_due(&l->pages_at_ms, now_ms, PAGES_EVERY_MS)) {
        pages_make(l);
    }
}

void limit_print_completeness(void *ctx, struct buf *body)
{
    pages_print(&((struct limit *)ctx)->pages, PAGE_COMPLETENESS, body);
}

void limit_print_offenders(void *ctx, struct buf *body)
{
    pages_print(&((struct limit *)ctx)->pages, PAGE_OFFENDERS, body);
}

void limit_print_budgets(void *ctx, struct buf *body)
{
    pages_print(&((struct limit *)ctx)->pages, PAGE_BUDGETS, body);
}

static void policy_reread(struct limit *l)
{
    struct err why = ERR_INIT;
    switch (limit_reload(l, &why)) {
    case POLICY_NEW:
        log_line(LOG_INFO, "a new policy is in force",
                 LOG_FIELDS(LOG_STR("version", limit_policy_version(l))));
        break;
    case POLICY_REFUSED:
        log_err(LOG_ERROR, "the changed policy is refused, the old one stays in force", &why);
        break;
    case POLICY_SAME:
        break;
    }
}

bool limit_tick(void *ctx, struct stage *s, int64_t now_ms, struct err *e)
{
    struct limit *l = ctx;
    (void)s;
    if (!rulebook_apply(&l->rules, now_ms, e)) {
        return false;
    }
    rules_spread(l);
    if (is_due(&l->reloaded_ms, now_ms, RELOAD_EVERY_MS)) {
        limit_export(l, now_ms);
        policy_reread(l);
    }
    return true;
}

/* --- partitions --- */

struct restoring {
    struct limit *limit;
    struct holding *holding;
    uint64_t n_records;
};

static bool restore_one(void *ctx, const struct record *r, struct err *e)
{
    struct restoring *x = ctx;
    x->n_records++;
    return state_take(x->holding, &x->limit->rules.tenants, r, e) ||
           err_wrap(e, "offset %lld", (long long)r->offset);
}

static bool state_new(struct limit *l, const struct partition *p, struct owned_state **out,
                      struct err *e)
{
    struct owned_state *o = calloc(1, sizeof *o);
    const struct holding_options options = {.active_ms = l->options.active_ms,
                                            .number = (uint32_t)p->number,
                                            .n_partitions = p->n_partitions,
                                            .draw = &l->draw,
                                            .board = &l->board};
    if (o == NULL || !holding_new(&options, &o->holding, e)) {
        free(o);
        return o != NULL ? false : err_set(e, ERR_FATAL, "out of memory");
    }
    caps_init(&o->caps, l->options.dlq_samples_per_minute);
    o->waiting_offset = -1;
    o->holding->next = l->holdings;
    l->holdings = o->holding;
    *out = o;
    return true;
}

bool limit_recover(void *ctx, struct stage *s, struct partition *p, int64_t committed,
                   struct slice metadata, struct err *e)
{
    struct limit *l = ctx;
    struct owned_state *o = NULL;
    int64_t began_ms = clock_mono_ms();
    (void)committed;
    (void)metadata;
    if (!state_new(l, p, &o, e)) {
        return false;
    }
    p->state = o;
    struct restoring x = {l, o->holding, 0};
    bool is_restored = s != NULL && !l->options.fault_no_restore;
    if (is_restored && !stage_restore(s, l->options.state_topic, p->number, 0, restore_one, &x, e)) {
        limit_drop(l, p);
        return false;
    }
    usage_bind(&o->holding->usage);
    holding_restored(o->holding);
    o->holding->scope_ms = o->holding->time_ms;
    cell_set(metrics_cell(l->metrics, M_LIMIT_RESTORE_SECONDS, NULL),
             (double)(clock_mono_ms() - began_ms) / 1000.0);
    cell_add(l->restored, (double)x.n_records);
    return holding_sweep(o->holding, e);
}

void limit_drop(void *ctx, struct partition *p)
{
    struct limit *l = ctx;
    struct owned_state *o = p->state;
    if (o == NULL) {
        return;
    }
    struct holding **at = &l->holdings;
    while (*at != o->holding) {
        at = &(*at)->next;
    }
    *at = o->holding->next;
    caps_fini(&o->caps);
    holding_free(o->holding);
    free(o);
    p->state = NULL;
}

/* What has changed of the partition's leases. */
static bool leases_say(struct limit *l, struct holding *h, struct outbox *out, struct err *e)
{
    const struct lease_outputs o = {OUTPUT_STATE, OUTPUT_LEASES, &l->keys, out};
    leases_advance(&h->usage.leases, h->scope_ms);
    const struct budget_source budgets = {tenants_budget, &l->rules.tenants};
    return leases_put(&h->usage.leases, &budgets, &o, e);
}

bool limit_flush(void *ctx, struct partition *p, struct outbox *out, struct err *e)
{
    const struct owned_state *o = p->state;
    return leases_say(ctx, o->holding, out, e) && state_put(o->holding, OUTPUT_STATE, out, e);
}

/* --- a batch --- */

static bool tell(struct outbox *out, struct cell *cell, uint64_t n, struct err *e)
{
    return n == 0 || tally_add(&out->tally, cell, (double)n) ||
           err_set(e, ERR_RETRY, "no memory for a count");
}

static bool batch_read(struct limit *l, const struct record *in, struct batch *b, struct err *e)
{
    arena_reset(&l->arena);
    if (!batch_decode(in->value, &batch_default_caps, &l->arena, b, e)) {
        return false;
    }
    if (b->origin.topic.len == 0 || b->received_ms <= 0 || b->shape.len == 0) {
        return err_set(e, ERR_BAD_INPUT,
                       "a batch without origin, received_ms or points: validate did not write it");
    }
    if (batch_partition(b->source, (int32_t)in->partition->n_partitions) != in->partition->number) {
        return err_set(e, ERR_BAD_INPUT, "the batch's source belongs to partition %d",
                       batch_partition(b->source, (int32_t)in->partition->n_partitions));
    }
    return true;
}

/* Why the batch is shed, NULL: it is not. By age with hysteresis: shedding ends at half the age
 * that began it. What was redriven is old, and says nothing of how far behind we are. */
static const char *shed_reason(struct limit *l, const struct batch *b, int64_t now_ms)
{
    int64_t age_ms = now_ms - b->received_ms;
    int64_t bound_ms = l->options.shed_after_ms[b->class];
    bool *on = &l->is_shedding[b->class];
    if (b->redriven == 0) {
        *on = bound_ms > 0 && age_ms > (*on ? bound_ms / 2 : bound_ms);
    }
    if (l->rules.controls.n_rules > 0 &&
        controls_shed(&l->rules.controls, b->class, b->tenant) != NULL) {
        return "operator";
    }
    return *on && b->redriven == 0 ? "freshness" : NULL;
}

static bool duplicate_count(struct limit *l, const struct judging *g, struct outbox *out,
                            struct err *e)
{
    uint64_t n = 0;
    const struct tenant *t = tenants_find(&l->rules.tenants, g->batch->tenant);
    return judge_count(&l->judge, g, &n, e) && tell(out, t->in, n, e) &&
           tell(
               out,
               tenant_reason_cell(&l->rules.tenants, t, M_SAMPLES_REJECTED, REASON_DUPLICATE_BATCH),
               n, e);
}

static bool shed_count(struct limit *l, const struct batch *b, const char *reason, uint64_t n,
                       struct outbox *out, struct err *e)
{
    const struct tenant *t = tenants_find(&l->rules.tenants, b->tenant);
    const struct slice values[] = {t->label, slice_str(batch_class_name(b->class)),
                                   slice_str(reason)};
    return tell(out, metrics_cell(l->metrics, M_SAMPLES_SHED, values), n, e);
}

static bool batch_shed(struct limit *l, const struct judging *g, const char *reason,
                       struct outbox *out, struct err *e)
{
    uint64_t n = 0;
    const struct tenant *t = tenants_find(&l->rules.tenants, g->batch->tenant);
    return judge_count(&l->judge, g, &n, e) && tell(out, t->in, n, e) &&
           shed_count(l, g->batch, reason, n, out, e);
}

/* May the samples that the budgets let in pass by the tenant's rate too? *over: beyond it, passed
 * or not. */
static bool rate_allows(struct limit *l, struct holding *h, const struct batch *b, uint32_t n,
                        bool *over)
{
    struct tenant_use *t = usage_tenant(&h->usage, b->tenant, &l->rules.tenants);
    const struct budget *budget = t == NULL ? NULL : &t->tenant->budgets.rate;
    struct lease *lease = t == NULL || budget->max == 0 ? NULL : usage_rate_lease(&h->usage, t);
    *over = false;
    if (lease == NULL) {
        return true;
    }
    rate_advance(&lease->rate, h->time_ms);
    int64_t per_second = lease_per_second(&h->usage.leases, lease, budget->max);
    *over = !rate_pass(&lease->rate, n, b->class, per_second, l->options.rate_burst_ms);
    return !*over || budget->shadow;
}

static bool new_count(struct limit *l, const struct verdict *v, const struct tenant *t,
                      int64_t n_fresh, struct outbox *out, struct err *e)
{
    for (int i = 0; i < N_REFUSALS; i++) {
        enum reason reason = (enum reason)(FIRST_REFUSAL + i);
        if (v->n_by_refusal[i] > 0 &&
            !tell(out, tenant_reason_cell(&l->rules.tenants, t, M_SERIES_REFUSED, reason),
                  v->n_by_refusal[i], e)) {
            return false;
        }
    }
    return n_fresh <= 0 || tell(out, t->fresh, (uint64_t)n_fresh, e);
}

static bool shadow_count(struct limit *l, const struct verdict *v, const struct tenant *t,
                         struct outbox *out, struct err *e)
{
    static const enum reason reasons[] = {REASON_NONE, REASON_OVER_SOURCE_BUDGET,
                                          REASON_OVER_METRIC_BUDGET, REASON_OVER_TENANT_BUDGET};
    for (int i = OVER_SOURCE; i <= OVER_TENANT; i++) {
        if (v->n_over[i] > 0 &&
            !tell(out, tenant_reason_cell(&l->rules.tenants, t, M_SAMPLES_SHADOW, reasons[i]),
                  v->n_over[i], e)) {
            return false;
        }
    }
    return true;
}

static bool killed_count(const struct verdict *v, struct outbox *out, struct err *e)
{
    for (uint32_t i = 0; i < v->n_killed; i++) {
        if (!tell(out, v->killed[i].cell, v->killed[i].n, e)) {
            return false;
        }
    }
    return true;
}

/* The batch, or what is left of it, goes on. */
static bool admitted_put(struct limit *l, const struct record *in, const struct batch *b,
                         const struct verdict *v, struct outbox *out, struct err *e)
{
    struct outgoing r = {.output = OUTPUT_ADMITTED,
                         .partition = in->partition->number,
                         .key = in->key,
                         .value = in->value};
    if (v->n_refused > 0) {
        buf_reset(&l->encoded);
        if (!filter_batch(b, v, &l->scratch, &l->encoded, e)) {
            return false;
        }
        if (!buf_ok(&l->encoded)) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
        r.value = buf_slice(&l->encoded);
    }
    const struct tenant *t = tenants_find(&l->rules.tenants, b->tenant);
    uint32_t n = v->n_series - v->n_refused;
    return tell(out, t->out, n, e) && outbox_put(out, &r, e) &&
           outbox_age(out, b->received_ms, n, e);
}

/* What the verdict keeps passes, or is shed by the tenant's rate. */
static bool kept_put(struct limit *l, const struct record *in, const struct batch *b,
                     const struct verdict *v, struct outbox *out, struct err *e)
{
    const struct owned_state *o = in->partition->state;
    uint32_t n = v->n_series - v->n_refused;
    bool over;
    if (n == 0) {
        return true;
    }
    if (!rate_allows(l, o->holding, b, n, &over)) {
        return shed_count(l, b, "samples_per_second", n, out, e);
    }
    const struct slice labels[] = {tenants_find(&l->rules.tenants, b->tenant)->label,
                                   SLICE_LITERAL("samples_per_second")};
    return (!over || tell(out, metrics_cell(l->metrics, M_SAMPLES_SHADOW, labels), n, e)) &&
           admitted_put(l, in, b, v, out, e);
}

/* Room for what the flush will say of the source, and of leases. */
static bool state_reserve(const struct holding *h, const struct verdict *v, bool is_first_touch,
                          bool is_new, struct outbox *out, struct err *e)
{
    bool is_dirty = v->source != NULL && v->source->is_dirty && (is_new || is_first_touch);
    size_t n = (is_dirty ? holding_source_bytes(h, v->source) : 0) + (is_new ? LEASE_BYTES : 0);
    return n == 0 || outbox_reserve(out, n, e);
}

/* Of the other partitions' sets. */
static size_t other_set_bytes(const struct limit *l, const struct holding *ours)
{
    size_t n = 0;
    for (const struct holding *h = l->holdings; h != NULL; h = h->next) {
        n += h == ours ? 0 : h->n_set_bytes;
    }
    return n;
}

static bool batch_judge(struct limit *l, const struct record *in, const struct judging *g,
                        struct outbox *out, struct err *e)
{
    struct owned_state *o = in->partition->state;
    struct holding *h = o->holding;
    const struct batch *b = g->batch;
    struct verdict *v;
    bool is_new;
    const struct source *known = holding_source(h, b->source, b->tenant);
    bool is_first_touch = known == NULL || !known->is_dirty;
    int64_t n_before = known == NULL ? 0 : known->n_active;
    l->judge.n_set_bytes = other_set_bytes(l, h);
    if (!judge_batch(&l->judge, g, &v, &is_new, e) ||
        !state_reserve(h, v, is_first_touch, is_new, out, e)) {
        return false;
    }
    if (v->source != NULL) {
        v->source->last_ms = h->time_ms;
    }
    const struct tenant *t = tenants_find(&l->rules.tenants, b->tenant);
    struct letters letters = {&l->rules.tenants, &o->caps, OUTPUT_DLQ, out, o->holding->time_ms};
    int64_t n_fresh = v->source == NULL ? 0 : v->source->n_active - n_before;
    return (!is_new || new_count(l, v, t, n_fresh, out, e)) && shadow_count(l, v, t, out, e) &&
           killed_count(v, out, e) && tell(out, t->in, v->n_series, e) &&
           kept_put(l, in, b, v, out, e) && letters_put(&letters, &l->judge, b, v, t, e);
}

/* A record waits for a lease at most lease_wait_ms. */
static bool may_wait(const struct limit *l, const struct owned_state *o, int64_t offset,
                     int64_t now_ms)
{
    if (o->waiting_offset != offset) {
        return l->options.lease_wait_ms > 0;
    }
    return now_ms >= o->waiting_since_ms && now_ms - o->waiting_since_ms < l->options.lease_wait_ms;
}

static bool wait_note(const struct limit *l, struct owned_state *o, int64_t offset, int64_t now_ms,
                      bool waits, struct outbox *out, struct err *e)
{
    if (waits && o->waiting_offset != offset) {
        o->waiting_offset = offset;
        o->waiting_since_ms = now_ms;
    }
    if (waits || o->waiting_offset != offset) {
        return true;
    }
    struct slice outcome = slice_str(may_wait(l, o, offset, now_ms) ? "granted" : "in_vain");
    return tell(out, metrics_cell(l->metrics, M_LEASE_WAITS, &outcome), 1, e);
}

static bool batch_take(struct limit *l, const struct record *in, int64_t now_ms, struct outbox *out,
                       struct err *e)
{
    struct owned_state *o = in->partition->state;
    struct holding *h = o->holding;
    struct batch b;
    const struct judging g = {h, &l->rules.tenants, &b, may_wait(l, o, in->offset, now_ms)};
    if (!batch_read(l, in, &b, e)) {
        return false;
    }
    if (b.redriven == 0 && highs_seen(&h->highs, &b.origin)) {
        return duplicate_count(l, &g, out, e);
    }
    if (!holding_advance(h, b.received_ms, in->timestamp_ms, e)) {
        return false;
    }
    const char *shed = shed_reason(l, &b, now_ms);
    bool ok = shed != NULL ? batch_shed(l, &g, shed, out, e) : batch_judge(l, in, &g, out, e);
    ok = wait_note(l, o, in->offset, now_ms, !ok && e->kind == ERR_WAIT, out, e) && ok;
    if (ok && b.redriven == 0 && !highs_raise(&h->highs, &b.origin)) {
        ok = err_set(e, ERR_FATAL, "out of memory");
    }
    return ok;
}

static bool has_admitted(const struct outbox *out, struct outbox_mark since)
{
    for (size_t i = since.n; i < out->n; i++) {
        if (out->records[i].output == OUTPUT_ADMITTED) {
            return true;
        }
    }
    return false;
}

bool limit_step(void *ctx, struct stage *s, const struct record *in, int64_t now_ms,
                struct outbox *out, struct err *e)
{
    struct limit *l = ctx;
    struct owned_state *o = in->partition->state;
    struct outbox_mark mark = outbox_mark(out);
    struct err why = ERR_INIT;
    (void)s;
    if (leases_learn(&o->holding->usage.leases)) {
        o->holding->epoch = ++l->draw; /* what was refused may pass now */
    }
    caps_begin(&o->caps);
    bool ok = batch_take(l, in, now_ms, out, &why);
    if (!ok && why.kind == ERR_BAD_INPUT) {
        outbox_rewind(out, mark);
        caps_begin(&o->caps);
        const struct letters letters = {&l->rules.tenants, &o->caps, OUTPUT_DLQ, out,
                                        o->holding->time_ms};
        const struct err bad = why;
        ok = letters_put_record(&letters, in, REASON_MALFORMED, bad.text, &why);
    }
    if (!ok) {
        *e = why;
        return false;
    }
    caps_keep(&o->caps);
    if (has_admitted(out, mark)) {
        o->holding->heartbeat_ms = now_ms;
    }
    return true;
}

bool limit_give_up(void *ctx, struct stage *s, const struct record *in, const char *reason,
                   struct outbox *out, struct err *e)
{
    struct limit *l = ctx;
    struct owned_state *o = in->partition->state;
    const struct letters letters = {&l->rules.tenants, &o->caps, OUTPUT_DLQ, out,
                                    o->holding->time_ms};
    (void)s;
    caps_begin(&o->caps);
    if (!letters_put_record(&letters, in, REASON_OUTPUT_REFUSED, reason, e)) {
        return false;
    }
    caps_keep(&o->caps);
    return true;
}

static bool heartbeat_put(struct limit *l, const struct partition *p, int64_t now_ms,
                          struct outbox *out, struct err *e)
{
    const struct owned_state *o = p->state;
    struct holding *h = o->holding;
    h->end_ms = now_ms;
    if (h->heartbeat_ms > now_ms) {
        h->heartbeat_ms = now_ms; /* the clock was set back */
    }
    if (now_ms - h->heartbeat_ms < l->options.heartbeat_ms) {
        return true;
    }
    const struct batch heartbeat = {.class = CLASS_CRITICAL, .received_ms = now_ms};
    buf_reset(&l->encoded);
    batch_encode(&heartbeat, &l->encoded);
    const struct outgoing r = {
        .output = OUTPUT_ADMITTED, .partition = p->number, .value = buf_slice(&l->encoded)};
    if (!(buf_ok(&l->encoded) || err_set(e, ERR_FATAL, "out of memory")) ||
        !outbox_put(out, &r, e) || !tell(out, l->heartbeats, 1, e)) {
        return false;
    }
    h->heartbeat_ms = now_ms;
    return true;
}

/* A quarter of a step, within bounds: a silent partition's series lapse that late at most. */
static int64_t tick_every_ms(const struct limit *l)
{
    int64_t ms = l->options.active_ms / STEPS_ACTIVE / 4;
    return ms < FASTEST_TICK_MS ? FASTEST_TICK_MS : ms > SLOWEST_TICK_MS ? SLOWEST_TICK_MS : ms;
}

static bool allocator_say(struct limit *l, struct allocator *a, int64_t now_ms, struct outbox *out,
                          struct err *e)
{
    const struct lease_outputs o = {OUTPUT_STATE, OUTPUT_LEASES, &l->keys, out};
    const struct budget_source budgets = {tenants_budget, &l->rules.tenants};
    return allocator_run(a, &l->board, &budgets, l->rules.version, &o, e) &&
           allocator_tick(a, now_ms, tick_every_ms(l), &o, e);
}

bool limit_pulse(void *ctx, struct partition *p, bool at_end, int64_t now_ms, struct outbox *out,
                 struct err *e)
{
    struct limit *l = ctx;
    const struct owned_state *o = p->state;
    struct holding *h = o->holding;
    if (leases_learn(&h->usage.leases)) {
        h->epoch = ++l->draw;
    }
    if (at_end) {
        holding_silence(h, l->board.tick_ms);
    }
    return (h->allocator == NULL || allocator_say(l, h->allocator, now_ms, out, e)) &&
           leases_say(l, h, out, e) && (!at_end || heartbeat_put(l, p, now_ms, out, e));
}
