/* Several sorted streams as one: the series that comes first in any of them, its rows by time, then
 * the next one. */
#pragma once

#include "objects.h"
#include "row.h"

enum { MERGE_MAX_SOURCES = 9 };

struct merge_source {
    struct row_stream stream;
    struct row row; /* the next one */
    bool ended;
    bool in_series; /* its next row is of the series at hand */
};

struct merge {
    struct merge_source sources[MERGE_MAX_SOURCES];
    size_t n_sources;
    size_t n_in_series;
    size_t taken; /* source of the last row; n_sources: none */
    const struct objects *objects;
    const struct object *object;
};

/* Rows of this object only, which the streams begin with if they have any. */
void merge_init(struct merge *m, const struct objects *objects, const struct object *object);
bool merge_add(struct merge *m, struct row_stream stream, struct err *e) MUST_CHECK;
struct row_stream merge_stream(struct merge *m);
