/* Of lib/batch alone: the filled buckets of one side of an exponential histogram one by one, and
 * their way back into spans. */
#pragma once

#include "batch/bucket_bounds.h"
#include "batch/histogram.h"

/* Up to this many empty buckets in a row are written out rather than starting a new span
 * (prometheus/client_golang, histogram.go: "makeBuckets"). */
enum { MAX_GAP = 2 };

struct bucket_writer {
    struct histogram_span *spans; /* room for one per filled bucket, at most max_counts */
    uint64_t *counts;             /* room for max_counts */
    uint32_t max_counts;
    uint32_t n_spans;
    uint32_t n_counts;
    int64_t index; /* of the last bucket written */
};

/* Indexes rise from call to call. False when there is no room. */
static inline bool bucket_write(struct bucket_writer *w, int64_t index, uint64_t count)
{
    int64_t gap = w->n_spans == 0 ? 0 : index - w->index - 1;
    bool begins = w->n_spans == 0 || gap > MAX_GAP;
    if ((begins ? 0 : gap) + 1 > (int64_t)w->max_counts - w->n_counts) {
        return false;
    }
    if (begins) {
        int64_t offset = w->n_spans == 0 ? index : gap;
        w->spans[w->n_spans++] = (struct histogram_span){(int32_t)offset, 0};
        gap = 0;
    }
    struct histogram_span *span = &w->spans[w->n_spans - 1];
    for (; gap > 0; gap--) {
        w->counts[w->n_counts++] = 0;
        span->n++;
    }
    w->counts[w->n_counts++] = count;
    span->n++;
    w->index = index;
    return true;
}

struct bucket_reader {
    const struct exp_buckets *buckets;
    uint32_t span;
    uint32_t in_span;
    uint32_t at;
    int64_t index; /* of the bucket at `at`, once in_span is within its span */
    int down;      /* how much the schema is lowered */
};

static inline struct bucket_reader bucket_reader_of(const struct exp_buckets *b, int down)
{
    return (struct bucket_reader){
        .buckets = b, .index = b->n_spans == 0 ? 0 : b->spans[0].offset, .down = down};
}

/* Moves on to the next filled bucket, if the one at hand is empty. */
static inline bool bucket_seek(struct bucket_reader *r)
{
    const struct exp_buckets *b = r->buckets;
    while (r->at < b->n_counts) {
        while (r->in_span == b->spans[r->span].n) {
            r->index += b->spans[++r->span].offset;
            r->in_span = 0;
        }
        if (b->counts[r->at] != 0) {
            return true;
        }
        r->at++;
        r->in_span++;
        r->index++;
    }
    return false;
}

static inline uint64_t bucket_take(struct bucket_reader *r)
{
    r->in_span++;
    r->index++;
    return r->buckets->counts[r->at++];
}
