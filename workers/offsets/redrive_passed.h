/* What of an ingest record went on at once, when validate first read it: a letter without ids
 * can't be told from it otherwise. Read off the valid topic, behind the record's time, up to the
 * first batch of a later record of that ingest partition. */
#pragma once

#include "redrive_again.h"

#include "base/table.h"

/* Points by series and time. */
struct hash128 passed_key(struct hash128 series, int64_t time_ms);
bool passed_add(struct table *passed, struct hash128 series, int64_t time_ms,
                struct err *e) MUST_CHECK;

/* Adds them, of the partitions that the batches of `again` go to. *is_known false: retention may
 * have taken some of them. */
bool passed_read(const struct tool *t, rd_kafka_t *rk, const struct redrive_letter *l,
                 const struct again *again, struct table *passed, bool *is_known,
                 struct err *e) MUST_CHECK;
