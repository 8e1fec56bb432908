#include "usage.h"

#include <stdlib.h>

#include "series_set.h"

static void tenant_free(void *value)
{
    struct tenant_use *t = value;
    free((void *)(uintptr_t)t->name.ptr);
    free(t);
}

static struct slice name_copy(struct slice name)
{
    uint8_t *p = malloc(name.len + 1);
    if (p != NULL && name.len > 0) {
        memcpy(p, name.ptr, name.len);
    }
    return (struct slice){p, p == NULL ? 0 : name.len};
}

void usage_init(struct usage *u, struct board *board, uint32_t partition, uint32_t n_partitions)
{
    *u = (struct usage){.free_metric = MAX_METRICS, .is_rebound = true};
    leases_init(&u->leases, board, partition, n_partitions);
    table_init(&u->tenants, 0, tenant_free);
    table_init(&u->by_name, 0, NULL);
}

void usage_fini(struct usage *u)
{
    for (uint32_t i = 0; i < u->n_metrics; i++) {
        free((void *)(uintptr_t)u->metrics[i]->name.ptr);
        free(u->metrics[i]);
    }
    free(u->metrics);
    table_fini(&u->by_name);
    table_fini(&u->tenants);
    leases_fini(&u->leases);
}

struct tenant_use *usage_tenant(struct usage *u, struct slice name, struct tenants *tenants)
{
    struct hash128 key = hash128_seeded(name, 0);
    struct tenant_use *t = table_find(&u->tenants, key);
    if (t != NULL) {
        return t;
    }
    t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->name = name_copy(name);
    t->tenant = tenants_find(tenants, name);
    if (t->name.ptr == NULL || !table_put(&u->tenants, key, t, sizeof *t)) {
        tenant_free(t);
        return NULL;
    }
    return t;
}

static struct hash128 metric_key(const struct tenant_use *t, struct slice name)
{
    return hash128_seeded(name, hash64_seeded(t->name, 1));
}

struct metric_use *usage_metric_find(struct usage *u, const struct tenant_use *t, struct slice name)
{
    if (u->last == NULL || u->last->tenant != t || !slice_eq(u->last->name, name)) {
        u->last = table_find(&u->by_name, metric_key(t, name));
    }
    return u->last;
}

/* A free entry of the array, or a new one. */
static struct metric_use *entry_take(struct usage *u)
{
    if (u->free_metric != MAX_METRICS) {
        struct metric_use *m = u->metrics[u->free_metric];
        u->free_metric = m->next_free;
        return m;
    }
    if (u->n_metrics == u->cap_metrics) {
        uint32_t cap = u->cap_metrics == 0 ? 64 : u->cap_metrics * 2;
        struct metric_use **grown =
            cap > MAX_METRICS ? NULL : reallocarray(u->metrics, cap, sizeof(struct metric_use *));
        if (grown == NULL) {
            return NULL;
        }
        u->metrics = grown;
        u->cap_metrics = cap;
    }
    struct metric_use *m = calloc(1, sizeof *m);
    if (m != NULL) {
        m->index = u->n_metrics;
        u->metrics[u->n_metrics++] = m;
    }
    return m;
}

static void entry_give(struct usage *u, struct metric_use *m)
{
    u->last = u->last == m ? NULL : u->last;
    free((void *)(uintptr_t)m->name.ptr);
    m->name = SLICE_NONE;
    m->next_free = u->free_metric;
    u->free_metric = m->index;
}

struct metric_use *usage_metric(struct usage *u, struct tenant_use *t, struct slice name)
{
    struct metric_use *m = usage_metric_find(u, t, name);
    if (m != NULL) {
        return m;
    }
    m = entry_take(u);
    if (m == NULL) {
        return NULL;
    }
    m->name = name_copy(name);
    m->tenant = t;
    m->n_active = 0;
    m->n_held = 0;
    m->lease = usage_metric_lease(u, t, NULL, name);
    if (m->name.ptr == NULL || !table_put(&u->by_name, metric_key(t, name), m, sizeof *m)) {
        entry_give(u, m);
        return NULL;
    }
    return m;
}

void usage_move(struct usage *u, struct metric_use *m, int64_t n_active, int64_t n_held)
{
    m->n_active += n_active;
    m->n_held += n_held;
    m->tenant->n_active += n_active;
    if (m->lease != NULL) {
        m->lease->use = m->n_active;
    }
    if (m->tenant->lease != NULL) {
        m->tenant->lease->use = m->tenant->n_active;
    }
    if (m->n_held == 0) {
        (void)table_remove(&u->by_name, metric_key(m->tenant, m->name));
        entry_give(u, m);
    }
}

