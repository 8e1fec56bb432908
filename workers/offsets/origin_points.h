/* What a tenant sent, decoded for people: points as JSON, every label's value masked. */
#pragma once

#include "base/arena.h"
#include "stage/record.h"

#include <jansson.h>

enum { ORIGIN_MAX_POINTS = 1000 };

/* Which of the record's points. */
struct origin_wanted {
    struct slice metric;     /* as the tenant named it; empty = all */
    const int64_t *times_ms; /* rising; n 0 = all */
    size_t n_times;
    const char *shared_topic; /* of ingest */
    struct slice mask_key;    /* empty: values are not even comparable */
};

/* At most ORIGIN_MAX_POINTS of them; *n_points counts all that the record has, *n_wanted those
 * that fit. *format is static. ERR_BAD_INPUT says why it can't be decoded. */
struct origin_points {
    const char *format;
    json_t *points; /* the caller's */
    size_t n_points;
    size_t n_wanted;
};
bool origin_points_read(const struct record *r, const struct origin_wanted *wanted, struct arena *scratch,
                        struct origin_points *out, struct err *e) MUST_CHECK;
