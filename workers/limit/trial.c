#include "trial.h"

#include <stdlib.h>

/* Classic histograms are stored as a series for each bucket, _sum and _count. */
static uint32_t weight_of(const struct series *s)
{
    return s->kind == SERIES_CLASSIC_HISTOGRAM ? s->n_bounds + 3 : 1;
}

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
        reason =
            over_budget(&b->tenant, tenant_room(t, c) - p->n_tenant, c->weight, OVER_TENANT, over);
    }
    bool is_full = h->n_set_bytes + t->judge->n_set_bytes >= t->judge->max_set_bytes ||
                   (c->metric == NULL && usage_is_full(&h->usage)) ||
                   (c->slot == SERIES_NONE && t->source != NULL &&
                    !holding_source_fits(t->source, c->series->metric));
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

/* What is refused is kept in mind by the leases that it needs: what the tenant's lease refuses by
 * its metric's too, so that it keeps its place there; what the metric's refuses not by the
 * tenant's, which would be held for nothing. */
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

bool trial_judge(struct trial *t, uint32_t i, struct err *e)
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

bool trial_is_worth_waiting(struct trial *t)
{
    return look_ahead(t, false) && look_ahead(t, true);
}
