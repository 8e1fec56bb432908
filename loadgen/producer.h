/* The idempotent producer (librdkafka): bounded queues, waits when they are full, and tells of
 * each message whether the brokers have it. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

/* Called from producer_send, _poll and _flush, once per message. */
typedef void (*producer_result)(void *ctx, uint64_t tag, bool acked);

struct producer;

struct producer_options {
    const char *brokers;
    const char *topic;
    const char *codec;
    const char *const *properties; /* "name=value", for librdkafka */
    size_t n_properties;
    int64_t linger_ms;
    int64_t max_queue_kbytes;
    producer_result result;
    void *ctx;
};

/* NULL: e is set (ERR_CONFIG: an option). */
struct producer *producer_open(const struct producer_options *options, struct err *e) MUST_CHECK;
/* What is still in the queue is purged and told as not acknowledged. */
void producer_close(struct producer *p);
/* Copies both; key NULL-slice = none. Waits while the queue is full. False: not queued, because
 * a stop was requested (ERR_ABORT) or the producer is broken (ERR_FATAL). */
bool producer_send(struct producer *p, struct slice key, struct slice payload, uint64_t tag,
                   struct err *e) MUST_CHECK;
/* Serves results for up to this long. */
void producer_poll(struct producer *p, int timeout_ms);
/* Messages without a result. */
int producer_queued(const struct producer *p);
/* The newest error that librdkafka told, "" when none: for people who wait. */
const char *producer_trouble(const struct producer *p);
