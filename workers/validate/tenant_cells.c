#include "tenant_cells.h"

#include <stdlib.h>

struct tenant_cells *tenant_cells_new(const struct tenants *tenants, struct metrics *m)
{
    struct tenant_cells *all = calloc((size_t)tenants->n + 1, sizeof *all);
    if (all == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < tenants->n; i++) {
        const struct slice label = tenants->items[i].name;
        all[i] = (struct tenant_cells){
            .label = label,
            .in = metrics_cell(m, M_SAMPLES_IN, &label),
            .out = metrics_cell(m, M_SAMPLES_OUT, &label),
            .switches = metrics_cell(m, M_SOURCE_SWITCHES, &label),
        };
    }
    all[tenants->n] = (struct tenant_cells){.label = SLICE_LITERAL("unknown")};
    return all;
}

struct cell *tenant_cell(struct metrics *m, const struct tenant_cells *c, struct cell **cells,
                         enum metric_id id, enum reason reason)
{
    if (cells[reason] == NULL) {
        const struct slice values[] = {c->label, slice_str(reason_name(reason))};
        cells[reason] = metrics_cell(m, id, values);
    }
    return cells[reason];
}
