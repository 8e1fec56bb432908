/* How rows.c keeps rows; for rows_batch.c, rows_rollup.c and sorted_rows.c alone. */
#pragma once

#include "objects.h"
#include "rows.h"

struct scrape {
    int64_t offset;
    int64_t base_ms;
    const int64_t *times;      /* of each series; NULL: all the base */
    const uint8_t *values;     /* doubles of the scalars */
    const uint8_t *packed;     /* histograms; of rollups all series */
    const uint32_t *packed_at; /* where each begins, and the end: exponential ones, then classic; of
                                  rollups in the shape's order */
};

/* A scrape in a sheet, with what most rows need of it. */
struct entry {
    int64_t offset;
    int64_t base_ms;
    const uint8_t *values;
    const struct scrape *scrape;
};

/* So that a series' rows are found in few places: room doubles from one to the next. */
struct entries {
    struct entries *next;
    uint32_t n;
    uint32_t room;
    struct entry entry[];
};

/* A shape's scrapes that have rows in one slot; those of rollups count as such. */
struct sheet {
    struct sheet *next;
    struct sheet *next_of_shape;
    const struct shape *shape;
    const uint32_t *columns;
    struct slice tenant;
    enum batch_class class;
    enum table_id table;
    int64_t slot;
    struct entries *first;
    struct entries *last;
    const struct scrape *newest;
    uint32_t n_entries;
    bool any_times; /* rows of some of its scrapes may lie in another slot */
};

/* Attached to a shape. */
struct sheets {
    const uint32_t *columns; /* of each series: its place among the scalars, or in packed_at */
    struct sheet *first;
};

/* A line that is being taken: a batch, or a window of a rollup. */
struct intake {
    enum table_id table;
    struct slice tenant;
    enum batch_class class;
    int64_t offset;
    int64_t base_ms;
    struct cached_shape *cached;
    const int64_t *times; /* scratch's; NULL: all the base */
    size_t n_slots;       /* at most */
    struct slice values;
    struct slice packed[2];    /* one behind the other */
    const uint32_t *packed_at; /* n_places */
    size_t n_places;
    size_t n_lines; /* of its record, at most */
    struct scrape *scrape;
};

/* What it takes beside what is there. */
size_t intake_bytes(const struct intake *in);
/* All memory first: what was begun when it fails is without rows. Then the line itself. */
bool intake_prepare(struct rows *r, struct intake *in, struct objects *objects,
                    struct err *e) MUST_CHECK;
void intake_keep(struct rows *r, const struct intake *in, struct objects *objects);
/* Is there no room for so many bytes more? Never, where there is nothing yet. */
bool rows_are_full(const struct rows *r, size_t n_bytes);
/* The shape of a record's bytes; ERR_BAD_INPUT, ERR_RETRY. */
bool rows_shape(struct rows *r, struct slice tenant, struct slice bytes, struct cached_shape **out,
                struct err *e) MUST_CHECK;
