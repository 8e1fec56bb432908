/* A row on its way from a batch to a file, and the order of rows: table, slot, tenant, metric,
 * series id, time, offset. A record has a series once at a time, so no two rows are equal. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "batch/series.h"
#include "layout.h"

/* What many rows share: a series of a source, and the slot they lie in. */
struct head {
    enum table_id table;
    int64_t slot; /* key.h */
    struct slice tenant;
    struct slice source; /* name */
    enum batch_class class;
    struct series series;
};

struct row {
    const struct head *head; /* by its address the same as before, or another */
    int64_t ts_ms;
    int64_t offset;
    struct slice payload; /* what its table has of it: samples.c, rollup_row.h */
};

/* The sorted part: table, slot, tenant, metric, series id. */
int head_cmp(const struct head *a, const struct head *b);
/* In all parts. */
bool head_eq(const struct head *a, const struct head *b);

static inline int row_time_cmp(const struct row *a, const struct row *b)
{
    return a->ts_ms != b->ts_ms ? (a->ts_ms < b->ts_ms ? -1 : 1)
                                : (a->offset > b->offset) - (a->offset < b->offset);
}

/* Sorted rows, one after the other. False with ERR_NONE: there are no more. What *out points to
 * lives until the next call, its head until the head changes. */
struct row_stream {
    bool (*next)(void *context, struct row *out, struct err *e);
    void *context;
};

/* A head's bytes in a scratch file, and back into a. */
void head_put(const struct head *h, struct buf *out);
bool head_take(struct cursor *c, struct arena *a, struct head *out) MUST_CHECK;
/* A copy that a holds; false: a is full. */
bool head_copy(const struct head *h, struct arena *a, struct head *out) MUST_CHECK;
