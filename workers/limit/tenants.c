#include "tenants.h"

#include <stdlib.h>

static void budget_show(struct metrics *m, struct slice tenant, const char *name,
                        const struct budget *b)
{
    const struct slice values[] = {tenant, slice_str(name)};
    cell_set(metrics_cell(m, M_SERIES_BUDGET, values), (double)b->max);
}

/* A live limit is enforced, whatever the policy's mode is. */
static void override(struct budget *b, const struct controls *c, struct slice tenant,
                     enum control_budget which)
{
    const struct control_rule *r = controls_limit(c, tenant, which, SLICE_NONE);
    if (r != NULL) {
        *b = (struct budget){r->value, false};
    }
}

static struct budgets budgets_of(const struct tenants *ts, struct slice tenant,
                                 const struct budgets *policy)
{
    struct budgets b = *policy;
    override(&b.source, ts->controls, tenant, CONTROL_SOURCE);
    override(&b.tenant, ts->controls, tenant, CONTROL_TENANT);
    override(&b.rate, ts->controls, tenant, CONTROL_SAMPLES_PER_SECOND);
    return b;
}

static bool has_metric_limit(const struct controls *c, struct slice tenant)
{
    for (uint32_t i = 0; i < c->n_rules; i++) {
        const struct control_rule *r = c->rules[i];
        if (r->kind == CONTROL_LIMIT && r->budget == CONTROL_METRIC && slice_eq(r->tenant, tenant)) {
            return true;
        }
    }
    return false;
}

static void tenant_init(const struct tenants *ts, struct tenant *t, struct slice name,
                        const struct budgets *policy)
{
    struct metrics *m = ts->metrics;
    struct slice label = name.len > 0 ? name : SLICE_LITERAL("unknown");
    *t = (struct tenant){
        .name = name,
        .label = label,
        .budgets = budgets_of(ts, name, policy),
        .in = metrics_cell(m, M_SAMPLES_IN, &label),
        .out = metrics_cell(m, M_SAMPLES_OUT, &label),
        .fresh = metrics_cell(m, M_SERIES_NEW, &label),
        .expired = metrics_cell(m, M_SERIES_EXPIRED, &label),
        .active = metrics_cell(m, M_SERIES_ACTIVE, &label),
        .completeness = metrics_cell(m, M_COMPLETENESS, &label),
        .silent = metrics_cell(m, M_SOURCES_SILENT, &label),
    };
    t->has_metric_budgets = t->budgets.metric.max > 0 || has_metric_limit(ts->controls, name);
    budget_show(m, label, "source", &t->budgets.source);
    budget_show(m, label, "metric", &t->budgets.metric);
    budget_show(m, label, "tenant", &t->budgets.tenant);
    budget_show(m, label, "samples_per_second", &t->budgets.rate);
}

bool tenants_init(struct tenants *t, struct policy *p, const struct controls *c, struct metrics *m,
                  struct err *e)
{
    *t = (struct tenants){.metrics = m, .controls = c};
    table_init(&t->by_name, 0, NULL);
    t->items = calloc(p->n_tenants + 1, sizeof *t->items);
    if (t->items == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    tenant_init(t, &t->nobody, SLICE_NONE, &p->rules.budgets);
    for (uint32_t i = 0; i < p->n_tenants; i++) {
        tenant_init(t, &t->items[i], p->tenants[i].name, &p->tenants[i].rules.budgets);
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

struct budget tenants_metric_budget(const struct tenants *ts, const struct tenant *t,
                                    struct slice metric)
{
    const struct control_rule *r =
        ts->controls->n_rules == 0 ? NULL
                                   : controls_limit(ts->controls, t->name, CONTROL_METRIC, metric);
    return r == NULL ? t->budgets.metric : (struct budget){r->value, false};
}

int64_t tenants_budget(void *tenants, const struct scope *s)
{
    const struct tenant *t = tenants_find(tenants, s->tenant);
    switch (s->kind) {
    case SCOPE_TENANT:
        return t->budgets.tenant.max;
    case SCOPE_METRIC:
        return tenants_metric_budget(tenants, t, s->metric).max;
    case SCOPE_RATE:
        return t->budgets.rate.max;
    case N_SCOPE_KINDS:
        break;
    }
    return 0;
}

struct cell *tenant_reason_cell(const struct tenants *t, const struct tenant *tenant,
                                enum metric_id id, enum reason reason)
{
    const struct slice values[] = {tenant->label, slice_str(reason_name(reason))};
    return metrics_cell(t->metrics, id, values);
}
