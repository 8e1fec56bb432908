/* The tenants that the policy knows, each with its rules. Rebuilt when the policy changes. */
#pragma once

#include "policy/policy.h"

struct tenant {
    struct slice name; /* the policy's */
    const struct rules *rules;
    struct hash128 salt; /* keeps the tenants' series keys apart */
    uint32_t index;      /* in the policy's order; nobody's: n */
};

struct tenants {
    struct tenant *items; /* owned, one per tenant of the policy */
    uint32_t n;
    struct table by_name;
    struct tenant nobody; /* for messages whose tenant is missing or unknown */
};

bool tenants_init(struct tenants *t, const struct policy *p, struct err *e) MUST_CHECK;
void tenants_fini(struct tenants *t);
/* NULL = unknown. */
struct tenant *tenants_find(struct tenants *t, struct slice name);
