/* A row's columns, series by series: read from a row, and written to a new one. */
#pragma once

#include "base/cursor.h"
#include "batch/bucket_bounds.h"
#include "batch/rollup.h"

/* What a row says of one series. Which fields count depends on the kind. */
struct row_series {
    uint32_t samples;
    bool ended;
    int64_t last_ms; /* 0 = none */
    union {
        struct {
            double total;
            double delta;
        };
        struct {
            double sum;
            double min;
            double max;
        };
        struct slice packed[HISTOGRAM_COLUMNS]; /* total, delta, last; each with its length */
    };
    double last;
    struct slice late; /* ptr NULL = nothing was late */
};

/* What a reader must know of a series. */
struct layout {
    uint8_t kind; /* enum series_kind */
    bool delta;
    uint16_t n_bounds;
};

static inline bool kind_is_packed(uint8_t kind)
{
    return kind == SERIES_EXP_HISTOGRAM || kind == SERIES_CLASSIC_HISTOGRAM;
}

struct layout layout_of(const struct series *s);

/* Of a row in memory, which may bring several batches' series together: more than a batch or a
 * record may have. It leaves in records within their caps (split.h). */
extern const struct shape_caps row_shape_caps;

struct row_reader {
    const struct rollup *row; /* checked against its shape */
    uint32_t i;
    const uint8_t *counter;
    const uint8_t *gauge;
    struct cursor exp;
    struct cursor classic;
    uint32_t at_ended;
    uint32_t at_late;
};

struct row_reader row_reader_of(const struct rollup *row);
/* The next series, of this layout. */
void row_next(struct row_reader *r, struct layout l, struct row_series *out);

struct columns {
    uint32_t n;
    uint32_t cap;
    uint32_t *samples; /* owned, as all here */
    int64_t *last_ms;
    uint32_t *ended;
    struct rollup_late *late;
    size_t *late_at;
    uint32_t n_ended;
    uint32_t n_late;
    struct buf counters;
    struct buf gauges;
    struct buf exp;
    struct buf classic;
    struct buf amounts;
};

void columns_init(struct columns *c);
void columns_fini(struct columns *c);
/* Empty, with room for n series. False: no memory. */
bool columns_begin(struct columns *c, uint32_t n);
void columns_put(struct columns *c, enum series_kind kind, const struct row_series *v);
/* Into the row's fields; they live until the next begin. False: no memory, or too large. */
bool columns_end(struct columns *c, struct rollup *row);

/* One piece of memory that holds the row with all that it points to, but its tenant, its amends
 * and, unless told so, its shape. NULL: no memory. free() it. */
struct rollup *rollup_copy(const struct rollup *r, bool with_shape, size_t *n_bytes);
