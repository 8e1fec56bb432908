/* The limiter's state in Kafka (schemas/limit_source.avsc, limit_partition.avsc): records of the
 * compacted topic sluice.limit, written in the transaction that admits. */
#pragma once

#include "holding.h"
#include "stage/record.h"

/* What has changed since the last call, as records for `output`, partition h->number. */
bool state_put(struct holding *h, int output, struct outbox *out, struct err *e) MUST_CHECK;
/* One record read back, in any order. ERR_FATAL: a record that is not ours: state must not be
 * guessed at. */
bool state_take(struct holding *h, struct tenants *tenants, const struct record *r,
                struct err *e) MUST_CHECK;
