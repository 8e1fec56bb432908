/* Kill switches at the door: points of series that a live rule of sluice.control matches are
 * refused, as limit would drop them (workers/limit/trial.h). Which rules match a series is kept as
 * long as the set of rules is the same. */
#pragma once

#include "edge/pass.h"
#include "policy/controls.h"

struct kill_mark;

struct kill_count {
    const struct control_rule *rule;
    uint64_t n_samples;
};

struct kills {
    const struct controls *controls; /* borrowed; NULL = none */
    uint64_t version;                /* of the rules that the marks are for */
    struct kill_mark *marks;         /* owned; by the entries' index */
    uint32_t n_marks;
    uint32_t n_counts; /* the message's, in its groups' arena */
    struct kill_count *counts;
};

void kills_init(struct kills *k);
void kills_fini(struct kills *k);
/* The entries are gone: the series cache was emptied. */
void kills_forget(struct kills *k);

/* Points in p's groups are taken out and added to its rejects. A sampling rule passes the batches that
 * it passes in limit: by the source and the time of the batch as it came, whatever else is refused. */
bool kills_apply(struct kills *k, struct pass *p, struct plan_cache *plans, int64_t now_ms,
                 struct err *e) MUST_CHECK;
