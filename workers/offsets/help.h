/* `help [TOPIC]`. */
#pragma once

#include "base/err.h"

extern const char usage[];
/* topic NULL: what there is. ERR_CONFIG: no such topic. */
bool help_print(const char *topic, struct err *e) MUST_CHECK;
