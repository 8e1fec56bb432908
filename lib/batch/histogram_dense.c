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

/* Where the run from bucket `from` on ends: behind the last filled one before more than MAX_GAP empty ones. */
static uint32_t run_end(const struct dense_buckets *d, uint32_t from, uint64_t *any)
{
    uint32_t end = from;
    for (uint32_t i = from; i < d->n && i - end <= MAX_GAP; i++) {
        if (d->counts[i] != 0) {
            *any |= d->counts[i];
            end = i + 1;
        }
    }
    return end;
}

/* The same as side_from_dense for a schema that is not lowered, run by run. False: no memory, or something
 * is wrong, and side_from_dense says what. */
static bool side_copy(const struct dense_buckets *d, struct arena *a, struct exp_buckets *out)
{
    struct histogram_span *spans = arena_alloc(a, ((size_t)d->n / 4 + 1) * sizeof *spans);
    uint64_t *counts = arena_alloc(a, (size_t)d->n * sizeof *counts);
    uint32_t n_spans = 0;
    uint32_t n_counts = 0;
    uint32_t end = 0;
    uint64_t any = 0;
    if (spans == NULL || counts == NULL) {
        return false;
    }
    for (uint32_t at = 0; at < d->n; at++) {
        if (d->counts[at] == 0) {
            continue;
        }
        uint32_t before = end;
        end = run_end(d, at, &any);
        int64_t offset = n_spans == 0 ? (int64_t)d->offset + at + 1 : (int64_t)at - before;
        if ((int64_t)d->offset + end > INT32_MAX - 1) {
            return false;
        }
        spans[n_spans++] = (struct histogram_span){(int32_t)offset, end - at};
        memcpy(counts + n_counts, d->counts + at, (end - at) * sizeof *counts);
        n_counts += end - at;
        at = end - 1;
    }
    *out = (struct exp_buckets){n_spans, n_counts, spans, counts};
    return any >> 63 == 0;
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
    return ((shift == 0 && side_copy(positive, a, &io->positive)) ||
            side_from_dense(positive, shift, a, &io->positive, e)) &&
           ((shift == 0 && side_copy(negative, a, &io->negative)) ||
            side_from_dense(negative, shift, a, &io->negative, e));
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
