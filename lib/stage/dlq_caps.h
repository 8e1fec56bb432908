/* How many rejected samples of a (tenant, reason) may still have dead letters in a minute of
 * received_ms. Kept per ingest partition, so that it is a function of that partition's log; a
 * rewind starts it anew. */
#pragma once

#include "base/err.h"
#include "base/table.h"
#include "policy/reason.h"

struct cap_row;

struct caps {
    struct table rows;
    struct cap_row *touched; /* by the record at hand */
    uint64_t per_minute;
};

void caps_init(struct caps *c, uint64_t per_minute);
void caps_fini(struct caps *c);
/* A record begins; what the one before took is given back unless caps_keep was called. */
void caps_begin(struct caps *c);
void caps_keep(struct caps *c);
struct cap_grant {
    uint64_t n;            /* 0 = no letter */
    uint64_t n_suppressed; /* else: what was wanted since the last letter, and not granted */
};

/* Takes up to n. */
bool caps_take(struct caps *c, struct slice tenant, enum reason reason, int64_t received_ms,
               uint64_t n, struct cap_grant *out, struct err *e) MUST_CHECK;
/* How many caps_take would grant at most. */
uint64_t caps_left(const struct caps *c, struct slice tenant, enum reason reason,
                   int64_t received_ms);
