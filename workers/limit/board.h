/* What this process has read of sluice.leases, for all partitions and budgets: what the allocator
 * granted, what the holders report, and the time. Copies, however old: an old `granted` understates
 * a lease, an old `returned` overstates what is out, so nobody has to read to the end
 * (limit_model.py). Counters only grow, so order and repetition don't matter. */
#pragma once

#include "base/table.h"
#include "lease_records.h"

struct reported {
    int64_t returned;
    int64_t use;
    int64_t demand;
    int64_t need;
};

struct posted {
    struct scope scope; /* owned */
    int64_t number;     /* of the budget in force; 0 = no word from the allocator yet */
    int64_t value;
    int64_t base; /* as in grants_record */
    enum room room;
    bool is_over;
    uint32_t n;               /* partitions heard of */
    int64_t *granted;         /* owned, one per partition */
    struct reported *reports; /* owned, one per partition */
    uint64_t version;         /* the board's when the allocator spoke last */
    int64_t use_before;       /* growth: all partitions' use a minute ago, and now */
    int64_t use_now;
};

struct board {
    struct table posts; /* posted, by scope; never removed, so pointers stay */
    uint64_t version;   /* moves with every record */
    int64_t tick_ms;    /* append time of the newest tick */
    int64_t scratch[MAX_LEASE_PARTITIONS];
};

void board_init(struct board *b);
void board_fini(struct board *b);
/* One record of sluice.leases. Records of other kinds are passed over. ERR_BAD_INPUT: damaged. */
bool board_take(struct board *b, const struct record *r, struct err *e) MUST_CHECK;
/* NULL: nothing is known of it. */
const struct posted *board_find(struct board *b, const struct scope *s);
/* Over all partitions. */
int64_t posted_use(const struct posted *p);
int64_t posted_leased(const struct posted *p);

static inline int64_t posted_granted(const struct posted *p, uint32_t partition)
{
    return p != NULL && partition < p->n ? p->granted[partition] : 0;
}

static inline int64_t posted_returned(const struct posted *p, uint32_t partition)
{
    return p != NULL && partition < p->n ? p->reports[partition].returned : 0;
}
