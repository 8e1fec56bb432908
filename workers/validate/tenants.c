#include "tenants.h"

#include <stdlib.h>

static void tenant_init(struct tenant *t, struct slice name, struct slice label,
                        const struct rules *rules, struct metrics *m)
{
    *t = (struct tenant){
        .name = name,
        .label = label,
        .rules = rules,
        .salt = hash128_seeded(name, 0),
        .in = metrics_cell(m, M_SAMPLES_IN, &label),
        .out = metrics_cell(m, M_SAMPLES_OUT, &label),
        .switches = metrics_cell(m, M_SOURCE_SWITCHES, &label),
    };
}

bool tenants_init(struct tenants *t, struct policy *p, struct metrics *m, struct err *e)
{
    *t = (struct tenants){.metrics = m};
    table_init(&t->by_name, 0, NULL);
    t->items = calloc(p->n_tenants + 1, sizeof *t->items);
    if (t->items == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    t->nobody = (struct tenant){
        .name = SLICE_LITERAL(""), .label = SLICE_LITERAL("unknown"), .rules = &p->rules};
    for (uint32_t i = 0; i < p->n_tenants; i++) {
        struct slice name = p->tenants[i].name;
        tenant_init(&t->items[i], name, name, &p->tenants[i].rules, m);
        if (!table_put(&t->by_name, hash128(name), &t->items[i], 0)) {
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

struct cell *tenant_cell(const struct tenants *t, const struct tenant *tenant, struct cell **cells,
                         enum metric_id id, enum reason reason)
{
    if (cells[reason] == NULL) {
        const struct slice values[] = {tenant->label, slice_str(reason_name(reason))};
        cells[reason] = metrics_cell(t->metrics, id, values);
    }
    return cells[reason];
}
