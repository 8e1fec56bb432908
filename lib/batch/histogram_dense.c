/* OTLP's exponential histograms (dense buckets from an offset on) as Prometheus's native ones
 * (spans of filled buckets): as prometheus/storage/remote/otlptranslator does it, but that empty
 * buckets at the ends are left out. */
#include <assert.h>

#include "batch/histogram.h"

/* Up to this many empty buckets in a row are written out rather than starting a new span
 * (prometheus/client_golang, histogram.go: "makeBuckets"). */
enum { MAX_GAP = 2, MIN_SCALE = -4, MAX_SCALE = 8, MAX_SHIFT = 31 };

struct writer {
    struct histogram_span *spans;
    uint64_t *counts;
    uint32_t n_spans;
    uint32_t n_counts;
    int64_t index; /* of the last bucket written */
};

static void writer_bucket(struct writer *w, int64_t index, uint64_t count)
{
    int64_t gap = w->n_spans == 0 ? 0 : index - w->index - 1;
    if (w->n_spans == 0 || gap > MAX_GAP) {
        int64_t offset = w->n_spans == 0 ? index : gap;
        w->spans[w->n_spans++] = (struct histogram_span){(int32_t)offset, 0};
        gap = 0;
    }
    for (; gap > 0; gap--) {
        w->counts[w->n_counts++] = 0;
        w->spans[w->n_spans - 1].n++;
    }
    w->counts[w->n_counts++] = count;
    w->spans[w->n_spans - 1].n++;
    w->index = index;
}

static bool side_from_dense(const struct dense_buckets *d, int shift, struct arena *a,
                            struct exp_buckets *out, struct err *e)
{
    /* No more of both than there are dense buckets: a span but the first follows three empty ones.
     */
    struct writer w = {.spans = arena_alloc(a, ((size_t)d->n / 4 + 1) * sizeof *w.spans),
                       .counts = arena_alloc(a, (size_t)d->n * sizeof *w.counts)};
    if (w.spans == NULL || w.counts == NULL) {
        return err_set(e, ERR_BAD_INPUT, "histogram: larger than its batch's memory");
    }
    int64_t index = 0;
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
            writer_bucket(&w, index, count);
            count = 0;
        }
        index = at;
        if (d->counts[i] > INT64_MAX - count) {
            return err_set(e, ERR_BAD_INPUT, "histogram: a bucket's count is beyond 63 bits");
        }
        count += d->counts[i];
    }
    if (count > 0) {
        writer_bucket(&w, index, count);
    }
    assert(w.n_counts <= d->n && w.n_spans <= d->n / 4 + 1);
    *out = (struct exp_buckets){w.n_spans, w.n_counts, w.spans, w.counts};
    return true;
}

bool exp_histogram_from_dense(int32_t scale, const struct dense_buckets *positive,
                              const struct dense_buckets *negative, struct arena *a,
                              struct exp_histogram *io, struct err *e)
{
    if (scale < MIN_SCALE) {
        return err_set(e, ERR_BAD_INPUT, "histogram: scale %d, below %d", scale, MIN_SCALE);
    }
    int64_t down = scale > MAX_SCALE ? (int64_t)scale - MAX_SCALE : 0;
    int shift = down > MAX_SHIFT ? MAX_SHIFT : (int)down; /* from 31 on all indexes are 0 or -1 */
    io->schema = scale > MAX_SCALE ? MAX_SCALE : scale;
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
