/* Where the buckets of exponential histograms lie: bucket i of schema s holds 2^((i-1)/2^s) < |v|
 * <= 2^(i/2^s). The bounds are the very doubles that Prometheus calculates with
 * (prometheus/model/histogram/generic.go: getBoundExponential), which are not always the nearest
 * ones: a zero threshold that we put on a bound lies on it for the store, too. */
#pragma once

#include <stdint.h>

enum { HISTOGRAM_MIN_SCHEMA = -4, HISTOGRAM_MAX_SCHEMA = 8 };

/* schema: -4 … 8. 0 below the smallest double, DBL_MAX for the last bucket of finite values, +Inf
 * for the one behind it. */
double bucket_upper(int32_t schema, int64_t index);
/* The bucket that v lies in; v: finite and above 0. */
int64_t bucket_of(int32_t schema, double v);

/* The buckets that a double can lie in, ±Inf included. */
int64_t bucket_first(int32_t schema);
int64_t bucket_last(int32_t schema);

/* The bucket that holds bucket `index` when the schema is lower by `down`. */
static inline int64_t bucket_lowered(int64_t index, int down)
{
    return ((index - 1) >> down) + 1;
}
