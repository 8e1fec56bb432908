/* The gateway as a whole: opens what it needs, serves until it is told to stop, and meanwhile keeps
 * the files, the operators' rules and the deadlines. */
#pragma once

#include "run/config.h"
#include "run/metrics.h"

/* Checks of more than one key. */
bool gateway_check(const struct config *c, struct err *e);
/* Returns the exit code. */
int gateway_run(const struct config *config, struct metrics *metrics);
