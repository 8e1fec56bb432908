#include "verdict.h"

#include <assert.h>
#include <stdlib.h>

#include "slot_list.h"

enum { SHAPE_BYTES = 192 << 20 };

static void verdict_free(void *value)
{
    struct verdict *v = value;
    free((void *)(uintptr_t)v->slots.ptr);
    free(v->columns);
    free(v->killed);
    free((void *)(uintptr_t)v->kept.ptr);
    free(v);
}

void judge_init(struct judge *j, size_t max_cache_bytes, size_t max_set_bytes)
{
    *j = (struct judge){.max_set_bytes = max_set_bytes};
    table_init(&j->verdicts, max_cache_bytes, verdict_free);
    arena_init(&j->arena, SHAPE_BYTES);
}

void judge_fini(struct judge *j)
{
    table_fini(&j->verdicts);
    arena_fini(&j->arena);
}

bool judge_shape(struct judge *j, const struct batch *b, struct shape *out, struct err *e)
{
    arena_reset(&j->arena);
    if (!shape_decode(b->shape, b->tenant, &shape_default_caps, &j->arena, out, e)) {
        return false;
    }
    return out->source == b->source ||
           err_set(e, ERR_BAD_INPUT, "the batch's source is not its shape's");
}

/* Classic histograms are stored as a series for each bucket, _sum and _count. */
static uint32_t weight_of(const struct series *s)
{
    return s->kind == SERIES_CLASSIC_HISTOGRAM ? s->n_bounds + 3 : 1;
}

/* --- judging --- */

struct trial {
    struct judge *judge;
    struct holding *holding;
    const struct tenants *tenants;
    struct tenant_use *tenant;
    const struct batch *batch;
    const struct control_rule *kills; /* of the tenant; NULL = none */
    const struct shape *shape;
    struct source *source; /* NULL until something is let in */
    struct verdict *verdict;
    bool has_waited; /* for leases to grow */
    bool has_let_in; /* something that was not active as it is now */
};

/* A series that is not active: new, or lapsed, or a histogram that has more bounds than before
 * (slot tells where they lie). */
struct candidate {
    const struct series *series;
    uint32_t whole;         /* its weight from here on */
    uint32_t weight;        /* by which it adds to its tenant's and metric's budgets */
    uint32_t source_weight; /* and to its source's */
    uint32_t slot;
    struct metric_use *metric; /* NULL: nothing of it is held */
    struct lease *metric_lease;
    struct lease *tenant_lease;
};

/* What a trial without effect has let in so far. */
struct pending {
    int64_t n_source;
    int64_t n_tenant;
    int64_t n_metric;
    struct slice metric;
};

static struct candidate candidate_of(const struct trial *t, const struct series *s, uint32_t slot)
{
    struct usage *u = &t->holding->usage;
    const struct series_slot *x = slot == SERIES_NONE ? NULL : &t->source->set.slots[slot];
    uint32_t held = x == NULL ? 0 : slot_weight(x);
    uint32_t whole = weight_of(s) > held ? weight_of(s) : held;
    struct candidate c = {.series = s, .whole = whole, .source_weight = whole - held, .slot = slot};
    c.weight = x == NULL || slot_lapsed(x) ? whole : whole - held;
    c.metric = usage_metric_find(u, t->tenant, s->metric);
    c.metric_lease = usage_metric_lease(u, t->tenant, c.metric, s->metric);
    c.tenant_lease = usage_tenant_lease(u, t->tenant);
    return c;
}

static int64_t metric_room(const struct trial *t, const struct candidate *c, const struct budget *b)
{
    const struct leases *ls = &t->holding->usage.leases;
    int64_t n_active = c->metric == NULL ? 0 : c->metric->n_active;
    return c->metric_lease != NULL ? lease_room(ls, c->metric_lease, b->max)
                                   : leases_start_room(ls, t->tenant->name, n_active, b->max);
}

/* Over the budget: refused, or let in and noted. */
static enum reason over_budget(const struct budget *b, int64_t room, uint32_t weight,
                               enum over which, enum over *over)
{
    static const enum reason reasons[] = {REASON_NONE, REASON_OVER_SOURCE_BUDGET,
                                          REASON_OVER_METRIC_BUDGET, REASON_OVER_TENANT_BUDGET};
    if (b->max == 0 || weight <= room) {
        return REASON_NONE;
    }
    if (b->shadow) {
        *over = *over == OVER_NONE ? which : *over;
        return REASON_NONE;
    }
    *over = which;
    return reasons[which];
}

