/* Budgets that span partitions, over all of them: used, leased, free, growth, and when they will be
 * full. By what the holders report on sluice.leases, so every process tells the same. */
#pragma once

#include "board.h"
#include "tenants.h"

/* Keeps the minute's growth; call it about once a minute. */
void budgets_note(struct board *b);
/* Sets the tenants' cells and prints JSON: tenants first, then the max_metrics fullest metrics. */
void budgets_look(struct board *b, struct tenants *tenants, uint32_t max_metrics, struct buf *out);
