/* Status for people and for scripts. */
#pragma once

#include "status.h"

#include <jansson.h>

/* A new reference; NULL: out of memory. */
json_t *status_json(const struct status *s);
/* A line for each group and topic, and each partition that is not fine; all: each partition. Colours
 * on a terminal. False: out of memory, or stdout is gone. */
bool status_print(const struct status *s, bool all, bool colours, struct err *e) MUST_CHECK;
