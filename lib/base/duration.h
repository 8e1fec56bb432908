/* Stretches of time as people write them. */
#pragma once

#include "base/err.h"

#include <stdint.h>

/* "90s", "15m", "2h", "7d": a whole number below 100,000,000 and its unit. False: it is none. */
bool duration_read(const char *text, int64_t *out_ms) MUST_CHECK;
