/* The points of one message, by stream (source and class), and the batches that they become. */
#pragma once

#include "base/buf.h"
#include "batch/batch.h"
#include "batch/histogram.h"
#include "edge/plan.h"
#include "edge/rejects.h"

/* One stream's points in order of arrival, in columns. */
struct group {
    struct stream *stream;
    uint32_t n;
    uint32_t cap;
    const struct entry **entries;
    int64_t *times_ms;
    int64_t *starts_ms;
    /* Of a scalar its bits; of a histogram the place and length of its bytes in `packed`, each 32
     * bits. */
    uint64_t *values;
    uint64_t time_diff; /* 0 = all times are equal */
    uint64_t start_diff;
    struct group *next;
};

/* Columns of points on their way into a group. */
struct group_columns {
    const int64_t *times_ms;
    const int64_t *starts_ms;
    const uint64_t *values;
};

struct groups {
    struct arena arena; /* one message's */
    struct buf packed;  /* its histograms' bytes, exponential and classic */
    struct buf encoded; /* a batch */
    struct group *first;
    struct group **last;
    uint64_t pass; /* counts the messages */
};

/* Where the batches go. */
struct batch_target {
    void *ctx;
    /* encoded: of b, until the next batch. */
    bool (*put)(void *ctx, const struct batch *b, uint32_t n_samples, struct slice encoded,
                struct err *e);
    /* Put into each batch, the index counted on; without a topic it stays as it is. */
    struct origin origin;
    int64_t received_ms;
    int64_t max_series;
    uint64_t n_samples; /* put out */
    struct rejects *rejects;
};

void groups_init(struct groups *g, size_t max_bytes);
void groups_fini(struct groups *g);
/* A new message: forgets all points. */
void groups_reset(struct groups *g);
/* The slow half of group_add: opens a group or makes room. NULL: no memory for this message. */
struct group *group_room(struct groups *g, struct stream *s);

static inline struct group *group_of(struct groups *g, struct stream *s)
{
    struct group *group = s->group;
    if (s->pass == g->pass && group->n < group->cap) {
        return group;
    }
    return group_room(g, s);
}

/* Is what stands behind start, a histogram, larger than readers take? Then it is taken off again: true. */
static inline bool packed_undo_large(struct buf *packed, size_t start)
{
    enum { LENGTH_BYTES = 3 }; /* of the varint in front, at such a size */
    bool is_large = packed->len - start > HISTOGRAM_MAX_BYTES + LENGTH_BYTES;
    packed->len = is_large ? start : packed->len;
    return is_large;
}

extern const char histogram_too_large[]; /* for a person */

/* The slice of `packed` behind start, as a histogram's value. */
static inline uint64_t packed_place(const struct buf *packed, size_t start)
{
    return (uint64_t)start << 32 | (packed->len - start);
}

static inline void group_add(struct group *group, const struct entry *entry, int64_t time_ms,
                             int64_t start_ms, uint64_t value)
{
    uint32_t i = group->n++;
    group->entries[i] = entry;
    group->times_ms[i] = time_ms;
    group->starts_ms[i] = start_ms;
    group->values[i] = value;
    group->time_diff |= (uint64_t)(time_ms ^ group->times_ms[0]);
    group->start_diff |= (uint64_t)(start_ms ^ group->starts_ms[0]);
}

/* Adds n points of a stream. False: no memory for this message. */
bool group_add_all(struct groups *g, struct stream *s, uint32_t n, const struct entry *const *entries,
                   const struct group_columns *c) MUST_CHECK;

/* All groups become batches. Points that can't go along (twice, colliding, too many) are added to
 * the rejects. ERR_BAD_INPUT with code REASON_TOO_LARGE: the message as a whole must be refused. */
bool groups_emit(struct groups *g, struct plan_cache *plans, const struct series_cache *series,
                 struct batch_target *target, struct err *e) MUST_CHECK;
