/* From columns as the caller has them to a leaf's levels and values (Dremel's record shredding, for
 * one level of repetition). */
#pragma once

#include "parquet/leaf.h"

/* n rows of a field, borrowed for the call. */
struct parquet_column {
    /* ONE: an element per row, those of null rows are ignored. LIST, MAP: the entries of all rows,
     * one behind the other, those that are null ignored. */
    union {
        const void *any;
        const bool *bools;
        const int32_t *int32s;
        const int64_t *int64s; /* timestamps, too */
        const double *doubles;
        const struct slice *texts; /* strings and bytes */
    } values;
    const struct slice
        *keys; /* MAP: of each entry, UTF-8; the caller sees to it that none comes twice in a row */
    const uint32_t *n_entries; /* LIST, MAP: of each row; 0 for null rows */
    const bool *nulls;         /* of each row; NULL: none is */
    const bool *value_nulls;   /* LIST, MAP: of each entry; NULL: none is */
};

/* A column being taken slice by slice; where the next one begins. */
struct rows_source {
    const struct parquet_field *field;
    const struct parquet_column *column;
    size_t row;
    size_t entry;
};

/* Memory that one slice of a field needs; reused. */
struct rows_scratch {
    struct buf repetition;
    struct buf definition;
    struct buf key_definition;
    struct buf values;
};

void rows_scratch_init(struct rows_scratch *s, size_t max_bytes);
void rows_scratch_fini(struct rows_scratch *s);
size_t rows_scratch_held_bytes(const struct rows_scratch *s);

/* How many of the next n rows have at most max_bytes of values; at least 1. */
size_t rows_fit(const struct rows_source *from, size_t n, size_t max_bytes);
/* The next n rows, and moves on. out has one entry, two for a map (keys, values); valid until the
 * next call. ERR_BAD_INPUT: a null where none may be, entries in a null row, no room. */
bool rows_take(struct rows_source *from, size_t n, struct rows_scratch *scratch,
               struct leaf_rows *out, struct err *e) MUST_CHECK;
