/* One request's worth of points, and how a refused one is taken apart: by series, then by time
 * within a series, down to the single point. */
#pragma once

#include "scrape.h"

struct work {
    struct work *next; /* in a stack */
    bool sent_before;  /* its points were in a request that was refused */
    bool maybe_there;  /* … or in one whose outcome is unknown */
    bool singles;      /* pieces of one point each, sorted by series and time */
    bool parted;       /* known and unknown series are already apart */
    bool suspect;      /* of unknown series, refused in a way that a limit explains */
    bool probe;        /* tries whether the limit still holds */
    bool sibling;      /* the right half of what was refused; the left one goes first */
    bool bad;          /* holds a culprit: its left half was taken */
    bool rest;         /* nothing is known of it: what was beside the culprits */
    bool named;        /* one point, which the store named */
    bool has_late;     /* late_ms counts */
    int64_t late_ms;   /* points up to then were older than the window when first sent */
    uint32_t n_points;
    uint32_t n_pieces;
    struct piece pieces[];
};

/* Room for n pieces, empty; NULL: out of memory. */
struct work *work_new(size_t n_pieces);
static inline void work_add(struct work *w, struct piece p)
{
    w->pieces[w->n_pieces++] = p;
    w->n_points += p.to - p.from;
}
static inline const struct wire_series *piece_series(const struct piece *p)
{
    return &p->scrape->shape->series[p->from];
}

/* An equal one in single points; NULL: out of memory. Each is marked whether another one of its
 * series, at its time or later, is in there. */
struct work *work_singles(const struct work *w);
/* An empty one with the same marks. */
struct work *work_like(const struct work *w, size_t n_pieces);
/* Where singles are to be cut in two: no part has more than the next power of two's half; between
 * two series if that allows it. 0 < result < n. */
uint32_t work_middle(const struct work *w);
/* Is no point of its series before it among these singles? */
bool work_begins_series(const struct work *w, uint32_t piece);
