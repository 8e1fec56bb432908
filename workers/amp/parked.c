#include "parked.h"

#include <stdlib.h>

void parked_init(struct parked *p)
{
    *p = (struct parked){.n = 0};
    table_init(&p->series, 0, NULL);
}

void parked_fini(struct parked *p)
{
    free(p->points);
    table_fini(&p->series);
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
    p->points[p->n++] = (struct parked_point){piece, maybe_there};
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
    size_t n_kept = 0;
    w->sent_before = true;
    for (size_t i = 0; i < p->n; i++) {
        struct parked_point point = p->points[i];
        struct hash128 id = piece_series(&point.piece)->id;
        bool take = table_find(&chosen, id) != NULL;
        if (!take && chosen.n < n_series) {
            take = table_put(&chosen, id, &chosen_mark, 0);
        }
        if (take) {
            work_add(w, point.piece);
            w->maybe_there = w->maybe_there || point.maybe_there;
        } else {
            p->points[n_kept++] = point;
        }
    }
    p->n = n_kept;
    table_fini(&chosen);
    series_rebuild(p);
    return w;
}

bool parked_take_expired(struct parked *p, int64_t before_ms, struct parked_point *out)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->points[i].piece.parked_ms <= before_ms) {
            *out = p->points[i];
            memmove(&p->points[i], &p->points[i + 1], (p->n - i - 1) * sizeof *p->points);
            p->n--;
            if (p->n == 0) {
                table_clear(&p->series);
            }
            return true;
        }
    }
    return false;
}