static int64_t tenant_room(const struct trial *t, const struct candidate *c)
{
    int64_t budget = t->tenant->tenant->budgets.tenant.max;
    return lease_room(&t->holding->usage.leases, c->tenant_lease, budget);
}

static enum reason refusal_of(const struct trial *t, const struct candidate *c,
                              const struct pending *p, enum over *over)
{
    const struct budgets *b = &t->tenant->tenant->budgets;
    const struct budget metric =
        tenants_metric_budget(t->tenants, t->tenant->tenant, c->series->metric);
    const struct holding *h = t->holding;
    int64_t source_room =
        b->source.max - p->n_source - (t->source == NULL ? 0 : t->source->n_active);
    enum reason reason = c->source_weight == 0 ? REASON_NONE
                                               : over_budget(&b->source, source_room,
                                                             c->source_weight, OVER_SOURCE, over);
    if (reason == REASON_NONE && metric.max > 0) {
        reason = over_budget(&metric, metric_room(t, c, &metric) - p->n_metric, c->weight,
                             OVER_METRIC, over);
    }
    if (reason == REASON_NONE && c->tenant_lease != NULL) {
        reason = over_budget(&b->tenant, tenant_room(t, c) - p->n_tenant, c->weight,
                             OVER_TENANT, over);
    }
    bool is_full = h->n_set_bytes + t->judge->n_set_bytes >= t->judge->max_set_bytes ||
                   (c->metric == NULL && usage_is_full(&h->usage));
    if (reason == REASON_NONE && is_full) {
        reason = REASON_LIMITER_FULL;
    }
    return reason;
}

/* The lease that was too small, if that is why. */
static struct lease *short_lease(const struct trial *t, struct candidate *c, enum over over)
{
    if (over == OVER_METRIC && (c->tenant_lease == NULL || !lease_has_word(c->tenant_lease))) {
        return c->tenant_lease; /* it is not known yet where the tenant's metrics start */
    }
    if (over == OVER_METRIC) {
        c->metric_lease =
            usage_metric_lease_add(&t->holding->usage, t->tenant, c->metric, c->series->metric);
        return c->metric_lease;
    }
    return over == OVER_TENANT ? c->tenant_lease : NULL;
}

/* What is refused is kept in mind by the leases that it needs: what the tenant's lease refuses by its
 * metric's too, so that it keeps its place there; what the metric's refuses not by the tenant's, which
 * would be held for nothing. */
static void want(const struct trial *t, struct lease *l, const struct candidate *c)
{
    struct leases *ls = &t->holding->usage.leases;
    uint16_t minute = holding_minute(t->holding);
    lease_want(ls, l, c->series->id, c->weight, minute);
    if (c->metric_lease != NULL && c->metric_lease != l) {
        lease_want(ls, c->metric_lease, c->series->id, c->weight, minute);
    } else if (c->metric_lease == l && c->tenant_lease != NULL) {
        lease_unwant(ls, c->tenant_lease, c->series->id);
    }
}


/* Nobody wants what is in. */
static void unwant(const struct trial *t, const struct candidate *c)
{
    struct leases *leases = &t->holding->usage.leases;
    if (c->tenant_lease != NULL) {
        lease_unwant(leases, c->tenant_lease, c->series->id);
    }
    if (c->metric_lease != NULL) {
        lease_unwant(leases, c->metric_lease, c->series->id);
    }
}

static bool let_in(struct trial *t, struct candidate *c, enum over over, struct err *e)
{
    struct holding *h = t->holding;
    t->has_let_in = true;
    if (c->slot != SERIES_NONE) {
        holding_revive(h, t->source, c->slot, c->whole, over);
        return true;
    }
    struct metric_use *m = usage_metric(&h->usage, t->tenant, c->series->metric);
    if (m != NULL && t->source == NULL) {
        t->source = holding_source_add(h, t->shape->source, t->tenant, t->shape->source_name);
    }
    if (m == NULL || t->source == NULL ||
        holding_add(h, t->source, c->series->id, m, c->whole, over, h->step) == SERIES_NONE) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    return true;
}

static void refused(const struct trial *t, struct candidate *c, enum over over)
{
    struct lease *l = short_lease(t, c, over);
    if (l != NULL) {
        want(t, l, c);
        t->verdict->is_wanted = true;
    }
    if (l != NULL && t->has_waited) {
        lease_despair(l);
    }
}

