/* One partition's leases on the budgets that span partitions. A lease is granted − returned: two
 * counters that only grow, each with one writer: the allocator, and the owner of this partition.
 * What is used never exceeds it, so that the sum over all partitions never exceeds the budget
 * (limit_model.py). */
#pragma once

#include "board.h"
#include "rate.h"
#include "series_set.h"

/* Series lately refused, all leases of a partition together, and those of one tenant: beyond it a
 * need is understated, which only makes a lease grow in more than one go. Were it one bound for
 * all, who has ever more refused would keep others' leases from growing at all. */
enum { MAX_WANTED = 32768, MAX_TENANT_WANTED = MAX_WANTED / 4 };
/* A partition's leases on metrics. Counters are for ever, and names are the tenants': beyond it a
 * metric has what its counters start with. */
enum { MAX_METRIC_LEASES = 8192 };
/* So many of them are one tenant's, whose names without end leave room to others. */
enum { MAX_TENANT_METRIC_LEASES = MAX_METRIC_LEASES / 4 };

/* What of the leases' bounds a tenant has. */
struct lease_share {
    uint32_t n_metrics;
    uint32_t n_wants;
};

struct lease {
    struct scope scope;          /* owned */
    struct lease_share *share;   /* its tenant's; borrowed */
    const struct posted *posted; /* the board's; NULL = nothing is known yet */
    int64_t granted;
    int64_t returned;
    int64_t base; /* of a tenant's metrics, as far as it was read */
    int64_t use; /* active series, or samples per second offered */
    bool was_over; /* by the last word read */
    bool had_word; /* when it was last looked */
    uint64_t waited_version; /* posted's when waiting for more was in vain */
    struct series_set wants; /* lately refused; not in the state */
    int64_t n_wanted;        /* by weight */
    struct rate rate;        /* SCOPE_RATE */
    /* What the last record of it said. */
    bool is_told;
    struct lease_record told;
    struct lease *next;
};

struct leases {
    struct table by_scope;
    struct lease *first;
    struct board *board;
    uint32_t partition;
    uint32_t n_partitions;
    uint64_t board_version; /* as of the last leases_learn */
    uint32_t n_wants;       /* slots, over all leases */
    uint16_t forgot_minute; /* of the last leases_forget */
    uint32_t n_metrics;
    struct table shares;    /* struct lease_share, by tenant */
    bool has_joined;        /* leases were added that the usage does not know yet */
    bool has_new_base;      /* it was read where a tenant's metrics start */
};

void leases_init(struct leases *ls, struct board *board, uint32_t partition, uint32_t n_partitions);
void leases_fini(struct leases *ls);
struct lease *leases_find(struct leases *ls, const struct scope *s);
/* Finds or creates; NULL: out of memory, or there are too many metrics, or the tenant has. */
struct lease *leases_add(struct leases *ls, const struct scope *s);
/* One read back from the state. */
bool leases_restore(struct leases *ls, const struct lease_record *r, struct err *e) MUST_CHECK;

/* Takes from the board what is new. A metric that is short elsewhere gets a lease here, so that what
 * its counters started with is given back, and so does what was granted to a partition whose state
 * was lost since. True: a lease has grown, or a budget is no longer over:
 * what was refused may now pass. Called by usage_learn, which tells the new leases what they are
 * used for. */
bool leases_learn(struct leases *ls);

/* How much more may be used; policy_value: the budget as this process sees it. 0 while it is over;
 * NO_BOUND while the allocator says that there is no budget, though this process has read of one. */
#define NO_BOUND (INT64_MAX / 4)
int64_t lease_room(const struct leases *ls, const struct lease *l, int64_t policy_value);
/* The same of a metric without a lease: it may use what its counters start with. */
int64_t leases_start_room(const struct leases *ls, struct slice tenant, int64_t n_active, int64_t policy_value);
/* Of a rate: what may pass per second. Half of it is spread evenly, the other half leased. NO_BOUND
 * as above. */
int64_t lease_per_second(const struct leases *ls, const struct lease *l, int64_t policy_value);
/* Has the allocator said anything of it yet? */
bool lease_has_word(const struct lease *l);
/* Does the allocator's last word, or none, leave hope for more? */
bool lease_may_grow(const struct lease *l);
/* Waiting for more was in vain: no more of it until the allocator says something new. */
void lease_despair(struct lease *l);

/* A series was refused for this lease, at this minute; and it was let in after all. */
void lease_want(struct leases *ls, struct lease *l, struct hash128 id, uint32_t weight,
                uint16_t minute);
void lease_unwant(struct leases *ls, struct lease *l, struct hash128 id);
/* What was refused before the last two minutes is forgotten. */
void leases_forget(struct leases *ls, uint16_t minute);
/* Nobody is there who wants anything. */
void leases_forget_all(struct leases *ls);

/* What a scope's budget is by policy and control; 0 = none. A metric without a name: any of them. */
struct budget_source {
    int64_t (*of)(void *ctx, const struct scope *s);
    void *ctx;
};
/* Log time goes on for the rates. */
void leases_advance(struct leases *ls, int64_t now_ms);
/* Gives back what exceeds the need, and puts out what has changed. */
bool leases_put(struct leases *ls, const struct budget_source *budgets, const struct lease_outputs *o,
                struct err *e) MUST_CHECK;
/* What was put lately is taken back: all is to be put again. */
void leases_retell(struct leases *ls);

/* What a holder keeps beyond its use while room is ample (a quarter of the budget or more): so much
 * can come new in one round trip with the allocator, and nobody waits. */
static inline int64_t headroom_of(int64_t value, uint32_t n_partitions)
{
    int64_t n = value / (8 * (int64_t)(n_partitions == 0 ? 1 : n_partitions));
    return n < 1 ? 1 : n;
}
