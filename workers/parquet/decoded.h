/* What a record has of rows, decoded: a batch's or a rollup's. */
#pragma once

#include "base/arena.h"
#include "range.h"

/* One of the two, or none: heartbeats have none, and amend records without amends. */
struct record_rows {
    const struct batch *batch;
    const struct rollup *rollup;
};

struct decoded {
    struct batch batch;
    struct rollup rollup;
};

/* Borrows from bytes, d and a. ERR_BAD_INPUT: it can't be read. */
bool decoded_rows(struct slice bytes, struct arena *a, struct decoded *d, struct record_rows *rows,
                  struct err *e) MUST_CHECK;
/* Into the range; one of the two is there. Errors as of range_add. */
bool decoded_add(struct range *r, const struct record_rows *rows, int64_t offset,
                 struct err *e) MUST_CHECK;
