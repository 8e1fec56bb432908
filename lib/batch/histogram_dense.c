/* OTLP's exponential histograms (dense buckets from an offset on) as Prometheus's native ones
 * (spans of filled buckets): as prometheus/storage/remote/otlptranslator does it, but that empty
 * buckets at the ends are left out. */
#include <assert.h>

#include "batch/buckets.h"

enum { MAX_SHIFT = 31 };

static bool side_from_dense(const struct dense_buckets *d, int shift, struct arena *a,
                            struct exp_buckets *out, struct err *e)
{
    /* No more of both than there are dense buckets: a span but the first follows three empty ones.
     */
    struct bucket_writer w = {.spans = arena_alloc(a, ((size_t)d->n / 4 + 1) * sizeof *w.spans),
                              .counts = arena_alloc(a, (size_t)d->n * sizeof *w.counts),
                              .max_counts = d->n};
    if (w.spans == NULL || w.counts == NULL) {
        return err_set(e, ERR_BAD_INPUT, "histogram: larger than its batch's memory");
    }
    int64_t index = 0;
    bool has_room = true;
    uint64_t count = 0; /* of the bucket at index, 0 = none yet */
    for (uint32_t i = 0; i < d->n; i++) {
        if (d->counts[i] == 0) {
            continue;
        }
        int64_t at = (((int64_t)d->offset + i) >> shift) + 1;
        if (at > INT32_MAX - 1) { /* its upper neighbour must be a number, too */
            return err_set(e, ERR_BAD_INPUT, "histogram: bucket index beyond 32 bits");
        }
        if (at != index && count > 0) {
            has_room &= bucket_write(&w, index, count);
            count = 0;
        }
        index = at;
        if (d->counts[i] > INT64_MAX - count) {
            return err_set(e, ERR_BAD_INPUT, "histogram: a bucket's count is beyond 63 bits");
        }
        count += d->counts[i];
    }
    if (count > 0) {
        has_room &= bucket_write(&w, index, count);
    }
    assert(has_room && w.n_spans <= d->n / 4 + 1);
    *out = (struct exp_buckets){w.n_spans, w.n_counts, w.spans, w.counts};
    return true;
}

bool exp_histogram_from_dense(int32_t scale, const struct dense_buckets *positive,
                              const struct dense_buckets *negative, struct arena *a,
                              struct exp_histogram *io, struct err *e)
{
    if (scale < HISTOGRAM_MIN_SCHEMA) {
        return err_set(e, ERR_BAD_INPUT, "histogram: scale %d, below %d", scale,
                       HISTOGRAM_MIN_SCHEMA);
    }
    int64_t down = scale > HISTOGRAM_MAX_SCHEMA ? (int64_t)scale - HISTOGRAM_MAX_SCHEMA : 0;
    int shift = down > MAX_SHIFT ? MAX_SHIFT : (int)down; /* from 31 on all indexes are 0 or -1 */
    io->schema = scale > HISTOGRAM_MAX_SCHEMA ? HISTOGRAM_MAX_SCHEMA : scale;
    return side_from_dense(positive, shift, a, &io->positive, e) &&
           side_from_dense(negative, shift, a, &io->negative, e);
}

static bool side_sum(const struct exp_buckets *b, uint64_t *sum)
{
    for (uint32_t i = 0; i < b->n_counts; i++) {
        if (__builtin_add_overflow(*sum, b->counts[i], sum)) {
            return false;
        }
    }
    return true;
}

bool exp_histogram_counts_agree(const struct exp_histogram *h)
{
    uint64_t sum = h->zero_count;
    if (!side_sum(&h->positive, &sum) || !side_sum(&h->negative, &sum)) {
        return false;
    }
    return h->sum == h->sum ? sum == h->count : sum <= h->count;
}
