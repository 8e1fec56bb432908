/* `dlq list | show | export` (redrive.h has the fourth): what was refused, and what it was. */
#pragma once

#include "tool.h"

bool dlq_list(const struct tool *t, struct err *e) MUST_CHECK;
bool dlq_export(const struct tool *t, struct err *e) MUST_CHECK;
/* *code: TOOL_DIFFERS when the origin can't be shown any more. */
bool dlq_show(const struct tool *t, int *code, struct err *e) MUST_CHECK;
