/* How many series a tenant, and each of its metrics, has active on one partition, and the leases
 * that they count against. Entries exist while a series is held; a metric's index is what a series'
 * slot holds. */
#pragma once

#include "base/err.h"
#include "base/table.h"
#include "lease.h"
#include "tenants.h"

struct tenant_use {
    struct slice name;     /* owned */
    struct tenant *tenant; /* rules and cells; found anew when the policy changes */
    int64_t n_active;
    struct lease *lease; /* on the tenant's budget; NULL while there was none */
    struct lease *rate;  /* on its samples per second; the same */
    /* Of the last look at completeness. */
    int64_t n_seen;
    int64_t n_silent;
};

struct metric_use {
    struct slice name; /* owned; ptr NULL = free */
    struct tenant_use *tenant;
    int64_t n_active;    /* without the lapsed ones */
    int64_t n_held;      /* with them: what slots refer to */
    struct lease *lease; /* NULL while the partition gets by with its even share */
    uint32_t index;
    uint32_t next_free;
};

struct usage {
    struct leases leases;
    struct table tenants;        /* tenant_use, by name */
    struct table by_name;        /* metric_use, by tenant and name */
    struct metric_use **metrics; /* owned, by index */
    uint32_t n_metrics;
    uint32_t cap_metrics;
    struct metric_use *last; /* looked up; series of a metric come together */
    bool is_rebound;         /* to rules that were not looked at yet */
    uint32_t free_metric;    /* head of the list of free ones, MAX_METRICS = none */
};

void usage_init(struct usage *u, struct board *board, uint32_t partition, uint32_t n_partitions);
void usage_fini(struct usage *u);
/* Finds or creates; NULL when out of memory. */
struct tenant_use *usage_tenant(struct usage *u, struct slice name, struct tenants *tenants);
/* NULL when absent. */
struct metric_use *usage_metric_find(struct usage *u, const struct tenant_use *t,
                                     struct slice name);
/* No index is left for a metric that is absent. */
static inline bool usage_is_full(const struct usage *u)
{
    return u->free_metric == MAX_METRICS && u->n_metrics == MAX_METRICS;
}
/* Finds or creates; NULL when out of memory or indexes. */
struct metric_use *usage_metric(struct usage *u, struct tenant_use *t, struct slice name);
/* So many series more count, so many more are held; an entry that holds none is forgotten. */
void usage_move(struct usage *u, struct metric_use *m, int64_t n_active, int64_t n_held);
/* The leases, where there is a budget; created when they are first needed. NULL: none, or out of
 * memory. A tenant with metric budgets alone has one too: the allocator's word on it says where
 * they start. */
struct lease *usage_tenant_lease(struct usage *u, struct tenant_use *t);
struct lease *usage_rate_lease(struct usage *u, struct tenant_use *t);
/* m may be NULL: a metric of which nothing is held. NULL: there is no lease (yet). */
struct lease *usage_metric_lease(struct usage *u, const struct tenant_use *t,
                                 const struct metric_use *m, struct slice metric);
struct lease *usage_metric_lease_add(struct usage *u, const struct tenant_use *t,
                                     struct metric_use *m, struct slice metric);
/* Once all was read back: the leases count what is active. */
void usage_bind(struct usage *u);
/* leases_learn; what leases came of it count what is active, and where there is a budget now that
 * was none, more than a metric's counters start with is claimed: the allocator has to know. */
bool usage_learn(struct usage *u, const struct tenants *tenants);
/* After a change of policy. */
void usage_rebind(struct usage *u, struct tenants *tenants);
