#include "work.h"

#include <assert.h>
#include <stdlib.h>

struct work *work_new(size_t n_pieces)
{
    return calloc(1, sizeof(struct work) + n_pieces * sizeof(struct piece));
}

struct work *work_like(const struct work *w, size_t n_pieces)
{
    struct work *made = work_new(n_pieces);
    if (made != NULL) {
        *made = *w;
        made->next = NULL;
        made->n_pieces = 0;
        made->n_points = 0;
    }
    return made;
}

static int id_cmp(struct hash128 a, struct hash128 b)
{
    if (a.hi != b.hi) {
        return a.hi < b.hi ? -1 : 1;
    }
    return (a.lo > b.lo) - (a.lo < b.lo);
}

static bool same_series(const struct piece *a, const struct piece *b)
{
    return hash128_eq(piece_series(a)->id, piece_series(b)->id);
}

/* By series, then time, then as they came. */
static int piece_cmp(const void *left, const void *right)
{
    const struct piece *a = left;
    const struct piece *b = right;
    int order = id_cmp(piece_series(a)->id, piece_series(b)->id);
    if (order != 0) {
        return order;
    }
    int64_t a_ms = scrape_time_ms(a->scrape, a->from);
    int64_t b_ms = scrape_time_ms(b->scrape, b->from);
    if (a_ms != b_ms) {
        return a_ms < b_ms ? -1 : 1;
    }
    return (a->scrape->offset > b->scrape->offset) - (a->scrape->offset < b->scrape->offset);
}

/* Of equal times none is the newest. */
static void shadows_mark(struct work *w)
{
    for (uint32_t i = 0; i < w->n_pieces; i++) {
        struct piece *p = &w->pieces[i];
        bool behind = i + 1 < w->n_pieces && same_series(p, &w->pieces[i + 1]);
        bool beside = i > 0 && same_series(p, &w->pieces[i - 1]) &&
                      scrape_time_ms(p->scrape, p->from) ==
                          scrape_time_ms(w->pieces[i - 1].scrape, w->pieces[i - 1].from);
        p->shadowed = p->shadowed || behind || beside;
    }
}

struct work *work_singles(const struct work *w)
{
    struct work *made = work_like(w, w->n_points);
    if (made == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < w->n_pieces; i++) {
        const struct piece *p = &w->pieces[i];
        for (uint32_t at = p->from; at < p->to; at++) {
            work_add(made,
                     (struct piece){p->scrape, at, at + 1, p->shadowed, p->named, p->parked_ms});
        }
    }
    qsort(made->pieces, made->n_pieces, sizeof *made->pieces, piece_cmp);
    shadows_mark(made);
    made->singles = true;
    return made;
}

bool work_begins_series(const struct work *w, uint32_t piece)
{
    return piece == 0 || !same_series(&w->pieces[piece - 1], &w->pieces[piece]);
}

uint32_t work_middle(const struct work *w)
{
    assert(w->singles && w->n_pieces > 1);
    uint32_t middle = w->n_pieces / 2;
    uint32_t most = 1; /* in a part */
    while (most * 2 < w->n_pieces) {
        most *= 2;
    }
    for (uint32_t up = middle; up <= most; up++) {
        uint32_t down = w->n_pieces - up;
        if (work_begins_series(w, up)) {
            return up;
        }
        if (work_begins_series(w, down)) {
            return down;
        }
    }
    return middle;
}
