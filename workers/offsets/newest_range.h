/* The newest range of objects that each partition of a topic has, and whether it is whole. */
#pragma once

#include "scan.h"
#include "store.h"

#include "ledger/intent.h"

struct newest_range {
    bool is_there;
    bool is_bad;     /* its metadata do not tell: why */
    int64_t first;
    int64_t last;
    int64_t n_there; /* objects */
    int64_t n_said;
    struct intent intent;
    char why[160];
};

/* Of the scan's topic; out has one for each partition of it. only: a range that begins there, by partition (-1 = the
 * newest). */
bool newest_ranges(struct store *s, const struct scan *scan, const int64_t *only, struct newest_range *out,
                   struct err *e) MUST_CHECK;
static inline bool range_is_whole(const struct newest_range *r)
{
    return r->is_there && !r->is_bad && r->n_there == r->n_said;
}
