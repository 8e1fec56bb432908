/* Rows in memory, as the batches that they came in: a shape's matrix, a scrape a line and a series
 * a column, so that taking a batch is copying its values. Sorted column by column. */
#pragma once

#include "batch/batch.h"
#include "batch/rollup.h"
#include "row.h"

struct sheet;
struct objects;

struct rows {
    int hours;                 /* of a slot */
    struct shape_cache shapes; /* attached: the sheets of the shape */
    struct arena arena;        /* all that follows */
    struct arena scratch;      /* a histogram that is checked */
    struct arena record;       /* a rollup that is taken */
    struct buf packed;         /* its rows, and where each begins */
    struct buf places;
    struct sheet *sheets;
    size_t n_sheets;
    size_t n_strands;      /* columns of all sheets */
    size_t n_entries;      /* lines of all sheets */
    size_t n_packed_bytes; /* of histograms and rollups, all that were ever taken */
    uint64_t n_rows;
    size_t max_bytes;
};

void rows_init(struct rows *r, int hours, size_t max_bytes);
void rows_fini(struct rows *r);
/* Empties it and gives the memory back. */
void rows_reset(struct rows *r);
size_t rows_held_bytes(const struct rows *r);

/* Takes a batch, and tells the objects of its rows. *full: there is no room beside what is there,
 * and nothing was taken; an empty one has room for every batch. ERR_BAD_INPUT: no sound batch;
 * ERR_RETRY: no memory. */
bool rows_add(struct rows *r, const struct batch *b, int64_t offset, struct objects *objects,
              bool *full, struct err *e) MUST_CHECK;
/* The same of a rollup: rows of its window, and one per late amount. */
bool rows_add_rollup(struct rows *r, const struct rollup *rollup, int64_t offset,
                     struct objects *objects, bool *full, struct err *e) MUST_CHECK;
