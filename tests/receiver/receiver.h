/* The whole double: what it knows and one lock around it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "plan.h"
#include "rules.h"
#include "store.h"
#include "tally.h"

struct receiver {
    pthread_mutex_t lock; /* around all but the atomics */
    struct rules rules;
    struct plan plan;
    struct store store;
    struct tally tally;
    double rate_tokens; /* of samples_per_s */
    int64_t rate_ns;    /* when they were counted; 0 = full */
    bool count_only;
    atomic_bool stopping; /* ends delays */
    /* Count mode, in which nothing else is touched. */
    atomic_uint_fast64_t n_requests;
    atomic_uint_fast64_t n_bad;
    atomic_uint_fast64_t n_bytes;
    atomic_uint_fast64_t n_decoded_bytes;
    atomic_uint_fast64_t n_series;
    atomic_uint_fast64_t n_samples;
    atomic_uint_fast64_t n_histograms;
};

/* A write request that has come in whole. */
struct incoming {
    int fd;           /* of its connection, to see whether the sender is gone */
    int64_t start_ns; /* when its headers were there */
    bool too_large;   /* body beyond max_body_bytes, and not kept */
    struct slice body;
    const char *encoding; /* headers; NULL = absent */
    const char *type;
    const char *version;
    const char *agent;
};

struct answer {
    int status;
    bool closed;          /* no answer: reset the connection */
    bool truncated;       /* the connection closes before the body's end */
    char retry_after[64]; /* "" = none */
    struct buf body;
};

/* Judges, stores, misbehaves as planned, waits; then out holds what to answer. */
void write_record(struct receiver *rx, const struct incoming *in, struct answer *out);
/* Decompresses and counts. */
void write_count(struct receiver *rx, const struct incoming *in, struct answer *out);
/* The statistics of either mode; a new reference. Takes the lock. */
json_t *receiver_stats(struct receiver *rx);
