/* The policy's tenants as the limiter sees them: budgets, which a live control record replaces, and
 * cells. Rebuilt when the policy or the control records change. */
#pragma once

#include "policy/controls.h"
#include "policy/policy.h"
#include "policy/reason.h"
#include "run/metrics.h"
#include "scope.h"

struct tenant {
    struct slice name;  /* empty: not in the policy */
    struct slice label; /* the value of the label `tenant` in metrics */
    struct budgets budgets;
    bool has_metric_budgets; /* the policy's, or some metric's by control */
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
    const struct controls *controls;
    struct tenant *items; /* owned, one per tenant of the policy */
    struct table by_name;
    struct tenant nobody; /* for tenants that have left the policy */
};

bool tenants_init(struct tenants *t, struct policy *p, const struct controls *c, struct metrics *m,
                  struct err *e) MUST_CHECK;
void tenants_fini(struct tenants *t);
/* Never NULL. */
struct tenant *tenants_find(struct tenants *t, struct slice name);
/* One of its metrics' budget. */
struct budget tenants_metric_budget(const struct tenants *ts, const struct tenant *t,
                                    struct slice metric);
/* A budget_source's `of`, with struct tenants as its ctx. */
int64_t tenants_budget(void *tenants, const struct scope *s);
/* The cell of (tenant, reason). */
struct cell *tenant_reason_cell(const struct tenants *t, const struct tenant *tenant,
                                enum metric_id id, enum reason reason);
