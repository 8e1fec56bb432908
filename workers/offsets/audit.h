/* `audit`: the objects on S3 against the log, and what sinks told that they skipped. */
#pragma once

#include "tool.h"

/* *code: TOOL_DIFFERS on any finding. */
bool audit_verb(const struct tool *t, int *code, struct err *e) MUST_CHECK;
