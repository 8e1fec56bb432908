/* A tool's notes on a compacted topic of one partition (sluice.replay): a value by key, each put in
 * a transaction, so that of two processes with one name only the later one can go on. */
#pragma once

#include "stage/kafka_client.h"
#include "stage/record.h"

struct journal;

typedef bool (*journal_fn)(void *ctx, const struct record *r, struct err *e);

/* Hands on all that is there by now, older values of a key before newer ones. */
bool journal_read(const struct kafka_settings *s, const char *topic, journal_fn each, void *ctx,
                  struct err *e) MUST_CHECK;

/* Whoever opens it fences those before, who get ERR_FENCED at their next put. The name is
 * settings' group and instance. */
bool journal_open(const struct kafka_settings *s, const char *topic, struct journal **out,
                  struct err *e) MUST_CHECK;
void journal_close(struct journal *j); /* NULL is fine */
/* Returns when the brokers have it for good. On a failure it may be there or not. */
bool journal_put(struct journal *j, struct slice key, struct slice value, struct err *e) MUST_CHECK;

/* A record of a transaction; topic NULL = the journal's own. */
struct journal_record {
    const char *topic;
    int32_t partition;
    struct slice key;
    struct slice value;
};
/* Several, in one transaction: the notes, and what they are about on other topics. */
bool journal_put_all(struct journal *j, const struct journal_record *records, size_t n,
                     struct err *e) MUST_CHECK;
