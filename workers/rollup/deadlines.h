/* Which stream's time is up first: a binary heap by due_ms. A stream's due_ms may lie before its
 * true deadline (records move that on), never behind it. */
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
    struct deadline **due; /* owned: deadlines_take's */
    size_t cap_due;
};

void deadlines_fini(struct deadlines *h);
/* Puts it in, or moves it. False: no memory. */
bool deadlines_put(struct deadlines *h, struct deadline *d, int64_t due_ms);

/* The true deadline of one, as things are. */
typedef int64_t (*deadline_fn)(const void *ctx, const struct deadline *d);
/* As qsort's, of two struct deadline *const *. */
typedef int (*deadline_order_fn)(const void *a, const void *b);
/* Takes those out that are truly due before now_ms: *n of them in h->due, until the next call.
 * Their order is the caller's, not the heap's: that depends on how the deadlines came to be, and
 * whoever recovers has come another way. order NULL, for tests: as they come. False: no memory. */
bool deadlines_take(struct deadlines *h, int64_t now_ms, deadline_fn true_due, const void *ctx,
                    deadline_order_fn order, size_t *n) MUST_CHECK;
