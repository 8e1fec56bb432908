/* How the points of a sequence of series become a batch: the shape's bytes, and for each place of
 * the shape which point goes there. Servers send the same series in the same order each time, so
 * plans are kept by the sequence. Bounded: emptied as a whole at the ceiling, between two messages.
 */
#pragma once

#include "edge/series_cache.h"

struct plan {
    bool is_clean; /* no series twice; otherwise it has nothing else */
    uint32_t n_scalars;
    uint32_t n_exp;
    uint32_t n_classic;
    struct slice shape;
    const uint32_t *order;   /* of n points: place in the shape → point */
    const uint32_t *columns; /* the same, by column: scalars, exponential, classic */
};

struct plan_cache {
    struct table by_sequence;
    struct arena arena;
    struct arena scratch;
    size_t max_bytes;
    uint64_t n_hits;
    uint64_t n_misses;
};

void plan_cache_init(struct plan_cache *c, size_t max_bytes);
void plan_cache_fini(struct plan_cache *c);
void plan_cache_clear(struct plan_cache *c);
size_t plan_cache_bytes(const struct plan_cache *c);

/* entries: the n points' series, in the points' order.
 * All are of one stream. *out lives until the cache is emptied. */
bool plan_for(struct plan_cache *c, const struct series_cache *series,
              const struct entry *const *entries, uint32_t n, const struct plan **out,
              struct err *e) MUST_CHECK;
