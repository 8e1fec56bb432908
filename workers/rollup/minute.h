/* One partition's 1 m and 5 m windows: batches in, rows out. No Kafka, no clock: the log alone
 * decides, so that the same log always gives the same rows.
 *
 *   batch ──► stream ──► open windows ──close──► 1 m row ──merge──► 5 m row
 *                           ▲ watermark, deadlines by log time */
#pragma once

#include "completeness.h"
#include "deadlines.h"
#include "increase.h"
#include "merge.h"
#include "rules.h"
#include "stream.h"

struct minute {
    struct rules rules;
    struct row_sink sink;
    struct table streams;
    struct deadlines deadlines;
    int64_t log_ms;
    struct place record; /* the one at hand */
    struct rollup_counts counts;
    uint32_t n_points;   /* of the batch taken in last */
    uint64_t n_closings; /* of any kind: what was looked up before may be gone */
    bool is_restoring;
    /* scratch */
    struct arena arena; /* decoded shapes of the batch at hand */
    struct arena plan;  /* of the row being made */
    struct increase increase;
    struct merger merger;
    struct columns columns;
    struct point_list points;
    struct buf amends;
};

bool minute_new(const struct rules *rules, const struct row_sink *sink, struct minute **out,
                struct err *e) MUST_CHECK;
void minute_free(struct minute *m);

/* A record of the input: a batch, or a heartbeat (empty shape). ERR_BAD_INPUT: the batch and its
 * shape do not fit together; nothing has happened. */
bool minute_take(struct minute *m, int64_t offset, const struct batch *b, struct err *e) MUST_CHECK;

/* Recovery: a row of our own output, in its order; log_ms is its timestamp. ERR_FATAL: not a row of
 * ours. */
bool minute_restore(struct minute *m, struct slice row, int64_t log_ms, struct err *e) MUST_CHECK;
/* Then: where the log goes on. log_ms NEVER: a log's beginning. */
void minute_restored(struct minute *m, int64_t log_ms);

/* The first record that is still needed; position when none is. */
struct place minute_needs(const struct minute *m, struct place position);

/* Its sources' part in the completeness of windows. */
void minute_count(const struct minute *m, struct completeness *c);
/* Bytes held for streams. */
size_t minute_bytes(const struct minute *m);
