/* Private to lib/policy: reads rules out of JSON by tables of keys. */
#pragma once

#include <jansson.h>

#include "policy/policy.h"

struct policy_reader {
    struct arena *arena; /* what the rules point to */
    struct err *e;
};

/* Changes what the object says; path is its place for messages ("" at the top). Keys in `also` are
 * the caller's. */
bool policy_read_rules(const struct policy_reader *r, json_t *object, const char *path,
                       const char *const *also, struct rules *rules) MUST_CHECK;
/* A tenant's own key `principals`, if it is there. */
bool policy_read_principals(const struct policy_reader *r, json_t *tenant, const char *path,
                            struct text_list *out) MUST_CHECK;
