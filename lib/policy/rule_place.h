/* Which rule of a policy decided, and where it stands in the file. */
#pragma once

#include "base/buf.h"

enum rule_key {
#define RULE(id, key) id,
#include "policy/rule_table.h"
#undef RULE
    N_RULE_KEYS
};

/* Who set a rule last. */
enum rule_level { LEVEL_DEFAULT, LEVEL_TOP, LEVEL_TENANT, N_RULE_LEVELS };

struct rule_place {
    enum rule_key key;
    int32_t index;       /* in the list, counted from 0; -1 = the whole */
    struct slice member; /* the key in an object ("metrics.<name>"), or nothing */
};

struct rules;

/* "tenants.studio-a.labels.forbid[3]", "names.allow", "labels.forbid[0] (default)"; nothing for
 * RULE_NONE. The rules are that tenant's. */
void rule_place_print(const struct rules *rules, struct slice tenant,
                      const struct rule_place *place, struct buf *out);
