/* The highest origin that was seen from each ingest partition. What lies at or below it has been
 * processed: an earlier stage was reset and reads its input again. What was redriven counts with its
 * place in limit's own input: there limit itself was reset. */
#pragma once

#include "base/table.h"
#include "batch/batch.h"

struct high {
    struct origin origin; /* topic: owned */
};

struct highs {
    struct table table;
};

void highs_init(struct highs *h);
void highs_fini(struct highs *h);
/* Is the origin at or below what was seen? */
bool highs_seen(struct highs *h, const struct origin *o);
/* The origin was processed. False: out of memory. */
bool highs_raise(struct highs *h, const struct origin *o) MUST_CHECK;
