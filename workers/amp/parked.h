/* Points of series that the store refused for its series limit: they wait, in order, while the
 * known series flow on; later points of the same series queue up behind them. */
#pragma once

#include "base/table.h"
#include "work.h"

struct parked_point {
    struct piece piece;
    bool maybe_there;
};

struct parked {
    struct parked_point *points; /* owned */
    size_t n;
    size_t cap;
    size_t n_bytes;      /* of the scrapes that have points here */
    int64_t oldest_ms;   /* none waits longer than since then; INT64_MAX: none waits */
    struct table series; /* those that have points here */
};

/* What becomes of a point that has waited long enough. */
typedef bool (*parked_end_fn)(void *ctx, const struct parked_point *point, struct err *e);

void parked_init(struct parked *p);
void parked_fini(struct parked *p);
/* False: out of memory. */
bool parked_put(struct parked *p, struct piece piece, int64_t now_ms, bool maybe_there);
static inline bool parked_has(struct parked *p, struct hash128 series)
{
    return p->n > 0 && table_find(&p->series, series) != NULL;
}
/* All points of the first n_series series leave, as a work; NULL: out of memory, or empty. */
struct work *parked_take(struct parked *p, size_t n_series);
/* Those that wait since that time or before leave, in order. False: end has failed. */
bool parked_expire(struct parked *p, int64_t before_ms, parked_end_fn end, void *ctx,
                   struct err *e) MUST_CHECK;
