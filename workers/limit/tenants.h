/* The policy's tenants as the limiter sees them: budgets and cells. Rebuilt when the policy
 * changes. */
#pragma once

#include "policy/policy.h"
#include "policy/reason.h"
#include "run/metrics.h"

struct tenant {
    struct slice label; /* the value of the label `tenant` in metrics */
    const struct budgets *budgets;
    struct cell *in;
    struct cell *out;
    struct cell *fresh; /* new series */
    struct cell *expired;
    struct cell *active;
    struct cell *completeness;
    struct cell *silent;
};

struct tenants {
    struct metrics *metrics;
    struct tenant *items; /* owned, one per tenant of the policy */
    struct table by_name;
    struct tenant nobody; /* for tenants that have left the policy */
};

bool tenants_init(struct tenants *t, struct policy *p, struct metrics *m, struct err *e) MUST_CHECK;
void tenants_fini(struct tenants *t);
/* Never NULL. */
struct tenant *tenants_find(struct tenants *t, struct slice name);
/* The cell of (tenant, reason). */
struct cell *tenant_reason_cell(const struct tenants *t, const struct tenant *tenant, enum metric_id id,
                                enum reason reason);
