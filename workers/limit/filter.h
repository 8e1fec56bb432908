/* A batch without the series that a verdict refuses. */
#pragma once

#include "verdict.h"

/* Appends the encoded batch; b's shape is the one the verdict is on. scratch is reset. Only when
 * something is kept. ERR_BAD_INPUT: columns that are not the shape's. */
bool filter_batch(const struct batch *b, const struct verdict *v, struct arena *scratch,
                  struct buf *out, struct err *e) MUST_CHECK;
