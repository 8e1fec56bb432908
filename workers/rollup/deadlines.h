/* Which stream's time is up first: a binary heap by due_ms. A stream's due_ms may lie before its
 * true deadline (records move that on); who takes it off the top looks again. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

/* The first member of what has a deadline. */
struct deadline {
    int64_t due_ms;
    size_t at; /* in the heap, from 1; 0 = not in it */
};

struct deadlines {
    struct deadline **items; /* owned; the deadlines are not */
    size_t n;
    size_t cap;
};

void deadlines_fini(struct deadlines *h);
/* Puts it in, or moves it. False: no memory. */
bool deadlines_put(struct deadlines *h, struct deadline *d, int64_t due_ms);
void deadlines_remove(struct deadlines *h, struct deadline *d);
/* The first one that was due before now_ms; NULL: none. It stays in. */
static inline struct deadline *deadlines_first(const struct deadlines *h, int64_t now_ms)
{
    return h->n > 0 && h->items[1]->due_ms < now_ms ? h->items[1] : NULL;
}
