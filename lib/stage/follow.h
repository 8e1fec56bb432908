/* Follows partition 0 of topics from their beginning: the compacted ones that every worker reads
 * whole (sluice.control, sluice.leases). No thread of its own: whoever polls it reads it.
 *
 *   open ──► poll … poll (caught_up: all that was there at open has been handed on) … poll ──►
 * close
 *
 * A record may come twice (a topic's beginning moves under a slow reader, and it starts over); it
 * never comes out of order. */
#pragma once

#include "stage/kafka_client.h"
#include "stage/record.h"

struct follower;

/* topic: index into the topics that were opened. r (also its key and value) is borrowed for the
 * call; value.ptr NULL is a tombstone. */
typedef bool (*follow_fn)(void *ctx, size_t topic, const struct record *r, struct err *e);

/* Waits for the brokers, with a bound: ERR_RETRY when they are away. ERR_CONFIG: a topic does not
 * exist, or has more than one partition. The topics' names are copied. */
bool follower_open(const struct kafka_settings *settings, const char *const *topics, size_t n,
                   struct follower **out, struct err *e) MUST_CHECK;
void follower_close(struct follower *f);

/* Hands on what came, at most FOLLOW_MAX_RECORDS; waits at most timeout_ms for the first one (0:
 * not at all). Brokers that are away are no error: it goes on when they are back. False: each gave
 * false, for a record that will not come again. */
enum { FOLLOW_MAX_RECORDS = 1000 };
bool follower_poll(struct follower *f, int timeout_ms, follow_fn each, void *ctx,
                   struct err *e) MUST_CHECK;

/* Has each topic been read to the end as it was at the open, transactions that were open then
 * included? */
bool follower_caught_up(const struct follower *f);
