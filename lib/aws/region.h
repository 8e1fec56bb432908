/* Regions: what may stand in a host name, and how the hosts of a region end. */
#pragma once

#include "base/err.h"

enum { REGION_MAX_CHARS = 32 };

/* ERR_CONFIG unless it is 1 to 32 of a-z, 0-9 and "-": a region becomes part of a host's name. */
bool region_check(const char *region, struct err *e) MUST_CHECK;
/* "amazonaws.com"; in China "amazonaws.com.cn". */
const char *region_domain(const char *region);
