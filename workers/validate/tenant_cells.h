/* The tenants' cells in the metrics. Rebuilt when the policy changes. */
#pragma once

#include "edge/tenants.h"
#include "policy/reason.h"
#include "run/metrics.h"

struct tenant_cells {
    struct slice label; /* the value of the label `tenant` */
    struct cell *in;
    struct cell *out;
    struct cell *switches;
    /* by reason; NULL until the first. Use tenant_cell. */
    struct cell *rejected[N_REASONS];
    struct cell *records_rejected[N_REASONS];
    struct cell *letters[N_REASONS];
    struct cell *suppressed[N_REASONS];
};

/* By a tenant's index, nobody's too; the caller frees it. NULL = out of memory. */
struct tenant_cells *tenant_cells_new(const struct tenants *tenants, struct metrics *m);

/* The cell of one of the four arrays above, which belongs to metric id. */
struct cell *tenant_cell(struct metrics *m, const struct tenant_cells *c, struct cell **cells,
                         enum metric_id id, enum reason reason);
