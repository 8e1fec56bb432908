/* Arithmetic of histograms, exact: counts are integers, and a sum is added once, in the order of
 * the arguments. The rules are Prometheus's (model/histogram/float_histogram.go: Add, Sub,
 * DetectReset, reconcileZeroBuckets, ReduceResolution) but where its comment says otherwise.
 *
 * Two exponential histograms meet at the lower schema and at a zero bucket as wide as both of
 * theirs; if its edge lies within a filled bucket of the narrower one, it moves out to that
 * bucket's far edge. Filled buckets that lie within the zero bucket are counted there, also a
 * histogram's own (Prometheus lets those be). Results have one form only: no empty buckets at a
 * span's ends, gaps of up to two written out. So the same input gives the same packed bytes.
 *
 * Sums: NaN and ±Inf as IEEE 754 has them, so that the increase of an infinite sum is NaN; a NaN
 * result is always 0x7ff8000000000000, never the stale marker. A stale marker is no observations:
 * x + stale = x, stale + stale = stale, it is never a reset, and nothing is subtracted from or by
 * it. With a NaN sum `count` may exceed the buckets: the rest are the observations of NaN.
 *
 * Operands are sound ones: exp_histogram_check once after decoding. Results are sound, too. They
 * live in the arena, may take their operand's name (out == x), and have at most max_buckets a side
 * (empty ones of short gaps included), else the schema is lowered until they do. */
#pragma once

#include "batch/bucket_bounds.h"
#include "batch/histogram.h"

/* Enough for all that a double can hold at the lowest schema: with as many allowed, lowering always
 * helps. */
enum { HISTOGRAM_LEAST_MAX_BUCKETS = 133 };

/* ERR_BAD_INPUT: a schema outside -4 … 8, a zero threshold below 0 or NaN, buckets beyond a
 * double's range, counts that do not add up (exp_histogram_counts_agree) or exceed 63 bits. */
bool exp_histogram_check(const struct exp_histogram *h, struct err *e) MUST_CHECK;
bool exp_histogram_is_stale(const struct exp_histogram *h);

/* x + y. ERR_BAD_INPUT: counts beyond 63 bits, larger than the arena or than max_buckets at schema
 * -4. */
bool exp_histogram_add(const struct exp_histogram *x, const struct exp_histogram *y,
                       uint32_t max_buckets, struct arena *a, struct exp_histogram *out,
                       struct err *e) MUST_CHECK;
/* The increase from `before` to `now`, of one series without a reset between them; otherwise, and
 * for stale ones, ERR_BAD_INPUT. */
bool exp_histogram_subtract(const struct exp_histogram *now, const struct exp_histogram *before,
                            uint32_t max_buckets, struct arena *a, struct exp_histogram *out,
                            struct err *e) MUST_CHECK;
/* h in the one form, at max_schema (-4 … 8) or lower. */
bool exp_histogram_downscale(const struct exp_histogram *h, int32_t max_schema,
                             uint32_t max_buckets, struct arena *a, struct exp_histogram *out,
                             struct err *e) MUST_CHECK;

/* Count, zero count, any bucket or the observations of NaN fall, at the common schema and zero
 * threshold. Unlike Prometheus, neither a rise of the schema nor another zero threshold is a reset
 * by itself: the operands are brought to each other, and then counted. The sum says nothing. */
bool exp_histogram_is_reset(const struct exp_histogram *now, const struct exp_histogram *before);

/* Explicit buckets, by the same rules. Both must have the same bounds, which their shapes tell; of
 * another number of buckets, nothing can be said: a reset, and ERR_BAD_INPUT from the others. The
 * result has a sum if both have one. */
bool classic_histogram_add(const struct classic_histogram *x, const struct classic_histogram *y,
                           struct arena *a, struct classic_histogram *out,
                           struct err *e) MUST_CHECK;
bool classic_histogram_subtract(const struct classic_histogram *now,
                                const struct classic_histogram *before, struct arena *a,
                                struct classic_histogram *out, struct err *e) MUST_CHECK;
bool classic_histogram_is_reset(const struct classic_histogram *now,
                                const struct classic_histogram *before);

/* NaN made one. */
double histogram_sum(double sum);
