/* How complete the newest window is that all must have closed by now: by tenant, how many sources
 * had rows just before it, and how many of them have one of it. */
#pragma once

#include "base/table.h"
#include "history.h"
#include "run/metrics.h"

struct completeness {
    struct metrics *metrics; /* borrowed */
    struct table tenants;
};

void completeness_init(struct completeness *c, struct metrics *m);
void completeness_fini(struct completeness *c);
/* Counts begin anew, for tenants that were seen before as well. */
void completeness_begin(struct completeness *c);
/* settled_ms: log time up to which windows must have closed. */
void completeness_count(struct completeness *c, struct slice tenant, const struct history *h,
                        int64_t settled_ms, int64_t window_ms);
/* What was counted is exported. */
void completeness_end(struct completeness *c);
