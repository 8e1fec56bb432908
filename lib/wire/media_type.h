/* A Content-Type (RFC 9110, 8.3.1): type/subtype; name=value; name="value". */
#pragma once

#include "base/slice.h"

/* Is it this type, whatever its parameters? Case does not count. */
bool media_type_is(struct slice header, const char *type);
/* The value of a parameter, without its quotes; empty when there is none. */
struct slice media_type_parameter(struct slice header, const char *name);
