/* How rows.c keeps rows; for sorted_rows.c alone. */
#pragma once

#include "rows.h"

struct scrape {
    int64_t offset;
    int64_t base_ms;
    const int64_t *times;      /* of each series; NULL: all the base */
    const uint8_t *values;     /* doubles of the scalars */
    const uint8_t *packed;     /* histograms */
    const uint32_t *packed_at; /* where each begins, and the end: exponential ones, then classic */
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

/* A shape's scrapes that have rows in one slot. */
struct sheet {
    struct sheet *next;
    struct sheet *next_of_shape;
    const struct shape *shape;
    const uint32_t *columns;
    struct slice tenant;
    enum batch_class class;
    int64_t slot;
    struct entries *first;
    struct entries *last;
    const struct scrape *newest;
    uint32_t n_entries;
    bool any_times; /* rows of some of its scrapes may lie in another slot */
};
