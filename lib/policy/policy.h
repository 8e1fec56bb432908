/* The policy: what tenants may send (schemas/policy.schema.json). One file, read into an immutable
 * struct; the defaults, changed by the file's top level, changed by a tenant's own entry, give that
 * tenant's rules. A tenant that is not listed is unknown. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/table.h"
#include "policy/rules.h"

struct policy_tenant {
    struct slice name;
    struct text_list principals; /* who it is by certificate: a SAN URI, or "CN=<common name>" */
    struct rules rules;
};

struct policy {
    char version[96]; /* "<the file's own version>-<hash>", or the hash */
    uint32_t n_tenants;
    const struct policy_tenant *tenants; /* in the file's order */
    struct rules rules;                  /* of a tenant without an entry of its own values */
    /* private */
    struct arena arena;
    struct table by_name;
    struct table by_principal;
};

/* ERR_CONFIG names the place: "labels.unknown: …". On success *out is the caller's (policy_free).
 */
bool policy_parse(struct slice json, struct policy **out, struct err *e) MUST_CHECK;
bool policy_load(const char *path, struct policy **out, struct err *e) MUST_CHECK;
void policy_free(struct policy *p);
/* NULL = unknown. */
const struct policy_tenant *policy_tenant(struct policy *p, struct slice name);
/* Whose certificate it is; NULL = nobody's. No principal is two tenants'. */
const struct policy_tenant *policy_principal(struct policy *p, struct slice principal);
