#include "limit.h"

#include "filter.h"
#include "inside.h"
#include "letters.h"

enum { LEASE_BYTES = 1024 }; /* of a lease's records, to be reserved */

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
static const char *shed_reason(struct limit *l, struct owned_state *o, const struct batch *b,
                               int64_t now_ms)
{
    int64_t age_ms = now_ms - b->received_ms;
    int64_t bound_ms = l->options.shed_after_ms[b->class];
    bool *on = &o->is_shedding[b->class];
    if (b->redriven == 0) {
        *on = bound_ms > 0 && age_ms > (*on ? bound_ms / 2 : bound_ms);
    }
    if (l->rules.controls.n_rules > 0 &&
        controls_shed(&l->rules.controls, b->class, b->tenant) != NULL) {
        return "operator";
    }
    if (!*on || b->redriven != 0) {
        return NULL;
    }
    l->shed_ms[b->class] = now_ms;
    return "freshness";
}

static bool duplicate_count(struct limit *l, const struct judging *g, struct outbox *out,
                            struct err *e)
{
    uint64_t n = 0;
    const struct tenant *t = tenants_find(&l->rules.tenants, g->batch->tenant);
    return judge_count(&l->judge, g, &n, e) && limit_tell(out, t->in, n, e) &&
           limit_tell(
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
    return limit_tell(out, metrics_cell(l->metrics, M_SAMPLES_SHED, values), n, e);
}

static bool batch_shed(struct limit *l, const struct judging *g, const char *reason,
                       struct outbox *out, struct err *e)
{
    uint64_t n = 0;
    const struct tenant *t = tenants_find(&l->rules.tenants, g->batch->tenant);
    return judge_count(&l->judge, g, &n, e) && limit_tell(out, t->in, n, e) &&
           shed_count(l, g->batch, reason, n, out, e);
}

/* NULL: the tenant's rate has no budget. */
static struct lease *rate_lease(struct limit *l, struct holding *h, const struct batch *b)
{
    struct tenant_use *t = usage_tenant(&h->usage, b->tenant, &l->rules.tenants);
    return t == NULL || t->tenant->budgets.rate.max == 0 ? NULL : usage_rate_lease(&h->usage, t);
}

/* May the samples that the budgets let in pass by the tenant's rate too? *over: beyond it, passed
 * or not. What an operator has redriven comes at once, and only once: shed it would be gone for good, and it is not what the
 * tenant sends now, which would be shed in its stead. */
static bool rate_allows(struct limit *l, struct holding *h, const struct batch *b, uint32_t n,
                        bool *over)
{
    struct lease *lease = rate_lease(l, h, b);
    *over = false;
    if (lease == NULL || b->redriven != 0) {
        return true;
    }
    const struct budget *budget = &tenants_find(&l->rules.tenants, b->tenant)->budgets.rate;
    rate_advance(&lease->rate, h->time_ms);
    int64_t per_second = lease_per_second(&h->usage.leases, lease, budget->max);
    *over = !rate_pass(&lease->rate, n, b->class, per_second, l->options.rate_burst_ms) &&
            per_second < NO_BOUND;
    return !*over || budget->shadow;
}

static bool new_count(struct limit *l, const struct verdict *v, const struct tenant *t,
                      struct outbox *out, struct err *e)
{
    for (int i = 0; i < N_REFUSALS; i++) {
        enum reason reason = (enum reason)(FIRST_REFUSAL + i);
        if (v->n_by_refusal[i] > 0 &&
            !limit_tell(out, tenant_reason_cell(&l->rules.tenants, t, M_SERIES_REFUSED, reason),
                        v->n_by_refusal[i], e)) {
            return false;
        }
    }
    return v->n_fresh <= 0 || limit_tell(out, t->fresh, (uint64_t)v->n_fresh, e);
}

static bool shadow_count(struct limit *l, const struct verdict *v, const struct tenant *t,
                         struct outbox *out, struct err *e)
{
    static const enum reason reasons[] = {REASON_NONE, REASON_OVER_SOURCE_BUDGET,
                                          REASON_OVER_METRIC_BUDGET, REASON_OVER_TENANT_BUDGET};
    for (int i = OVER_SOURCE; i <= OVER_TENANT; i++) {
        if (v->n_over[i] > 0 &&
            !limit_tell(out, tenant_reason_cell(&l->rules.tenants, t, M_SAMPLES_SHADOW, reasons[i]),
                        v->n_over[i], e)) {
            return false;
        }
    }
    return true;
}

static bool killed_count(const struct verdict *v, struct outbox *out, struct err *e)
{
    for (uint32_t i = 0; i < v->n_killed; i++) {
        if (!limit_tell(out, v->killed[i].cell, v->killed[i].n, e)) {
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
    return limit_tell(out, t->out, n, e) && outbox_put(out, &r, e) &&
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
    return (!over || limit_tell(out, metrics_cell(l->metrics, M_SAMPLES_SHADOW, labels), n, e)) &&
           admitted_put(l, in, b, v, out, e);
}

/* Room for what the flush will say of the source, and of leases. */
static bool state_reserve(const struct verdict *v, bool is_first_touch, bool is_new,
                          struct outbox *out, struct err *e)
{
    bool is_dirty = v->source != NULL && v->source->is_dirty && (is_new || is_first_touch);
    size_t n = (is_dirty ? holding_source_bytes(v->source) : 0) + (is_new ? LEASE_BYTES : 0);
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

/* What the verdict says becomes output and counts. */
static bool verdict_put(struct limit *l, const struct record *in, const struct batch *b,
                        const struct verdict *v, struct outbox *out, struct err *e)
{
    struct owned_state *o = in->partition->state;
    const struct tenant *t = tenants_find(&l->rules.tenants, b->tenant);
    struct letters letters = {&l->rules.tenants, &o->caps, OUTPUT_DLQ, out, o->holding->time_ms,
                              slice_str(limit_policy_version(l))};
    return (v->is_told || new_count(l, v, t, out, e)) && shadow_count(l, v, t, out, e) &&
           killed_count(v, out, e) && limit_tell(out, t->in, v->n_series, e) &&
           kept_put(l, in, b, v, out, e) && letters_put(&letters, &l->judge, b, v, t, e);
}

static bool batch_judge(struct limit *l, const struct record *in, const struct judging *g,
                        struct outbox *out, struct err *e)
{
    const struct owned_state *o = in->partition->state;
    struct holding *h = o->holding;
    const struct batch *b = g->batch;
    struct verdict *v;
    const struct source *known = holding_source(h, b->source, b->tenant);
    bool is_first_touch = known == NULL || !known->is_dirty;
    l->judge.n_set_bytes = other_set_bytes(l, h);
    if (!judge_batch(&l->judge, g, &v, e) ||
        !state_reserve(v, is_first_touch, !v->is_told, out, e)) {
        return false;
    }
    if (v->source != NULL) {
        v->source->last_ms = h->time_ms;
    }
    struct lease *rated = rate_lease(l, h, b);
    const struct rate before = rated == NULL ? (struct rate){0} : rated->rate;
    bool ok = verdict_put(l, in, b, v, out, e);
    v->is_told |= ok;
    if (!ok && rated != NULL) {
        rated->rate = before; /* the batch comes again */
    }
    return ok;
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
    return limit_tell(out, metrics_cell(l->metrics, M_LEASE_WAITS, &outcome), 1, e);
}

/* What says whether the batch was seen before. One of a redrive has the origin of what passed long ago, and is known by its
 * own place in the input: it comes again only when we are sent back. */
static struct origin place_of(const struct record *in, const struct batch *b)
{
    struct origin place = b->origin;
    if (b->redriven != 0) {
        place = (struct origin){
            .topic = in->partition->topic, .partition = in->partition->number, .offset = in->offset};
        memcpy(place.topic_id, in->partition->topic_id, TOPIC_ID_BYTES);
    }
    return place;
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
    const struct origin place = place_of(in, &b);
    if (highs_seen(&h->highs, &place)) {
        return duplicate_count(l, &g, out, e);
    }
    if (!holding_advance(h, b.received_ms, in->timestamp_ms, e)) {
        return false;
    }
    const char *shed = shed_reason(l, o, &b, now_ms);
    bool ok = shed != NULL ? batch_shed(l, &g, shed, out, e) : batch_judge(l, in, &g, out, e);
    ok = wait_note(l, o, in->offset, now_ms, !ok && e->kind == ERR_WAIT, out, e) && ok;
    if (ok && !highs_raise(&h->highs, &place)) {
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
    if (usage_learn(&o->holding->usage, &l->rules.tenants)) {
        o->holding->epoch = ++l->draw; /* what was refused may pass now */
    }
    caps_begin(&o->caps);
    bool ok = batch_take(l, in, now_ms, out, &why);
    if (!ok && why.kind == ERR_BAD_INPUT) {
        outbox_rewind(out, mark);
        caps_begin(&o->caps);
        const struct letters letters = {&l->rules.tenants, &o->caps, OUTPUT_DLQ, out,
                                        o->holding->time_ms,
                                        slice_str(limit_policy_version(l))};
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
                                    o->holding->time_ms, slice_str(limit_policy_version(l))};
    (void)s;
    caps_begin(&o->caps);
    if (!letters_put_record(&letters, in, REASON_OUTPUT_REFUSED, reason, e)) {
        return false;
    }
    caps_keep(&o->caps);
    return true;
}
