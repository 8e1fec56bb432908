/* Where messages go to: Kafka (producer.h) or a gateway (door.h). Both have bounded queues, wait
 * when these are full, and tell of each message what became of it. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

enum outcome {
    OUTCOME_ACKED,
    OUTCOME_REFUSED,  /* what is wrong with it was said; parts of it may be there */
    OUTCOME_UNACKED,  /* it may be there or not */
    OUTCOME_REPEATED, /* it may be there, and goes again: another outcome follows */
};

/* Called out of send, poll and close. */
typedef void (*outlet_result)(void *ctx, uint64_t tag, enum outcome outcome);

/* Borrowed for the call. */
struct parcel {
    uint32_t server;  /* messages of one stay in order */
    struct slice key; /* NULL-slice = none */
    struct slice bytes;
    uint64_t tag;
};

struct outlet {
    void *self;
    /* Copies it; waits while the queue is full. False: not queued, because a stop was requested
     * (ERR_ABORT) or nothing can be sent any more (ERR_FATAL). */
    bool (*send)(void *self, const struct parcel *p, struct err *e);
    /* Serves results for up to this long. */
    void (*poll)(void *self, int timeout_ms);
    /* Messages without a result. */
    int (*queued)(const void *self);
    /* The newest trouble, "" when none: for people who wait. */
    const char *(*trouble)(const void *self);
    /* What is still in the queue is told as not acknowledged. */
    void (*close)(void *self);
};
