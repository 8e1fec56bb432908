/* What had to be skipped, for the topic of gaps (schemas/gap.avsc). The skipped samples of a source
 * are gathered for some seconds into one record; until that is written, the first of their offsets
 * is held, so that no commit goes past what is not told yet. */
#pragma once

#include "base/table.h"
#include "scrape.h"

struct gap {
    struct partition *partition;
    struct slice tenant; /* lives in here */
    uint64_t source;
    const char *reason; /* static */
    int64_t from_ms;
    int64_t to_ms;
    int64_t n_samples;
    int64_t first_offset; /* held */
    int64_t last_offset;
};

struct gaps {
    struct table rows; /* struct gap by partition, source and reason */
    int64_t since_ms;  /* when the first was put in */
};

void gaps_init(struct gaps *g);
void gaps_fini(struct gaps *g);
/* Adds points of a scrape. *is_new: a row was begun, whose first_offset the caller holds. False:
 * out of memory. */
bool gaps_add(struct gaps *g, const struct scrape *s, uint32_t from, uint32_t to,
              const char *reason, int64_t now_ms, bool *is_new);
/* Is it time to write what is there? */
bool gaps_due(const struct gaps *g, int64_t now_ms, bool idle);
static inline bool gaps_any(const struct gaps *g)
{
    return g->rows.n > 0;
}
/* Appends one record's value; check buf_ok. */
void gap_encode(const struct gap *g, const char *sink, struct buf *out);
