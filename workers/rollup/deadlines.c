#include "deadlines.h"

#include <stdlib.h>

void deadlines_fini(struct deadlines *h)
{
    free(h->items);
    *h = (struct deadlines){0};
}

static void place(struct deadlines *h, struct deadline *d, size_t at)
{
    h->items[at] = d;
    d->at = at;
}

static void sift_up(struct deadlines *h, struct deadline *d)
{
    size_t at = d->at;
    while (at > 1 && h->items[at / 2]->due_ms > d->due_ms) {
        place(h, h->items[at / 2], at);
        at /= 2;
    }
    place(h, d, at);
}

static void sift_down(struct deadlines *h, struct deadline *d)
{
    size_t at = d->at;
    for (;;) {
        size_t child = 2 * at;
        if (child > h->n) {
            break;
        }
        if (child < h->n && h->items[child + 1]->due_ms < h->items[child]->due_ms) {
            child++;
        }
        if (h->items[child]->due_ms >= d->due_ms) {
            break;
        }
        place(h, h->items[child], at);
        at = child;
    }
    place(h, d, at);
}

bool deadlines_put(struct deadlines *h, struct deadline *d, int64_t due_ms)
{
    if (d->at == 0) {
        if (h->n + 2 > h->cap) {
            size_t cap = h->cap == 0 ? 64 : h->cap * 2;
            struct deadline **items = reallocarray(h->items, cap, sizeof *items);
            if (items == NULL) {
                return false;
            }
            h->items = items;
            h->cap = cap;
        }
        h->n++;
        place(h, d, h->n);
    }
    d->due_ms = due_ms;
    sift_up(h, d);
    sift_down(h, d);
    return true;
}

void deadlines_remove(struct deadlines *h, struct deadline *d)
{
    struct deadline *last = h->items[h->n--];
    if (last != d) {
        place(h, last, d->at);
        sift_up(h, last);
        sift_down(h, last);
    }
    d->at = 0;
}
