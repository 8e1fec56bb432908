/* Runs of varints, as protobuf packs them. */
#pragma once

#include "base/cursor.h"

/* All varints up to c's end into out, which has room for as many as there are bytes; how many there were. Check cursor_ok. */
size_t varints_unpack(struct cursor *c, uint64_t *out);
