/* A shape being judged against the budgets, series by series. */
#pragma once

#include "verdict.h"

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

/* The i-th series: let in, known already, or refused; the verdict's columns and counts say so. */
bool trial_judge(struct trial *t, uint32_t i, struct err *e) MUST_CHECK;
/* Without effect but on what is wanted: would one be refused for want of a lease that is about to
 * grow? */
bool trial_is_worth_waiting(struct trial *t);
