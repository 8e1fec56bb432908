/* kill --dry-run: what the rule would have hit in the last minute or so of the limiter's input. */
#pragma once

#include "tool.h"

bool dry_run(const struct tool *t, struct err *e) MUST_CHECK;
