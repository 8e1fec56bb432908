/* The points of batches and rollups as JSON, one object each: what the series is, when, and what it
 * says. */
#pragma once

#include "batch/batch.h"
#include "batch/rollup.h"

#include <jansson.h>

/* Those whose metric fits the glob (empty: all). A new list in *out. ERR_BAD_INPUT: damaged. */
bool points_of_batch(const struct batch *b, const struct shape *s, struct slice metric_glob, struct arena *a,
                     json_t **out, struct err *e) MUST_CHECK;
bool points_of_rollup(const struct rollup *r, const struct shape *s, struct slice metric_glob, struct arena *a,
                      json_t **out, struct err *e) MUST_CHECK;
