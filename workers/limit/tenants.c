#include "tenants.h"

#include <stdlib.h>

static void budget_show(struct metrics *m, struct slice tenant, const char *name, const struct budget *b)
{
    const struct slice values[] = {tenant, slice_str(name)};
    cell_set(metrics_cell(m, M_SERIES_BUDGET, values), (double)b->max_series);
}

static void tenant_init(struct tenant *t, struct slice label, const struct budgets *budgets, struct metrics *m)
{
    *t = (struct tenant){
        .label = label,
        .budgets = budgets,
        .in = metrics_cell(m, M_SAMPLES_IN, &label),
        .out = metrics_cell(m, M_SAMPLES_OUT, &label),
        .fresh = metrics_cell(m, M_SERIES_NEW, &label),
        .expired = metrics_cell(m, M_SERIES_EXPIRED, &label),
        .active = metrics_cell(m, M_SERIES_ACTIVE, &label),
        .completeness = metrics_cell(m, M_COMPLETENESS, &label),
        .silent = metrics_cell(m, M_SOURCES_SILENT, &label),
    };
    budget_show(m, label, "source", &budgets->source);
    budget_show(m, label, "metric", &budgets->metric);
    budget_show(m, label, "tenant", &budgets->tenant);
}

bool tenants_init(struct tenants *t, struct policy *p, struct metrics *m, struct err *e)
{
    *t = (struct tenants){.metrics = m};
    table_init(&t->by_name, 0, NULL);
    t->items = calloc(p->n_tenants + 1, sizeof *t->items);
    if (t->items == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    tenant_init(&t->nobody, SLICE_LITERAL("unknown"), &p->rules.budgets, m);
    for (uint32_t i = 0; i < p->n_tenants; i++) {
        tenant_init(&t->items[i], p->tenants[i].name, &p->tenants[i].rules.budgets, m);
        if (!table_put(&t->by_name, hash128(p->tenants[i].name), &t->items[i], 0)) {
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
    struct tenant *found = table_find(&t->by_name, hash128(name));
    return found != NULL ? found : &t->nobody;
}

struct cell *tenant_reason_cell(const struct tenants *t, const struct tenant *tenant, enum metric_id id,
                                enum reason reason)
{
    const struct slice values[] = {tenant->label, slice_str(reason_name(reason))};
    return metrics_cell(t->metrics, id, values);
}
