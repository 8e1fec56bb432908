/* The tenants that the policy knows, each with its rules and its cells. Rebuilt when the policy
 * changes. */
#pragma once

#include "policy/policy.h"
#include "policy/reason.h"
#include "run/metrics.h"

struct tenant {
    struct slice name; /* the policy's */
    const struct rules *rules;
    struct hash128 salt; /* keeps the tenants' series keys apart */
    struct slice label;  /* the value of the label `tenant` in metrics */
    struct cell *in;
    struct cell *out;
    struct cell *switches;
    /* by reason; NULL until the first. Use tenant_cell. */
    struct cell *rejected[N_REASONS];
    struct cell *records_rejected[N_REASONS];
    struct cell *letters[N_REASONS];
    struct cell *suppressed[N_REASONS];
};

struct tenants {
    struct metrics *metrics;
    struct tenant *items; /* owned, one per tenant of the policy */
    struct table by_name;
    struct tenant nobody; /* for records whose tenant is missing or unknown */
};

bool tenants_init(struct tenants *t, struct policy *p, struct metrics *m, struct err *e) MUST_CHECK;
void tenants_fini(struct tenants *t);
/* NULL = unknown. */
struct tenant *tenants_find(struct tenants *t, struct slice name);

/* The cell of one of the four arrays above, which belongs to metric id. */
struct cell *tenant_cell(const struct tenants *t, const struct tenant *tenant, struct cell **cells,
                         enum metric_id id, enum reason reason);
