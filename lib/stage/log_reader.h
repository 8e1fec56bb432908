/* Reads stretches of one topic, for the operators' tools: an assignment of its own, no group is
 * joined and nothing is ever committed. Every call that asks the brokers waits with a bound, and
 * says so when they are away (ERR_RETRY).
 *
 *   open ──► topic ──► bounds, at_time, committed ──► from ──► next … next ──► from … */
#pragma once

#include "base/buf.h"
#include "stage/kafka_client.h"
#include "stage/record.h"

struct log_reader;

/* Asks for the cluster's id. settings.group is the one whose commits `committed` tells. */
bool log_reader_open(const struct kafka_settings *settings, struct log_reader **out,
                     struct err *e) MUST_CHECK;
void log_reader_close(struct log_reader *r); /* NULL is fine */
const char *log_reader_cluster(const struct log_reader *r);

/* Which topic is read from now on. ERR_CONFIG: there is none of that name. */
bool log_reader_topic(struct log_reader *r, const char *topic, struct err *e) MUST_CHECK;
uint32_t log_reader_n_partitions(const struct log_reader *r);
const uint8_t *log_reader_topic_id(const struct log_reader *r); /* 16 bytes */

/* The first offset that retention has left, and the end of what is committed. */
bool log_reader_bounds(struct log_reader *r, int32_t partition, int64_t *first, int64_t *end,
                       struct err *e) MUST_CHECK;
/* The first offset with a timestamp of at least timestamp_ms; the end when there is none. */
bool log_reader_at_time(struct log_reader *r, int32_t partition, int64_t timestamp_ms,
                        int64_t *offset, struct err *e) MUST_CHECK;
/* What the group has committed: -1 = nothing. Its metadata are appended to text; may be NULL. */
bool log_reader_committed(struct log_reader *r, int32_t partition, int64_t *offset,
                          struct buf *metadata, struct err *e) MUST_CHECK;

/* Whoever wants to see how far it is: called with each record that is handed out. */
typedef void (*log_reader_fn)(void *ctx, const struct record *r, int64_t to);
void log_reader_watch(struct log_reader *r, log_reader_fn each, void *ctx);

/* Where the next record comes from. */
bool log_reader_from(struct log_reader *r, int32_t partition, int64_t offset,
                     struct err *e) MUST_CHECK;
/* The next record below `to`; *any false: all of them have been handed out. The record is borrowed
 * until the next call. */
bool log_reader_next(struct log_reader *r, int64_t to, struct record *out, bool *any,
                     struct err *e) MUST_CHECK;
