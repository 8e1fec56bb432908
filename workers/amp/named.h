/* Which point a store's refusal names: Cortex and Amazon Managed Prometheus say
 * `…: err: too old sample. timestamp=2027-01-15T07:58:49.877Z, series={__name__="up", a="b"}`. */
#pragma once

#include "wire_shape.h"

/* False: the text has no "timestamp=" that can be read (RFC 3339 in UTC, or ms). */
bool named_time(struct slice text, int64_t *time_ms);
/* Does the text have every label of the series, as name="value"? */
bool named_series(struct slice text, const struct wire_shape *w, uint32_t series);
