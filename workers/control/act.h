/* The commands that write. First the audit record, then the control record, each acknowledged; so
 * what was done is known, and an act that failed half-way shows as one that was tried. */
#pragma once

#include "tool.h"

/* kill, limit set, shed */
bool act_rule(const struct tool *t, struct err *e) MUST_CHECK;
/* revoke, limit clear */
bool act_revoke(const struct tool *t, struct err *e) MUST_CHECK;
