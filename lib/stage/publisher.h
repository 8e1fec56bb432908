/* Records to one topic, each acknowledged on its own: for who answers somebody outside when the
 * brokers have what he brought. Idempotent, acks=all, no transaction.
 *
 *   publisher_put ──► queue (bounded) ──► brokers ──► published(token), on the publisher's own thread
 *
 * A record that no broker took within timeout_ms has failed; it may be there even so. */
#pragma once

#include "stage/kafka_client.h"
#include "stage/record.h"

struct publisher;

enum { PUBLISH_MAX_HEADERS = 4 };

struct publisher_options {
    const struct kafka_settings *kafka;
    const char *topic;
    int64_t timeout_ms;
    int64_t queue_bytes; /* of records that wait; one more is refused */
    /* failed NULL: all in-sync replicas have it. ERR_BAD_INPUT: the brokers will never take this
     * record; ERR_RETRY: it may be there or not. */
    void (*published)(void *token, const struct err *failed);
};

struct publication {
    int32_t partition;
    uint32_t n_headers;
    struct record_header headers[PUBLISH_MAX_HEADERS]; /* names end in NUL */
    struct slice value;
    void *token;
};

/* Waits for the brokers, with a bound. ERR_RETRY: they are away; ERR_CONFIG: no such topic. */
bool publisher_open(const struct publisher_options *o, struct publisher **out, struct err *e) MUST_CHECK;
/* Whatever is still waiting fails first: each token comes back. */
void publisher_close(struct publisher *p);
uint32_t publisher_n_partitions(const struct publisher *p);
/* Copies the record. From any thread. False: published is not called for it. ERR_RETRY: too many
 * wait; ERR_BAD_INPUT: larger than a record may be; ERR_FATAL: see publisher_ok. */
bool publisher_put(struct publisher *p, const struct publication *r, struct err *e) MUST_CHECK;
/* False when the producer can't go on (its sequence numbers are in doubt): the process has to end. */
bool publisher_ok(struct publisher *p, struct err *e) MUST_CHECK;
