/* Rows in memory in the order that row.h tells. */
#pragma once

#include "objects.h"
#include "rows.h"

/* A column of a sheet. */
struct strand {
    const struct sheet *sheet;
    uint32_t column;
};

/* Nothing may be added meanwhile. */
struct sorted_rows {
    const struct rows *rows;
    struct strand *strands; /* sorted */
    size_t n_strands;
    size_t from; /* strands of the series at hand: [from, to) */
    size_t to;
    struct buf refs; /* struct row_ref each: its rows */
    size_t at;
    struct head heads[2]; /* the current one and the one before */
    unsigned which;
    const struct strand *head_of;
};

/* ERR_RETRY: no memory. */
bool sorted_rows_init(struct sorted_rows *s, const struct rows *r, struct err *e) MUST_CHECK;
void sorted_rows_fini(struct sorted_rows *s);
/* From the rows of an object on. */
void sorted_rows_seek(struct sorted_rows *s, const struct object *o);
struct row_stream sorted_rows_stream(struct sorted_rows *s);