/* --- leases --- */

struct lease *usage_tenant_lease(struct usage *u, struct tenant_use *t)
{
    if (t->lease == NULL && (t->tenant->budgets.tenant.max > 0 || t->tenant->has_metric_budgets)) {
        t->lease = leases_add(&u->leases, &(struct scope){SCOPE_TENANT, t->name, SLICE_NONE});
        if (t->lease != NULL) {
            t->lease->use = t->n_active;
        }
    }
    return t->lease;
}

struct lease *usage_rate_lease(struct usage *u, struct tenant_use *t)
{
    if (t->rate == NULL && t->tenant->budgets.rate.max > 0) {
        t->rate = leases_add(&u->leases, &(struct scope){SCOPE_RATE, t->name, SLICE_NONE});
    }
    return t->rate;
}

struct lease *usage_metric_lease(struct usage *u, const struct tenant_use *t,
                                 const struct metric_use *m, struct slice metric)
{
    return m != NULL ? m->lease
                     : leases_find(&u->leases, &(struct scope){SCOPE_METRIC, t->name, metric});
}

struct lease *usage_metric_lease_add(struct usage *u, const struct tenant_use *t,
                                     struct metric_use *m, struct slice metric)
{
    struct lease *l = leases_add(&u->leases, &(struct scope){SCOPE_METRIC, t->name, metric});
    if (m != NULL && l != NULL && m->lease == NULL) {
        m->lease = l;
        l->use = m->n_active;
    }
    return l;
}

void usage_bind(struct usage *u)
{
    struct tenant_use *t;
    for (size_t at = 0; (t = table_next(&u->tenants, &at)) != NULL;) {
        t->lease = leases_find(&u->leases, &(struct scope){SCOPE_TENANT, t->name, SLICE_NONE});
        t->rate = leases_find(&u->leases, &(struct scope){SCOPE_RATE, t->name, SLICE_NONE});
        if (t->lease != NULL) {
            t->lease->use = t->n_active;
        }
    }
    struct metric_use *m;
    for (size_t at = 0; (m = table_next(&u->by_name, &at)) != NULL;) {
        m->lease = usage_metric_lease(u, m->tenant, NULL, m->name);
        if (m->lease != NULL) {
            m->lease->use = m->n_active;
        }
    }
}

/* Does it use more than its counters start with, without a lease? */
static bool is_unclaimed(struct usage *u, const struct tenants *tenants, const struct metric_use *m)
{
    const struct tenant_use *t = m->tenant;
    const int64_t budget = m->lease == NULL && m->n_active > 0 && t->tenant->has_metric_budgets
                               ? tenants_metric_budget(tenants, t->tenant, m->name).max
                               : 0;
    return budget > 0 && t->lease != NULL && lease_has_word(t->lease) &&
           leases_start_room(&u->leases, t->name, m->n_active, budget) < 0;
}

static void claim(struct usage *u, const struct tenants *tenants)
{
    struct tenant_use *t;
    for (size_t at = 0; (t = table_next(&u->tenants, &at)) != NULL;) {
        if (t->n_active > 0) {
            (void)usage_tenant_lease(u, t);
        }
    }
    struct metric_use *m;
    for (size_t at = 0; (m = table_next(&u->by_name, &at)) != NULL;) {
        if (is_unclaimed(u, tenants, m)) {
            (void)usage_metric_lease_add(u, m->tenant, m, m->name);
        }
    }
}

bool usage_learn(struct usage *u, const struct tenants *tenants)
{
    bool is_better = leases_learn(&u->leases);
    if (u->leases.has_joined) {
        u->leases.has_joined = false;
        usage_bind(u);
    }
    if (u->is_rebound || u->leases.has_new_base) {
        u->is_rebound = u->leases.has_new_base = false;
        claim(u, tenants);
    }
    return is_better;
}

void usage_rebind(struct usage *u, struct tenants *tenants)
{
    struct tenant_use *t;
    u->is_rebound = true;
    for (size_t at = 0; (t = table_next(&u->tenants, &at)) != NULL;) {
        t->tenant = tenants_find(tenants, t->name);
    }
}
