/* Which of a stream's last windows have a row: 64 of them, by event time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { HISTORY_WINDOWS = 64 };

struct history {
    int64_t end_ms;    /* of the last row */
    uint64_t has_rows; /* bit i: of the window that ends i windows before */
};

/* Rows come oldest first. */
static inline void history_add(struct history *h, int64_t end_ms, int64_t window_ms)
{
    int64_t n = h->has_rows == 0 ? HISTORY_WINDOWS : (end_ms - h->end_ms) / window_ms;
    if (n >= 0) {
        h->has_rows = (n < HISTORY_WINDOWS ? h->has_rows << n : 0) | 1;
        h->end_ms = end_ms;
    }
}

static inline bool history_has(const struct history *h, int64_t end_ms, int64_t window_ms)
{
    int64_t n = h->has_rows == 0 ? -1 : (h->end_ms - end_ms) / window_ms;
    return n >= 0 && n < HISTORY_WINDOWS && (h->has_rows >> n & 1) != 0;
}
