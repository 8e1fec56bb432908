/* What the cluster has: a topic's partitions and id, a partition's end. Each call asks the brokers
 * and waits, with a bound. rk is any handle, producer or consumer. */
#pragma once

#include "base/err.h"

#include <librdkafka/rdkafka.h>

enum { TOPIC_ID_CHARS = 22 };

/* A topic's id as Kafka's tools show it: base64 for URLs, without padding. */
void topic_id_text(const uint8_t id[16], char out[TOPIC_ID_CHARS + 1]);

/* Partition count and id of a topic; ERR_CONFIG names a topic that does not exist, ERR_RETRY: no
 * answer. */
bool topic_describe(rd_kafka_t *rk, const char *topic, uint32_t *n_partitions, uint8_t id[16],
                    struct err *e) MUST_CHECK;
/* The same, tried for a while: a topic that was made a moment ago is not known to every broker yet.
 */
bool topic_describe_patiently(rd_kafka_t *rk, const char *topic, uint32_t *n_partitions,
                              struct err *e) MUST_CHECK;
/* The end of a partition, transactions that are still open included: reading only to the last
 * stable offset would miss rows that are committed a moment later (KAFKA-10167). */
bool topic_end_uncommitted(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t *end,
                           struct err *e) MUST_CHECK;
