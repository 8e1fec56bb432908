/* Values that nobody is to read, but that whoever knows one can find again: HMAC-SHA256 (RFC 2104).
 */
#pragma once

#include "base/slice.h"

enum { MASK_BYTES = 16 };

/* Cut to MASK_BYTES; false without a key. */
bool mask_value(struct slice key, struct slice value, uint8_t out[MASK_BYTES]);
