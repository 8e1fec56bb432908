/* Histograms in a batch's packed columns.
 *
 * Exponential/native: each is a varint length and the bytes of a Remote Write 1.0 `Histogram`
 * message (prometheus prompb/types.proto) without timestamp: count_int=1 sum=3 schema=4
 * zero_threshold=5 zero_count_int=6 negative_spans=8 negative_deltas=9 positive_spans=11
 * positive_deltas=12. So a sender copies it, and only those who calculate decode it.
 * Classic: flags u8 (1 = has sum, 2 = stale), sum f64 LE, count varint, n_bounds + 1 bucket counts
 * (not cumulated) as varints; the bounds live in the shape. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"

/* A packed histogram's protobuf bytes are at most this. */
enum { HISTOGRAM_MAX_BYTES = 64 * 1024 };

struct histogram_span {
    int32_t offset; /* the first: index of its first bucket; later: gap to the one before */
    uint32_t n;
};

struct exp_buckets {
    uint32_t n_spans;
    uint32_t n_counts;
    const struct histogram_span *spans;
    const uint64_t *counts; /* absolute, one per bucket of the spans */
};

struct exp_histogram {
    int32_t schema; /* -4 … 8 to pass a store; wider is kept */
    double zero_threshold;
    uint64_t zero_count;
    uint64_t count;
    double sum; /* the stale marker's bits = a stale histogram */
    struct exp_buckets positive;
    struct exp_buckets negative;
};

struct classic_histogram {
    bool has_sum;
    bool stale;
    double sum;
    uint64_t count;
    uint32_t n_counts; /* n_bounds + 1, the last for +Inf */
    const uint64_t *counts;
};

extern const uint64_t stale_marker_bits; /* 0x7ff0000000000002 */
bool double_is_stale(double v);

void exp_histogram_encode(const struct exp_histogram *h, struct buf *out);
/* Takes one from the column. max_buckets per side. What comes out is sound: as many counts as the
 * spans say, spans apart and within 32 bits, no count above INT64_MAX. Float histograms and custom
 * bounds are refused. */
bool exp_histogram_decode(struct cursor *column, uint32_t max_buckets, struct arena *a,
                          struct exp_histogram *out, struct err *e) MUST_CHECK;
/* The same for the bytes of a message Histogram as they come from a tenant. */
bool exp_histogram_read(struct slice message, uint32_t max_buckets, struct arena *a,
                        struct exp_histogram *out, struct err *e) MUST_CHECK;
/* One packed histogram's protobuf bytes, unread; check cursor_ok. */
struct slice exp_histogram_skip(struct cursor *column);

/* OTLP's dense buckets (offset, counts) → spans: OTLP index + 1, runs of more than two empty
 * buckets cut out. Sets schema and both sides, and leaves the rest of io. scale > 8 is reduced to 8
 * by merging; scale < -4, indexes beyond 32 and counts beyond 63 bits: ERR_BAD_INPUT. */
struct dense_buckets {
    int32_t offset;
    uint32_t n;
    const uint64_t *counts;
};
bool exp_histogram_from_dense(int32_t scale, const struct dense_buckets *positive,
                              const struct dense_buckets *negative, struct arena *a,
                              struct exp_histogram *io, struct err *e) MUST_CHECK;

/* The same and exp_histogram_encode in one, for the usual ones; h's schema and sides are not read. False, and nothing is
 * written: these two must do it, or say what is wrong. */
bool exp_histogram_encode_dense(const struct exp_histogram *h, int32_t scale, const struct dense_buckets *positive,
                                const struct dense_buckets *negative, struct buf *out) MUST_CHECK;

/* What stores demand: count = all buckets and the zero bucket; with a NaN sum (stale ones, too)
 * only not less. */
bool exp_histogram_counts_agree(const struct exp_histogram *h);

void classic_histogram_encode(const struct classic_histogram *h, struct buf *out);
bool classic_histogram_decode(struct cursor *column, uint32_t n_bounds, struct arena *a,
                              struct classic_histogram *out, struct err *e) MUST_CHECK;
/* Passes over one, checked as if decoded. */
bool classic_histogram_skip(struct cursor *column, uint32_t n_bounds);
