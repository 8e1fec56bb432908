/* The least and the greatest value of a page or a chunk, as statistics and the page index have them
 * (parquet.thrift, Statistics and ColumnOrder): NaN is left out; a zero counts as -0.0 below and as
 * +0.0 above; long texts are cut to a bound that holds. */
#pragma once

#include "base/arena.h"
#include "parquet/schema.h"

struct bounds {
    bool any;       /* false: no value but nulls and NaN */
    bool min_exact; /* texts: not cut */
    bool max_exact;
    bool any_nan;
    int64_t min_int; /* BOOL, integers and timestamps */
    int64_t max_int;
    double min_double;
    double max_double;
    struct slice min_text; /* the group arena's */
    struct slice max_text;
};

/* Fixed widths: n values as PLAIN has them, BOOL as bytes. */
void bounds_add(struct bounds *b, enum parquet_type type, const void *values, size_t n);
void bounds_merge(struct bounds *b, enum parquet_type type, const struct bounds *more);
/* Sets the texts, cut to max_bytes. False: the arena is full. */
bool bounds_set_texts(struct bounds *b, enum parquet_type type, struct slice min, struct slice max,
                      size_t max_bytes, struct arena *a);
/* Whether statistics may say so. Not of a column of NaN and one number: readers (DataFusion 55)
 * take equal bounds and no nulls for a constant column. */
static inline bool bounds_can_be_told(const struct bounds *b)
{
    return b->any && !(b->any_nan && b->min_double == b->max_double);
}

/* < 0, 0, > 0; both have values. */
int bounds_cmp_min(const struct bounds *x, const struct bounds *y, enum parquet_type type);
int bounds_cmp_max(const struct bounds *x, const struct bounds *y, enum parquet_type type);
/* As the file has them. room: for 8 bytes, which the result may point to. */
struct slice bounds_min(const struct bounds *b, enum parquet_type type, uint8_t *room);
struct slice bounds_max(const struct bounds *b, enum parquet_type type, uint8_t *room);
