/* Native histograms in one canonical form, so that equal buckets give equal bytes however the
 * sender laid out its spans; empty buckets are left out. All little-endian:
 *   u8 is_float, i32 schema, f64 zero_threshold, u64|f64 zero_count, u64|f64 count, f64 sum,
 *   u32 n_positive, n × (i32 index, u64|f64 count), u32 n_negative, n × (i32 index, u64|f64 count)
 * Time and reset hint are not in it. The digest is XXH3-64 (seed 0) over it. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "remote_write.pb-c.h"

/* Why a histogram is refused goes into err.code. */
enum histogram_fault { HISTOGRAM_BAD_SCHEMA = 1, HISTOGRAM_INVALID };

/* Checks (schema -4..8, spans against counts, sum of the buckets) and appends the canonical form.
 * ERR_BAD_INPUT. */
bool histogram_canonical(const Prometheus__Histogram *h, struct buf *out, struct err *e) MUST_CHECK;
/* Appends the canonical form as a JSON object; counts as numbers, sum as a string (NaN). */
void histogram_json(struct slice canonical, struct buf *out);
