/* The allocator: the owner of partition 0 shares out the budgets that span partitions. What it has
 * granted is in partition 0's state; copies go to sluice.leases. */
#pragma once

#include "lease.h"

struct allocation {
    struct scope scope; /* owned */
    int64_t number;     /* of the budget in force */
    int64_t value;
    int64_t base; /* of the tenant's metrics */
    enum room room;
    bool is_over;
    int64_t *granted; /* owned, per partition; only grows */
    bool is_dirty;    /* to be put out */
};

struct allocator {
    struct table by_scope;
    uint32_t n_partitions;
    uint64_t board_version; /* as of the last run */
    uint64_t rules_version;
    bool is_leasing; /* something is out: time has to go on for those who hold it */
    int64_t ticked_ms;
};

void allocator_init(struct allocator *a, uint32_t n_partitions);
void allocator_fini(struct allocator *a);
/* One read back from the state. */
bool allocator_restore(struct allocator *a, const struct grants_record *r,
                       struct err *e) MUST_CHECK;
/* Answers what the board tells, when it or the rules have changed. */
bool allocator_run(struct allocator *a, struct board *board,
                   const struct budget_source *budgets, uint64_t rules_version, const struct lease_outputs *o, struct err *e) MUST_CHECK;
/* What was put lately is taken back: all is to be put again. */
void allocator_retell(struct allocator *a);
/* A tick, when the last one is every_ms old and somebody holds a lease. */
bool allocator_tick(struct allocator *a, int64_t now_ms, int64_t every_ms,
                    const struct lease_outputs *o, struct err *e) MUST_CHECK;
