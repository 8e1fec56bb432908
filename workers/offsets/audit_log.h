/* The rows that the log has, counted into the ledger's ranges. */
#pragma once

#include "ledger.h"

/* Rows that lie in no range are findings of kind "gap": below `done` of their partition (what the group has committed;
 * by partition) they are missing, above they are only not stored yet, and counted. */
struct audit_log {
    struct ledger *ledger;
    struct findings *findings;
    const int64_t *done; /* by partition number */
    uint64_t n_rows;
    uint64_t n_pending; /* rows that are not stored yet */
    uint64_t n_unreadable;
};
bool audit_log_read(struct scan *s, struct audit_log *a, struct err *e) MUST_CHECK;
