/* Where a rollup's group may stand: an offset, and with it the log time that belongs there, which only the log tells: it
 * is read from its beginning. */
#pragma once

#include "scan.h"

#include "base/buf.h"

/* What the partition has committed, and where it is to go: MOMENT_EARLIEST, _OFFSET, _BACK (log time before the
 * committed one) or _TIME (log time). */
struct rollup_request {
    const char *topic;
    int32_t partition;
    int64_t committed;
    struct slice metadata;
    struct moment to;
};

/* *offset, and metadata for it in text. ERR_CONFIG: it can't go there, and why. */
bool rollup_place(const struct tool *t, rd_kafka_t *reader, const struct rollup_request *r, int64_t *offset,
                  struct buf *text, struct err *e) MUST_CHECK;
