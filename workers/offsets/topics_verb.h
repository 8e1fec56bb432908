/* `topics apply | check`: each topic of the definition against the cluster. */
#pragma once

#include "tool.h"

/* *code: TOOL_DIFFERS when something is missing or differs. */
bool topics_verb(const struct tool *t, bool apply, int *code, struct err *e) MUST_CHECK;
