/* A batch without some of its series: for who lets only a part of it go on. */
#pragma once

#include "batch/batch.h"

/* How a series stands in the batch's columns, and whether it stays there. */
struct batch_column {
    uint8_t kind; /* enum series_kind */
    bool is_kept;
    uint16_t n_bounds;
};

/* Appends the encoded batch. columns: one for each of the n series of b's shape, in its order;
 * shape: the encoded shape of those that are kept, of which there is one at least. What it takes
 * of scratch is the caller's to reset. ERR_BAD_INPUT: b's columns are not the shape's. */
bool batch_keep(const struct batch *b, const struct batch_column *columns, uint32_t n,
                struct slice shape, struct arena *scratch, struct buf *out,
                struct err *e) MUST_CHECK;
