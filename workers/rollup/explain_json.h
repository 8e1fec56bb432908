/* Series and what rows say of them, as JSON. */
#pragma once

#include <jansson.h>

#include "row.h"

/* A number; null, "NaN", "+Inf" or "-Inf" where JSON has none. */
json_t *json_double(double v);
/* name, kind, temporality, unit. */
json_t *json_series(const struct series *s);
/* Of a packed histogram: count and sum, of a native one schema; null: none, or stale. */
json_t *json_packed(uint8_t kind, uint16_t n_bounds, struct slice packed, struct arena *a);
/* Each of the row's series: name and columns. NULL: the shape can't be read. */
json_t *json_row(const struct rollup *row, struct arena *a);
