/* A rollup's row as a payload (row.h): of one series what its record says of it
 * (schemas/rollup.avsc), or a late amount.
 *
 *   flags u8 | revision varint, of an amend | samples varint | last_ms zigzag, of a row |
 *   the kind's columns: doubles, or packed histograms | late */
#pragma once

#include "base/buf.h"
#include "batch/rollup.h"

enum {
    ROLLUP_ENDED = 1,
    ROLLUP_IS_AMEND = 2,
    ROLLUP_HAS_LATE = 4,
    ROLLUP_HAS_LAST = 8, /* histograms */
    ROLLUP_FLAGS = 15
};

/* Of each series in the shape's order: payloads one behind the other, and where each begins, and
 * the end (uint32_t each). ERR_BAD_INPUT: other columns than the shape has; ERR_RETRY: no memory.
 * scratch is reset. */
bool rollup_rows_pack(const struct rollup *r, const struct shape *s, struct arena *scratch,
                      struct buf *out, struct buf *places, struct err *e) MUST_CHECK;
/* The same of late amounts. */
bool rollup_amends_pack(const struct rollup_amend_columns *c, const struct shape *s,
                        int64_t revision, struct arena *scratch, struct buf *out,
                        struct buf *places, struct err *e) MUST_CHECK;
