/* Dead letters by reference (schemas/dlq.avsc): one for each of a record's rejects, as far as the
 * cap of its (tenant, reason) per minute allows, or one for the record as a whole. */
#pragma once

#include "edge/rejects.h"
#include "stage/dlq_caps.h"
#include "stage/record.h"
#include "tenant_cells.h"

/* The record that letters refer to. */
struct letter_origin {
    const struct record *in;
    struct slice topic;
    struct slice tenant_name; /* as it came; may be of no known tenant */
    struct tenant *tenant;
    struct tenant_cells *cells; /* the tenant's */
    int64_t received_ms;
};

/* Where letters go. */
struct letter_target {
    struct metrics *metrics;
    struct caps *caps; /* the ingest partition's */
    struct outbox *out;
    int output;
    struct slice mask_key;       /* its id */
    struct slice policy_version;
};

/* Letters and counts of all rejects into the outbox. */
bool rejects_put(struct rejects *r, const struct letter_origin *o, const struct letter_target *t,
                 struct err *e) MUST_CHECK;
/* The whole record is refused: its letter, if the reason has one, and its count. */
bool reject_record(const struct letter_origin *o, enum reason reason, const char *detail,
                   const struct letter_target *t, struct err *e) MUST_CHECK;
