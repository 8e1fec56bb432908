#include "edge/tenants.h"

#include <stdlib.h>

bool tenants_init(struct tenants *t, const struct policy *p, struct err *e)
{
    *t = (struct tenants){.n = p->n_tenants};
    table_init(&t->by_name, 0, NULL);
    t->items = calloc(p->n_tenants + 1, sizeof *t->items);
    if (t->items == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    t->nobody =
        (struct tenant){.name = SLICE_LITERAL(""), .rules = &p->rules, .index = p->n_tenants};
    for (uint32_t i = 0; i < p->n_tenants; i++) {
        const struct policy_tenant *known = &p->tenants[i];
        t->items[i] =
            (struct tenant){known->name, &known->rules, hash128_seeded(known->name, 0), i};
        if (!table_put(&t->by_name, hash128(known->name), &t->items[i], 0)) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
    }
    return true;
}

void tenants_fini(struct tenants *t)
{
    table_fini(&t->by_name);
    free(t->items);
    t->items = NULL;
}

struct tenant *tenants_find(struct tenants *t, struct slice name)
{
    return table_find(&t->by_name, hash128(name));
}
