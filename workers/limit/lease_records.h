/* The records that leases are made of (schemas/limit_lease.avsc, limit_grants.avsc,
 * limit_tick.avsc): the truth in sluice.limit, copies in sluice.leases. */
#pragma once

#include "scope.h"
#include "stage/record.h"

/* What the allocator last said of a budget: the demand exceeds it; the demand fits, but not with
 * everybody's headroom; there is headroom for all. */
enum room { ROOM_SHORT, ROOM_TIGHT, ROOM_AMPLE, N_ROOMS };

struct lease_record {
    struct scope scope;
    int32_t partition;
    int64_t granted;
    int64_t returned;
    int64_t use;
    int64_t demand; /* use, and what was lately refused */
    int64_t need;   /* the lease that the holder would have */
};

struct grants_record {
    struct scope scope;
    int64_t number;
    int64_t value;
    int64_t base; /* SCOPE_TENANT: where its metrics' counters start; SCOPE_RATE: fair share */
    enum room room;
    bool is_over; /* more is leased than there is: nothing new is let in until that is given back */
    uint32_t n;
    const int64_t *granted;
};

enum { MAX_LEASE_PARTITIONS = 4096 };

/* A transaction's outputs for them. */
struct lease_outputs {
    int state;
    int leases;
    struct buf *scratch;
    struct outbox *out;
};

/* Both topics. */
bool lease_record_put(const struct lease_outputs *o, const struct lease_record *r,
                      struct err *e) MUST_CHECK;
bool grants_record_put(const struct lease_outputs *o, const struct grants_record *r,
                       struct err *e) MUST_CHECK;
bool tick_record_put(const struct lease_outputs *o, int64_t now_ms, struct err *e) MUST_CHECK;

enum lease_record_kind { RECORD_NOT_OURS, RECORD_LEASE, RECORD_GRANTS, RECORD_TICK };

/* By the head alone. */
enum lease_record_kind lease_record_kind(struct slice value);
/* Slices borrow from value. ERR_BAD_INPUT: damaged. */
bool lease_record_read(struct slice value, struct lease_record *out, struct err *e) MUST_CHECK;
/* granted is the caller's array of MAX_LEASE_PARTITIONS. */
bool grants_record_read(struct slice value, int64_t granted[MAX_LEASE_PARTITIONS],
                        struct grants_record *out, struct err *e) MUST_CHECK;
