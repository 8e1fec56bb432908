/* What the points of one series in one window come to (design: rollup semantics): increases with
 * resets and starts, sums of gauges, histograms. Pure; the slot's state is read, not written. */
#pragma once

#include "row.h"
#include "stream.h"
#include "trace.h"

/* A point that counts: time within the window; of two with the same time the later offset's. */
struct point {
    int64_t ms;
    int64_t start_ms; /* 0 = unknown */
    union {
        double value;
        struct slice packed; /* with its length */
    };
    uint32_t order; /* which of the window's scrapes it is from: rising as they came */
};

struct point_list {
    struct point *items; /* owned */
    uint32_t n;
    uint32_t cap;
};

/* Late amounts of a series, in the order they came. */
struct fold_list {
    const struct late_point *const *points;
    uint32_t n;
};

/* What happened, for operators. */
struct increase_counts {
    uint64_t n_resets;
    uint64_t n_conflicts; /* two values of the same time */
    uint64_t n_invalid;   /* NaN, ±Inf of a counter, histograms that can't be calculated with */
};

struct increase {
    int64_t log_ms;
    int64_t horizon_ms;
    struct arena arena; /* of one series */
    struct buf packed;  /* results */
    struct increase_counts counts;
    const struct trace *trace; /* borrowed; NULL: nobody asks */
};

static inline void trace_point(const struct increase *x, const struct point *p,
                               enum point_effect effect, double added)
{
    if (x->trace != NULL) {
        x->trace->point(x->trace->ctx, p, effect, added);
    }
}

void increase_init(struct increase *x);
void increase_fini(struct increase *x);

/* Does a value count at all? Stale markers do. */
bool value_counts(enum series_kind kind, double v);

/* In order of time; duplicates go. */
void points_settle(struct increase *x, enum series_kind kind, struct point_list *p);

/* Is the slot's state within the horizon? */
bool increase_knows(const struct increase *x, const struct slot *slot);

/* The series' columns; slices in out live until the next call. False: no memory. */
bool increase_calculate(struct increase *x, const struct slot *slot, const struct point_list *p,
                        const struct fold_list *folds, struct row_series *out,
                        struct err *e) MUST_CHECK;

/* Sums up amounts: of an amend, or a fold (columns samples, and delta, sum/min/max or packed[1]).
 */
bool amounts_add(struct increase *x, const struct slot *slot, const struct fold_list *points,
                 struct row_series *out, struct err *e) MUST_CHECK;

/* x + y of two packed histograms, appended; max_schema as in exp_histogram_downscale. A histogram
 * that can't be added leaves the other. */
struct layout;
bool packed_add(struct increase *x, struct layout l, struct slice a, struct slice b,
                int32_t max_schema, struct buf *out, struct err *e) MUST_CHECK;
/* The schema of a packed exponential histogram, HISTOGRAM_MAX_SCHEMA when it can't be read. */
int32_t packed_schema(struct increase *x, struct slice packed);
