#include "parked.h"

#include <stdlib.h>

void parked_init(struct parked *p)
{
    *p = (struct parked){.oldest_ms = INT64_MAX};
    table_init(&p->series, 0, NULL);
}

void parked_fini(struct parked *p)
{
    free(p->points);
    table_fini(&p->series);
}

/* Into its place among those that stay, or come. */
static void keep(struct parked *p, struct parked_point point)
{
    p->points[p->n++] = point;
    p->oldest_ms = point.piece.parked_ms < p->oldest_ms ? point.piece.parked_ms : p->oldest_ms;
}

static void leave(struct parked *p, const struct piece *piece)
{
    if (--piece->scrape->n_parked == 0) {
        p->n_bytes -= piece->scrape->n_bytes;
    }
}

bool parked_put(struct parked *p, struct piece piece, int64_t now_ms, bool maybe_there)
{
    static char present;
    if (p->n == p->cap) {
        size_t cap = p->cap == 0 ? 64 : p->cap * 2;
        struct parked_point *points = realloc(p->points, cap * sizeof *points);
        if (points == NULL) {
            return false;
        }
        p->points = points;
        p->cap = cap;
    }
    if (!table_put(&p->series, piece_series(&piece)->id, &present, 0)) {
        return false;
    }
    piece.parked_ms = piece.parked_ms == 0 ? now_ms : piece.parked_ms;
    if (piece.scrape->n_parked++ == 0) {
        p->n_bytes += piece.scrape->n_bytes;
    }
    keep(p, (struct parked_point){piece, maybe_there});
    return true;
}

static void series_rebuild(struct parked *p)
{
    static char present;
    table_clear(&p->series);
    for (size_t i = 0; i < p->n; i++) {
        /* They were there before: the table has the room. */
        (void)table_put(&p->series, piece_series(&p->points[i].piece)->id, &present, 0);
    }
}

struct work *parked_take(struct parked *p, size_t n_series)
{
    static char chosen_mark;
    struct work *w = work_new(p->n);
    struct table chosen;
    if (w == NULL || p->n == 0) {
        free(w);
        return NULL;
    }
    table_init(&chosen, 0, NULL);
    size_t n = p->n;
    p->n = 0;
    p->oldest_ms = INT64_MAX;
    w->sent_before = true;
    for (size_t i = 0; i < n; i++) {
        struct parked_point point = p->points[i];
        struct hash128 id = piece_series(&point.piece)->id;
        bool take = table_find(&chosen, id) != NULL;
        if (!take && chosen.n < n_series) {
            take = table_put(&chosen, id, &chosen_mark, 0);
        }
        if (take) {
            leave(p, &point.piece);
            work_add(w, point.piece);
            w->maybe_there = w->maybe_there || point.maybe_there;
        } else {
            keep(p, point);
        }
    }
    table_fini(&chosen);
    series_rebuild(p);
    return w;
}

bool parked_expire(struct parked *p, int64_t before_ms, parked_end_fn end, void *ctx, struct err *e)
{
    if (p->oldest_ms > before_ms) {
        return true;
    }
    size_t n = p->n;
    bool ok = true;
    p->n = 0;
    p->oldest_ms = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        struct parked_point point = p->points[i];
        if (!ok || point.piece.parked_ms > before_ms) {
            keep(p, point);
        } else {
            leave(p, &point.piece);
            ok = end(ctx, &point, e);
        }
    }
    series_rebuild(p);
    return ok;
}
