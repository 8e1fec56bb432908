/* The newest sample of each series that the store has taken from us, in bounded memory: what is not
 * known any more is not judged. The usual scrape costs one look-up: of a source the newest time of
 * all, and of its last shapes the time of each. Only when a scrape is not newer than its source
 * (parts of a scrape, late ones) the times go to the single series. */
#pragma once

#include "base/table.h"
#include "scrape.h"

struct newest {
    struct table sources;       /* struct newest_source, owned */
    struct table series;        /* by id: the time and whether it is exact, as a pointer */
    const struct table *shapes; /* struct wire_shape by key: the cache's; it may evict */
};

void newest_init(struct newest *n, const struct table *shapes, size_t max_bytes);
void newest_fini(struct newest *n);
/* The store has taken these points. */
void newest_taken(struct newest *n, const struct scrape *s, uint32_t from, uint32_t to);
/* Has the scrape a time that its source had already, or an older one? If so, newest_of answers for
 * its series until the next newest_taken. */
bool newest_is_behind(struct newest *n, const struct scrape *s);
/* At least so new; INT64_MIN: not known. */
int64_t newest_of(struct newest *n, struct hash128 series);
/* Is the newest known to be of just that time? */
bool newest_has(struct newest *n, struct hash128 series, int64_t ms);
