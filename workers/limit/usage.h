/* How many series a tenant, and each of its metrics, has active on one partition. Entries exist
 * while something is active; a metric's index is what a series' slot holds. */
#pragma once

#include "base/err.h"
#include "base/table.h"
#include "tenants.h"

struct tenant_use {
    struct slice name;     /* owned */
    struct tenant *tenant; /* rules and cells; found anew when the policy changes */
    int64_t n_active;
    /* Of the last look at completeness. */
    int64_t n_seen;
    int64_t n_silent;
};

struct metric_use {
    struct slice name; /* owned; ptr NULL = free */
    struct tenant_use *tenant;
    int64_t n_active;
    uint32_t index;
    uint32_t next_free;
};

struct usage {
    struct table tenants;       /* tenant_use, by name */
    struct table by_name;       /* metric_use, by tenant and name */
    struct metric_use **metrics; /* owned, by index */
    uint32_t n_metrics;
    uint32_t cap_metrics;
    uint32_t free_metric; /* head of the list of free ones, MAX_METRICS = none */
};

void usage_init(struct usage *u);
void usage_fini(struct usage *u);
/* Finds or creates; NULL when out of memory. */
struct tenant_use *usage_tenant(struct usage *u, struct slice name, struct tenants *tenants);
/* NULL when absent. */
struct metric_use *usage_metric_find(struct usage *u, const struct tenant_use *t, struct slice name);
/* Finds or creates; NULL when out of memory or indexes. */
struct metric_use *usage_metric(struct usage *u, struct tenant_use *t, struct slice name);
/* n series came (or went, n < 0); an entry without series is forgotten. */
void usage_move(struct usage *u, struct metric_use *m, int64_t n);
/* After a change of policy. */
void usage_rebind(struct usage *u, struct tenants *tenants);
