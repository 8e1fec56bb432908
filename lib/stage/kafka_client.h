/* The librdkafka handles that a stage needs, configured one way: kafka.* properties from our
 * config, and on top what exactly-once rests on, which nobody may change. */
#pragma once

#include "run/config.h"

#include <librdkafka/rdkafka.h>

/* A reader reads by assignment and commits nothing. Uncommitted: it sees what is in open transactions, to tell since
 * when they are; no stage may. */
enum kafka_role {
    KAFKA_CONSUMER,
    KAFKA_TRANSACTIONAL_PRODUCER,
    KAFKA_PLAIN_PRODUCER,
    KAFKA_READER,
    KAFKA_READER_UNCOMMITTED
};

struct kafka_settings {
    const struct config *config;
    const char *group;
    const char *instance;
    int64_t session_timeout_ms;
    int64_t max_poll_interval_ms;
    int64_t transaction_timeout_ms;
    int64_t memory_limit_bytes;
    bool static_membership;
    /* KAFKA_PLAIN_PRODUCER: 0 = a record is sent until the brokers have it. */
    int64_t delivery_timeout_ms;
    int64_t queue_bytes; /* of records that wait; 0 = a part of memory_limit_bytes */
};

/* Told when a request timed out or a connection failed, as librdkafka's log has it: its error callback does not
 * tell of every one. Called on librdkafka's threads. */
struct kafka_watch {
    void (*trouble)(void *opaque);
};

/* Callbacks that the caller wants; any may be NULL. */
struct kafka_callbacks {
    void *opaque;
    void (*rebalance)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *);
    void (*error)(rd_kafka_t *, int code, const char *reason, void *);
    bool watched; /* opaque begins with a struct kafka_watch */
    void (*delivered)(rd_kafka_t *, const rd_kafka_message_t *, void *);
    void (*committed)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *);
};

/* The version is checked first: below 2.12.1 is ERR_CONFIG. */
bool kafka_open(enum kafka_role role, const struct kafka_settings *s, const struct kafka_callbacks *callbacks,
                rd_kafka_t **out, struct err *e) MUST_CHECK;

/* "sluice 0.1.0, librdkafka 2.15.1" for --version. */
const char *kafka_version_line(void);

/* Sets e from librdkafka's error and destroys it: fatal and fenced → ERR_FENCED or ERR_FATAL,
 * abortable → ERR_ABORT, retriable → ERR_RETRY, else ERR_FATAL. NULL: returns true. */
bool kafka_err_take(rd_kafka_error_t *error, const char *what, struct err *e);
