#include "deadlines.h"

#include <stdlib.h>

void deadlines_fini(struct deadlines *h)
{
    free(h->items);
    free(h->due);
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

static void remove_first(struct deadlines *h)
{
    struct deadline *d = h->items[1];
    struct deadline *last = h->items[h->n--];
    if (last != d) {
        place(h, last, 1);
        sift_down(h, last);
    }
    d->at = 0;
}

static bool due_room(struct deadlines *h, size_t n)
{
    if (n < h->cap_due) {
        return true;
    }
    size_t cap = h->cap_due == 0 ? 64 : h->cap_due * 2;
    struct deadline **due = reallocarray(h->due, cap, sizeof *due);
    if (due == NULL) {
        return false;
    }
    h->due = due;
    h->cap_due = cap;
    return true;
}

bool deadlines_take(struct deadlines *h, int64_t now_ms, deadline_fn true_due, const void *ctx,
                    deadline_order_fn order, size_t *n)
{
    *n = 0;
    while (h->n > 0 && h->items[1]->due_ms < now_ms) {
        struct deadline *d = h->items[1];
        int64_t due_ms = true_due(ctx, d);
        if (due_ms >= now_ms) {
            d->due_ms = due_ms;
            sift_down(h, d);
            continue;
        }
        if (!due_room(h, *n)) {
            return false;
        }
        remove_first(h);
        h->due[(*n)++] = d;
    }
    if (*n > 1 && order != NULL) {
        qsort(h->due, *n, sizeof(struct deadline *), order);
    }
    return true;
}
