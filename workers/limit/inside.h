/* The inside of the limiter; private to its own files:
 *
 *   limit.c    set-up, rules, partitions, leases     intake.c   a batch through the budgets
 *   exports.c  what operators see */
#pragma once

#include "board.h"
#include "limit.h"
#include "offenders.h"
#include "pages.h"
#include "rulebook.h"
#include "stage/dlq_caps.h"
#include "verdict.h"

struct limit {
    struct limit_options options;
    struct metrics *metrics;
    struct rulebook rules;
    uint64_t applied_rules; /* the rulebook's version that the holdings know */
    struct board board;
    struct judge judge;
    struct holding *holdings; /* of the partitions assigned */
    uint64_t draw;
    struct arena arena;   /* the batch at hand */
    struct arena scratch; /* the filter's */
    struct buf encoded;
    struct buf keys; /* lease records being made */
    struct offenders offenders;
    int64_t shed_ms[N_CLASSES]; /* when a batch was last shed for its age */
    int64_t reloaded_ms;
    int64_t pages_at_ms;
    int64_t growth_at_ms;
    struct pages pages;
    struct cell *heartbeats;
    struct cell *restored;
};

/* What a partition's state is. */
struct owned_state {
    struct holding *holding;
    struct caps caps;
    bool is_shedding[N_CLASSES]; /* by age: another partition may be less far behind */
    int64_t waiting_offset; /* of the record that waits for a lease; -1 = none does */
    int64_t waiting_since_ms;
};

/* The holdings learn of new rules: what was refused may pass now. */
void limit_spread_rules(struct limit *l);

/* A count that moves when the transaction has committed. */
static inline bool limit_tell(struct outbox *out, struct cell *cell, uint64_t n, struct err *e)
{
    return n == 0 || tally_add(&out->tally, cell, (double)n) ||
           err_set(e, ERR_RETRY, "no memory for a count");
}
