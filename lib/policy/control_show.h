/* Rules as a person reads them. */
#pragma once

#include "policy/control.h"
#include "run/show.h"

/* "drops studio-a, metric debug_*, queue=ranked*" */
void control_show(struct buf *out, const struct control_rule *r);
