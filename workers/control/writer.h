/* Writes to the control and audit topics: acks=all, idempotent, never transactional (an open
 * transaction would hide a kill switch from its readers). */
#pragma once

#include "tool.h"

struct writer {
    rd_kafka_t *producer;
    int64_t timeout_ms;
    int64_t
        broker_ms; /* the audit topic's append time of what was last acknowledged; 0 = not known */
    size_t n_waiting;
    struct err failed; /* the first delivery that failed since the last wait */
};

/* ERR_CONFIG: a topic does not exist or has more than one partition. ERR_RETRY: the brokers are
 * away. */
bool writer_open(const struct tool *t, struct writer *out, struct err *e) MUST_CHECK;
void writer_close(struct writer *w);
/* Queues a record (copied) for partition 0; value.ptr NULL: a tombstone. */
bool writer_put(struct writer *w, const char *topic, struct slice key, struct slice value,
                struct err *e) MUST_CHECK;
/* Waits until the brokers have all that was put. */
bool writer_wait(struct writer *w, struct err *e) MUST_CHECK;