/* SERIES_NONE, or where it lies; *is_active: nothing is to be judged. */
static uint32_t slot_find(const struct trial *t, const struct series *s, bool *is_active)
{
    uint32_t slot = t->source == NULL ? SERIES_NONE : series_set_find(&t->source->set, s->id);
    const struct series_slot *x = slot == SERIES_NONE ? NULL : &t->source->set.slots[slot];
    *is_active = x != NULL && !slot_lapsed(x) && slot_weight(x) >= weight_of(s);
    return slot;
}

/* The kill switch that drops the series, if any does. A sampling one is off for one batch in N. */
static const struct control_rule *kill_of(const struct trial *t, const struct series *s)
{
    const struct control_rule *r = t->kills;
    while (r != NULL && (control_sample_passes(r, t->batch->source, t->batch->times.base_ms) ||
                         !control_kill_matches(r, t->batch->tenant, s))) {
        r = r->next;
    }
    return r;
}

static bool killed_count(const struct trial *t, const struct control_rule *r, struct err *e)
{
    struct verdict *v = t->verdict;
    for (uint32_t i = 0; i < v->n_killed; i++) {
        if (v->killed[i].rule == r) {
            v->killed[i].n++;
            return true;
        }
    }
    struct killed *grown = reallocarray(v->killed, v->n_killed + 1, sizeof *grown);
    if (grown == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    const struct slice labels[] = {t->tenant->tenant->label, r->id};
    v->killed = grown;
    v->killed[v->n_killed++] =
        (struct killed){r, metrics_cell(t->tenants->metrics, M_KILLED, labels), 1};
    return true;
}

static void refuse(struct verdict *v, uint32_t i, enum reason reason)
{
    v->columns[i].refusal = (uint8_t)(reason - FIRST_REFUSAL + 1);
    v->n_by_refusal[reason - FIRST_REFUSAL]++;
    v->n_refused++;
}

static bool series_judge(struct trial *t, uint32_t i, struct err *e)
{
    static const struct pending none = {0};
    const struct series *s = &t->shape->series[i];
    struct verdict *v = t->verdict;
    enum over over = OVER_NONE;
    bool is_active;
    uint32_t slot = slot_find(t, s, &is_active);
    const struct control_rule *kill = kill_of(t, s);
    if (kill != NULL) {
        refuse(v, i, REASON_KILLED);
        return killed_count(t, kill, e);
    }
    if (is_active) {
        return true;
    }
    struct candidate c = candidate_of(t, s, slot);
    enum reason reason = refusal_of(t, &c, &none, &over);
    if (t->judge->news != NULL) {
        t->judge->news(t->judge->news_ctx, t->tenant, s, reason != REASON_NONE);
    }
    if (reason != REASON_NONE) {
        refused(t, &c, over);
        refuse(v, i, reason);
        return true;
    }
    unwant(t, &c);
    return let_in(t, &c, over, e);
}

/* --- waiting --- */

static void pend(struct pending *p, const struct candidate *c)
{
    p->n_tenant += c->weight;
    p->n_metric += c->weight;
    p->n_source += c->source_weight;
}

/* Without effect: would a series be refused for want of a lease that is about to grow? With a mark,
 * all that the batch has new is wanted by the leases that it needs: none of it is in yet. */
static bool look_ahead(struct trial *t, bool marks)
{
    struct pending p = {0};
    bool waits = false;
    for (uint32_t i = 0; i < t->shape->n_series; i++) {
        const struct series *s = &t->shape->series[i];
        enum over over = OVER_NONE;
        bool is_active;
        uint32_t slot = slot_find(t, s, &is_active);
        if (!slice_eq(p.metric, s->metric)) { /* series of a metric stand together */
            p.metric = s->metric;
            p.n_metric = 0;
        }
        if (is_active || kill_of(t, s) != NULL) {
            continue;
        }
        struct candidate c = candidate_of(t, s, slot);
        enum reason reason = refusal_of(t, &c, &p, &over);
        struct lease *lease = reason == REASON_NONE ? c.tenant_lease : short_lease(t, &c, over);
        if (lease != NULL && marks) {
            want(t, lease, &c);
        }
        waits |= lease != NULL && reason != REASON_NONE && lease_may_grow(lease);
        if (reason == REASON_NONE) {
            pend(&p, &c);
        }
    }
    return waits;
}

static bool is_worth_waiting(struct trial *t)
{
    return look_ahead(t, false) && look_ahead(t, true);
}

/* Where the series stand once all are in: adding may have moved them. */
static bool slots_find(const struct trial *t, struct err *e)
{
    struct verdict *v = t->verdict;
    if (t->source == NULL) {
        return true;
    }
    const struct series_set *set = &t->source->set;
    size_t n_words = set->n_slots / 64 + 1;
    uint64_t *bits = arena_calloc(&t->judge->arena, n_words, sizeof *bits);
    for (uint32_t i = 0; i < v->n_series && bits != NULL; i++) {
        if (v->columns[i].refusal == 0) {
            uint32_t slot = series_set_find(set, t->shape->series[i].id);
            assert(slot != SERIES_NONE);
            v->n_over[slot_over(&set->slots[slot])]++;
            bits[slot / 64] |= UINT64_C(1) << slot % 64;
        }
    }
    return (bits != NULL && slot_list_make(bits, n_words, &v->slots)) ||
           err_set(e, ERR_FATAL, "out of memory");
}

/* The shape without the refused series. */
static bool kept_encode(const struct trial *t, struct err *e)
{
    struct verdict *v = t->verdict;
    const struct series **kept = ARENA_ARRAY(&t->judge->arena, const struct series *, v->n_series);
    uint32_t n = 0;
    if (kept == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (uint32_t i = 0; i < v->n_series; i++) {
        if (v->columns[i].refusal == 0) {
            kept[n++] = &t->shape->series[i];
        }
    }
    struct buf out;
    buf_init(&out, shape_default_caps.max_bytes);
    bool ok = n == 0 || shape_encode(t->shape->source_name, kept, n, &t->judge->arena, &out, e);
    if (ok && !buf_ok(&out)) {
        ok = err_set(e, ERR_FATAL, "out of memory");
    }
    if (ok) {
        size_t len = 0;
        uint8_t *bytes = buf_take(&out, &len);
        v->kept = (struct slice){bytes, len};
    }
    buf_fini(&out);
    return ok;
}

static struct verdict *verdict_new(const struct shape *shape)
{
    struct verdict *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return NULL;
    }
    v->n_series = shape->n_series;
    v->n_scalars = shape->n_scalars;
    v->n_exp = shape->n_exp;
    v->n_classic = shape->n_classic;
    v->columns = calloc(shape->n_series + 1, sizeof *v->columns);
    if (v->columns == NULL) {
        verdict_free(v);
        return NULL;
    }
    for (uint32_t i = 0; i < shape->n_series; i++) {
        v->columns[i].kind = (uint8_t)shape->series[i].kind;
        v->columns[i].n_bounds = (uint16_t)shape->series[i].n_bounds;
    }
    return v;
}

static bool trial_run(struct trial *t, struct err *e)
{
    struct verdict *v = t->verdict;
    for (uint32_t i = 0; i < v->n_series; i++) {
        if (!series_judge(t, i, e)) {
            return false;
        }
    }
    if (t->source != NULL) {
        holding_fit(t->holding, t->source);
    }
    if (!slots_find(t, e)) {
        return false;
    }
    if (v->n_refused > 0) {
        return kept_encode(t, e);
    }
    free(v->columns);
    v->columns = NULL;
    return true;
}

/* --- marking --- */

/* The source's series in this shape were seen now. */
static void mark(struct holding *h, struct verdict *v)
{
    struct source *s = v->source;
    uint16_t seen = (uint16_t)(h->step & SLOT_STEPS);
    bool is_new_step = false;
    v->minute = holding_minute(h);
    v->step = h->step;
    struct cursor c = cursor_of(v->slots);
    for (uint32_t at = 0; slot_list_next(&c, &at);) {
        struct series_slot *slot = &s->set.slots[at];
        is_new_step |= slot->seen != seen;
        slot->seen = seen;
        slot->minute = v->minute;
    }
    if (is_new_step) {
        holding_touch(h, s);
    }
}

static size_t verdict_bytes(const struct verdict *v)
{
    return sizeof *v + v->slots.len +
           (v->columns == NULL ? 0 : (v->n_series + 1) * sizeof *v->columns) + v->kept.len;
}

static const struct control_rule *kills_of(const struct judging *g)
{
    const struct controls *c = g->tenants->controls;
    return c->n_rules == 0 ? NULL : controls_kills(c, g->batch->tenant);
}

static bool verdict_try(struct trial *t, struct verdict **out, struct err *e)
{
    t->verdict = verdict_new(t->shape);
    if (t->verdict == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!trial_run(t, e)) {
        verdict_free(t->verdict);
        return false;
    }
    t->verdict->epoch = t->holding->epoch;
    t->verdict->source = t->source;
    t->verdict->set_version = t->source == NULL ? 0 : t->source->set.version;
    t->verdict->n_held = t->source == NULL ? 0 : t->source->set.n;
    *out = t->verdict;
    return true;
}

static bool verdict_make(struct judge *j, const struct judging *g, struct hash128 key,
                         struct verdict **out, struct err *e)
{
    const struct batch *b = g->batch;
    struct holding *h = g->holding;
    struct shape shape;
    if (!judge_shape(j, b, &shape, e) || !batch_check_shape(b, &shape, e)) {
        return false;
    }
    struct trial t = {.judge = j,
                      .holding = h,
                      .tenants = g->tenants,
                      .batch = b,
                      .kills = kills_of(g),
                      .tenant = usage_tenant(&h->usage, b->tenant, g->tenants),
                      .shape = &shape,
                      .source = holding_source(h, b->source, b->tenant),
                      .has_waited = !g->may_wait};
    if (t.tenant == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (g->may_wait && is_worth_waiting(&t)) {
        return err_set(e, ERR_WAIT, "a lease is about to grow");
    }
    if (!verdict_try(&t, out, e)) {
        return false;
    }
    if (!table_put(&j->verdicts, key, *out, verdict_bytes(*out))) {
        verdict_free(*out);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    (*out)->minute = holding_minute(h);
    if (t.has_let_in) {
        holding_touch(h, t.source);
    }
    if (t.source != NULL) {
        mark(h, *out);
    }
    return true;
}

/* Does it still hold? One without refusals holds as long as its series stay where they are; one with
 * refusals while, besides, nothing leaves and nothing new comes in: the same series may be lighter as
 * another kind. */
static bool holds(const struct verdict *v, const struct holding *h, const struct batch *b)
{
    bool is_same_epoch = v->epoch == h->epoch;
    bool is_stale_wish = v->is_wanted && v->minute != holding_minute(h);
    if (is_stale_wish || (!is_same_epoch && v->n_refused > 0)) {
        return false;
    }
    const struct source *s =
        is_same_epoch && v->source != NULL ? v->source : holding_source(h, b->source, b->tenant);
    if (s == NULL) {
        return v->n_held == 0;
    }
    return s->set.version == v->set_version && (v->n_refused == 0 || s->set.n == v->n_held);
}

static bool is_marked(const struct verdict *v, const struct holding *h)
{
    return v->step == h->step && v->minute == holding_minute(h);
}

static bool columns_agree(const struct verdict *v, const struct batch *b)
{
    return b->values.len == (size_t)v->n_scalars * sizeof(double) &&
           (b->exp.len > 0) == (v->n_exp > 0) && (b->classic.len > 0) == (v->n_classic > 0);
}

/* A verdict under kill switches is another one, and so is one of a batch that a sampling one lets
 * pass. */
static struct hash128 key_of(const struct judging *g)
{
    const struct batch *b = g->batch;
    uint64_t salt = 3;
    const struct control_rule *kills = kills_of(g);
    for (const struct control_rule *r = kills; r != NULL; r = r->next) {
        salt = salt * 31 + control_sample_passes(r, b->source, b->times.base_ms);
    }
    return hash128_seeded(
        b->shape,
        hash64_seeded(b->tenant, kills == NULL ? salt : salt ^ g->tenants->controls->version << 8));
}

bool judge_batch(struct judge *j, const struct judging *g, struct verdict **out, bool *is_new,
                 struct err *e)
{
    struct holding *h = g->holding;
    struct hash128 key = key_of(g);
    struct verdict *v = table_find(&j->verdicts, key);
    *is_new = v == NULL || !holds(v, h, g->batch);
    if (*is_new) {
        j->n_misses++;
        return verdict_make(j, g, key, out, e);
    }
    if (!columns_agree(v, g->batch)) {
        return err_set(e, ERR_BAD_INPUT, "the batch's columns are not its shape's");
    }
    j->n_hits++;
    v->epoch = h->epoch;
    if (v->source != NULL && !is_marked(v, h)) {
        mark(h, v);
    }
    *out = v;
    return true;
}

bool judge_count(struct judge *j, const struct judging *g, uint64_t *n, struct err *e)
{
    const struct verdict *v = table_find(&j->verdicts, key_of(g));
    struct shape shape;
    if (v != NULL) {
        *n = v->n_series;
        return true;
    }
    if (!judge_shape(j, g->batch, &shape, e)) {
        return false;
    }
    *n = shape.n_series;
    return true;
}
