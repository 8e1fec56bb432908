/* Rows of rollups (batch/rollup.h) as samples for a store, stamped with the window's end: each
 * column that is wanted is a series of its own.
 *
 *   <name>:<window>            total of counters and histograms, last of gauges
 *   <name>:<window>:<column>   counters: delta, count; gauges: min, max, sum, count
 *   <name>_bucket:<window> …   classic histograms, as "<what the raw series is called>:<window>"
 *
 * Plain names leave :<window> out. Of temporality delta the total goes, too: it is cumulative. A
 * gauge without samples in the window has no points. What the row says has ended gets stale markers
 * a millisecond behind, be it that nothing else happened. */
#pragma once

#include "batch/rollup.h"
#include "batch/shape.h"

enum row_column {
    COLUMN_MAIN, /* total or last: always there */
    COLUMN_DELTA,
    COLUMN_MIN,
    COLUMN_MAX,
    COLUMN_SUM,
    COLUMN_COUNT,
    N_ROW_COLUMNS
};

/* By its name in series; false: there is none, or it is total or last. */
bool row_column_of(const char *name, enum row_column *out);

struct rows_options {
    uint32_t columns; /* 1 << enum row_column, or-ed */
    bool plain;
    size_t max_shapes_bytes;
};

/* One series of the store: of which series of the row's shape, and what. */
struct row_point {
    uint32_t series;
    enum row_column column;
};

struct rows {
    struct rows_options o;
    struct shape_cache shapes; /* of the rows; what is made of them is amp's */
    struct buf values;         /* of a batch, as all here */
    struct buf exp;
    struct buf classic;
    struct buf points; /* struct row_point */
    uint32_t columns;  /* wanted for it */
};

/* A row with what its shape says. */
struct row {
    struct rollup rollup;
    const struct shape *shape; /* the cache's, until the next row; NULL: nothing for a store */
};

/* Does the record begin as a rollup's? */
bool rows_are(struct slice value);

void rows_init(struct rows *r, const struct rows_options *o);
void rows_fini(struct rows *r);

/* Borrows from value; lives in a. Amends, heartbeats and rows of no series: without a shape. */
bool rows_read(struct rows *r, struct slice value, struct arena *a, struct row *out,
               struct err *e) MUST_CHECK;
enum row_part {
    ROW_VALUES, /* at the window's end */
    ROW_ENDS,   /* the stale markers behind it */
    ROW_REPEAT  /* of ROW_VALUES total and last, of what has not ended */
};

/* A part as a batch but for its shape, of *n_series series, 0 = nothing. Borrowed until the next
 * call. *key: equal ones have the same series. */
bool rows_batch(struct rows *r, const struct row *row, enum row_part part, struct batch *out,
                uint32_t *n_series, struct hash128 *key, struct err *e) MUST_CHECK;
/* The series of the last rows_batch, in its order (which is not the canonical one); in a. The name
 * of a classic histogram lacks *part_suffix, which goes behind _bucket, _sum and _count. */
bool rows_shape(const struct rows *r, const struct row *row, struct arena *a, struct shape *out,
                struct slice *part_suffix, struct err *e) MUST_CHECK;
