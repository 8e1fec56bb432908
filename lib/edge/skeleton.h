/* Skeletons: a server's next OTLP message differs from its last one in times and values alone, which
 * have their fixed places. Of each metric whose points were all accepted the bytes are kept, with holes
 * for these: if what comes next has the same length and the same bytes between the holes, it is the same
 * points, so that series and verdicts are those of last time and the values are read out of the holes.
 * Otherwise the metric is walked, and learned anew. Histograms have no fixed places: they are walked.
 *
 *   metric  0a name … 3a len { 0a len { 11 [start] 19 [time] 21|31 [value] 3a attribute … } 0a … }
 *   mould   the same bytes but for the holes: one for all servers that send them
 *   slot    a source's metric: its mould, its points' entries, and the slot that came behind it
 *
 * It never changes a result. Emptied as a whole at its ceiling, and with the series' cache, whose entries it
 * has. */
#pragma once

#include "edge/group.h"
#include "edge/series_cache.h"
#include "wire/otlp.h"

enum { SKELETON_MAX_POINTS = 512 }; /* per metric; larger ones are walked */

struct slot;
struct sheet;
struct mould;

/* What a metric's points are read into. */
struct skeleton_columns {
    int64_t times_ms[SKELETON_MAX_POINTS];
    int64_t starts_ms[SKELETON_MAX_POINTS];
    uint64_t values[SKELETON_MAX_POINTS];
};

/* Where a point's holes are: of start (if there is one), time and value, a tag in front of each. */
struct mould_point {
    uint32_t hole; /* the first one's place */
    uint16_t has_start;
    uint16_t value_tag; /* a double's or an integer's */
};

/* The metric that is being walked. */
struct skeleton_lesson {
    struct slice raw; /* ptr NULL = nothing to learn */
    uint64_t key;
    struct stream *stream;
    uint32_t n;
    const struct entry *entries[SKELETON_MAX_POINTS];
    struct mould_point points[SKELETON_MAX_POINTS];
    struct buf space;
};

struct skeletons {
    struct table sheets;
    struct table slots;
    struct table moulds;
    struct arena arena;
    size_t max_bytes; /* 0 = nothing is learned */
    uint64_t n_hits;  /* points */
    uint64_t n_misses;
    /* the message's */
    struct sheet *sheet; /* the resource's and scope's */
    struct slot *last;   /* the metric taken or learned last */
    struct skeleton_lesson lesson;
    struct skeleton_columns columns;
};

struct pass;

void skeletons_init(struct skeletons *s, size_t max_bytes);
void skeletons_fini(struct skeletons *s);
void skeletons_clear(struct skeletons *s);
size_t skeletons_bytes(const struct skeletons *s);
/* A new message; empties it at the ceiling. */
void skeletons_begin(struct skeletons *s);

/* A new resource or scope of the tenant (its salt). */
void skeleton_scope(struct skeletons *s, const struct otlp_resource *r, uint64_t salt);
/* How many points of the metric it has put into p's groups: all, or 0. m->key 0: by what came last
 * alone; otherwise by the key. */
uint32_t skeleton_take(struct skeletons *s, struct pass *p, const struct otlp_metric *m);

/* Learning: the metric begins; each of its points was accepted, or something else is the matter with it. */
void skeleton_learn(struct skeletons *s, const struct otlp_metric *m);
void skeleton_note(struct skeletons *s, const struct otlp_point *p, const struct entry *entry);
static inline void skeleton_spoil(struct skeletons *s)
{
    s->lesson.raw = SLICE_NONE;
}
/* The metric's end. What there is no memory for is not learned. */
void skeleton_keep(struct skeletons *s);
