/* What the limiter refuses, as dead letters by reference: one for each run of series with the same
 * metric and reason, as far as the cap of a (tenant, reason) per minute allows. */
#pragma once

#include "stage/dlq_caps.h"
#include "stage/record.h"
#include "verdict.h"

struct letters {
    const struct tenants *tenants;
    struct caps *caps;
    int output;
    struct outbox *out;
    int64_t
        time_ms; /* of the caps: log time, since batches of several ingest partitions alternate */
    struct slice policy_version;
};

/* Letters and counts of the series that the verdict refuses. */
bool letters_put(const struct letters *l, struct judge *j, const struct batch *b,
                 const struct verdict *v, const struct tenant *tenant, struct err *e) MUST_CHECK;
/* A record that could not be read, by its own place; text says why. */
bool letters_put_record(const struct letters *l, const struct record *r, enum reason reason,
                        const char *text, struct err *e) MUST_CHECK;
