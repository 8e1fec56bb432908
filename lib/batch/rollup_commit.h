/* What rollup commits with an offset, as text (librdkafka ends metadata at the first NUL):
 *
 *   rollup 1 position 4711 log_ms 1700000000000
 *
 * The offset itself is that of the earliest record still needed. */
#pragma once

#include "base/buf.h"

#define ROLLUP_NEVER (-(INT64_C(1) << 60)) /* a time before all others: at a log's beginning */

struct rollup_commit {
    int64_t position; /* what is no row (heartbeats, dead letters) is out up to here */
    int64_t log_ms;   /* log time before the committed offset */
};

void rollup_commit_put(const struct rollup_commit *c, struct buf *out);
/* False: not ours, or of another version. */
bool rollup_commit_read(struct slice metadata, struct rollup_commit *out);
