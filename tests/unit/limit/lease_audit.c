#include <stdarg.h>
#include <stdio.h>

#include "allocator.h"
#include "inside.h"
#include "lease_world.h"

static void wrong(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void wrong(struct world *w, const char *fmt, ...)
{
    va_list args;
    if (w->error[0] == '\0') {
        va_start(args, fmt);
        (void)vsnprintf(w->error, sizeof w->error, fmt, args);
        va_end(args);
    }
}

/* --- scopes --- */

static struct scope scope_of(int which)
{
    static const char *const names[] = {"m0", "m1", "m2"};
    const struct slice tenant = SLICE_LITERAL("t");
    return which == WORLD_TENANT ? (struct scope){SCOPE_TENANT, tenant, SLICE_NONE}
           : which == WORLD_RATE ? (struct scope){SCOPE_RATE, tenant, SLICE_NONE}
                                 : (struct scope){SCOPE_METRIC, tenant, slice_str(names[which])};
}

static struct holding *truth_of(struct world *w, int p)
{
    const struct owned_state *o = w->truth[p].state;
    return o == NULL ? NULL : o->holding;
}

static struct allocation *allocation_of(struct world *w, int which)
{
    const struct scope s = scope_of(which);
    struct holding *h = truth_of(w, 0);
    return h == NULL ? NULL : table_find(&h->allocator->by_scope, scope_key(&s));
}

static int64_t lease_of(struct world *w, int which, int p)
{
    const struct scope s = scope_of(which);
    const struct allocation *x = allocation_of(w, which);
    const struct allocation *tenant = allocation_of(w, WORLD_TENANT);
    struct holding *h = truth_of(w, p);
    const struct lease *l = h == NULL ? NULL : leases_find(&h->usage.leases, &s);
    int64_t start = s.kind == SCOPE_METRIC && tenant != NULL ? tenant->base : 0;
    return (x != NULL ? x->granted[p] : start) - (l == NULL ? 0 : l->returned);
}

static int64_t use_of(struct world *w, int which, int p)
{
    struct holding *h = truth_of(w, p);
    struct limit *l = w->auditor;
    if (h == NULL || which == WORLD_RATE) {
        return 0;
    }
    struct tenant_use *t = usage_tenant(&h->usage, SLICE_LITERAL("t"), &l->rules.tenants);
    const struct metric_use *m =
        which == WORLD_TENANT ? NULL : usage_metric_find(&h->usage, t, scope_of(which).metric);
    return which == WORLD_TENANT ? t->n_active : m == NULL ? 0 : m->n_active;
}

int64_t world_active(struct world *w, int which)
{
    int64_t n = 0;
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        n += use_of(w, which, p);
    }
    return n;
}

int64_t world_in_force(struct world *w, int which)
{
    const struct allocation *x = allocation_of(w, which);
    return x == NULL ? -1 : x->value;
}

int64_t world_wanted(const struct world *w, int which)
{
    int64_t n = 0;
    for (int i = 0; i < WORLD_PARTITIONS * WORLD_SOURCES; i++) {
        for (int m = 0; m < WORLD_METRICS; m++) {
            const struct world_source *s = &w->sources[i / WORLD_SOURCES][i % WORLD_SOURCES];
            n += which == WORLD_TENANT || which == m ? s->n[m] : 0;
        }
    }
    return n;
}

/* --- the auditor --- */

static void audit_read(struct world *w, int p)
{
    struct err e = ERR_INIT;
    limit_drop(w->auditor, &w->truth[p]);
    if (!limit_recover(w->auditor, (struct stage *)(void *)&w->kafka[p], &w->truth[p], -1,
                       SLICE_NONE, &e)) {
        wrong(w, "partition %d: the state can't be read: %s", p, e.text);
    }
}

/* What may be leased of a budget: of a rate its half. */
static int64_t leasable(int which, int64_t value)
{
    return which == WORLD_RATE ? value / 2 + WORLD_PARTITIONS : value;
}

/* One transaction may hold grants by a budget that was in force for a moment. */
void world_audit_copy(struct world *w, struct slice value)
{
    static int64_t granted[MAX_LEASE_PARTITIONS];
    struct grants_record r;
    struct err e = ERR_INIT;
    for (int which = 0; which <= WORLD_RATE && lease_record_kind(value) == RECORD_GRANTS; which++) {
        const struct scope s = scope_of(which);
        ck_assert_msg(grants_record_read(value, granted, &r, &e), "%s", e.text);
        if (hash128_eq(scope_key(&r.scope), scope_key(&s)) &&
            leasable(which, r.value) > w->budget[which]) {
            w->budget[which] = leasable(which, r.value);
        }
    }
}

static void audit_scope(struct world *w, int which)
{
    const struct allocation *x = allocation_of(w, which);
    int64_t leased = 0;
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        int64_t lease = lease_of(w, which, p);
        int64_t use = use_of(w, which, p);
        leased += lease;
        if (!w->is_unleased && use > (lease > 0 ? lease : 0)) {
            wrong(w, "scope %d: partition %d uses %lld of a lease of %lld", which, p,
                  (long long)use, (long long)lease);
        }
    }
    if (x != NULL && leased > w->leased[which] && leased > w->budget[which]) {
        wrong(w, "scope %d: leases grew from %lld to %lld, over %lld", which,
              (long long)w->leased[which], (long long)leased, (long long)w->budget[which]);
    }
    w->leased[which] = leased;
    w->budget[which] = x == NULL ? 0 : leasable(which, x->value);
}

void world_audit(struct world *w, const bool moved[WORLD_PARTITIONS])
{
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        if (moved[p]) {
            audit_read(w, p);
        }
    }
    for (int which = 0; which <= WORLD_RATE && w->error[0] == '\0'; which++) {
        audit_scope(w, which);
    }
}
