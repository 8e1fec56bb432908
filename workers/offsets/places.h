/* Where partitions of any topics begin and end, and when their records were appended. */
#pragma once

#include "base/err.h"

#include <librdkafka/rdkafka.h>

enum place_kind { PLACE_LOW, PLACE_STABLE, PLACE_HIGH };

/* Sets the list's offsets: the log's beginning, the last stable offset, or the end with what is in
 * open transactions. One call for all; -1 where it is not to be had: err says why. */
bool places_find(rd_kafka_t *rk, enum place_kind kind, rd_kafka_topic_partition_list_t *list,
                 struct err *e) MUST_CHECK;

/* Reads the first record from each offset on: times_ms gets its time, and offsets[i] its offset, or
 * -1 where there is none (up to what the reader may see). Waits no longer than timeout_ms: what did
 * not come by then is -2. */
enum { PLACE_NONE = -1, PLACE_NO_ANSWER = -2 };
bool places_read(rd_kafka_t *reader, const rd_kafka_topic_partition_list_t *list,
                 int64_t timeout_ms, int64_t *offsets, int64_t *times_ms, struct err *e) MUST_CHECK;
