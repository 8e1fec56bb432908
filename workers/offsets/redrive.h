/* `dlq redrive`: rejects of validate and limit go in again, through the policy as it is now, once:
 *
 *   metrics.dlq ──► letters ──► ingest records ──► metrics.valid, and a mark on sluice.replay, both
 *                                                  in one transaction for each ingest record */
#pragma once

#include "tool.h"

/* *code: TOOL_DIFFERS when something that was asked for did not go. */
bool dlq_redrive(const struct tool *t, int *code, struct err *e) MUST_CHECK;
