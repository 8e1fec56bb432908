/* Label values as nobody can read them: who has the key can tell whether two are the same. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { MASK_BYTES = 16 };

/* HMAC-SHA256 of the value, cut to MASK_BYTES; false without a key. */
bool mask_value(struct slice key, struct slice value, uint8_t out[MASK_BYTES]);
