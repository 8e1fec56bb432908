/* `audit --repair`: the plan that fills what an audit has found missing. sluice-parquet makes it
 * (`plan replay`), of the audit's stretch and of the partitions that lack something; what no plan
 * mends is told, with what to do instead. */
#pragma once

#include "ledger.h"

/* With --json *out is {"plan": the plan's report or null, "left": [{"kind", "n", "instead"}]}, the
 * caller's; else both are printed. *code: why there is no plan; then e is set, too. */
bool audit_repair(const struct tool *t, const struct findings *f, size_t n_told, json_t **out, int *code,
                  struct err *e) MUST_CHECK;
