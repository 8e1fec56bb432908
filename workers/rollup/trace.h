/* What closing a window tells of itself, for whoever doubts a number (--explain). A worker has no
 * trace: then all it costs is to see that it is NULL. */
#pragma once

#include "base/slice.h"

struct point;
struct stream;
struct window;

/* What became of a point, as a name and in words. */
#define POINT_EFFECTS(EFFECT)                                                                      \
    EFFECT(BASELINE, "baseline", "the series' past is unknown: adds nothing")                      \
    EFFECT(BORN, "born", "it started within the horizon: all of it counts")                        \
    EFFECT(GREW, "grew", "")                                                                       \
    EFFECT(STARTED_ANEW, "reset_start", "reset: its start is behind the sample before")            \
    EFFECT(FELL, "reset_fall", "reset: it fell")                                                   \
    EFFECT(ADDED, "added", "")                                                                     \
    EFFECT(ENDED, "ended", "stale marker: says that it ended, keeps the state")                    \
    EFFECT(REPLACED, "replaced", "the same time comes again: the later offset counts")             \
    EFFECT(INVALID, "invalid", "can't be calculated with: left out")

#define POINT_ENUM(id, name, words) POINT_##id,
enum point_effect { POINT_EFFECTS(POINT_ENUM) N_POINT_EFFECTS };
#undef POINT_ENUM

/* A point that came after its window had closed. */
struct late_told {
    uint32_t slot;
    int64_t ms;
    int64_t end_ms; /* of its window */
    bool is_kept;   /* for the stream's next record; a cumulative one is in the next total anyway */
    double value;
    struct slice packed; /* of histograms */
};

struct trace {
    void *ctx;
    /* A series of the window at hand (NULL: it has none) is about to be worked out. */
    void (*series)(void *ctx, const struct stream *s, const struct window *w, uint32_t slot,
                   bool is_known);
    /* Of that series; added: to its delta, observations of histograms. point->order: which of the
     * window's scrapes it is from. */
    void (*point)(void *ctx, const struct point *p, enum point_effect effect, double added);
    void (*late)(void *ctx, const struct stream *s, const struct late_told *l);
};
