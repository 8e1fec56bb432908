#include "batch/histogram.h"

enum { CLASSIC_HAS_SUM = 1, CLASSIC_STALE = 2 };

void classic_histogram_encode(const struct classic_histogram *h, struct buf *out)
{
    buf_u8(out, (uint8_t)((h->has_sum ? CLASSIC_HAS_SUM : 0) | (h->stale ? CLASSIC_STALE : 0)));
    buf_double(out, h->sum);
    buf_varint(out, h->count);
    for (uint32_t i = 0; i < h->n_counts; i++) {
        buf_varint(out, h->counts[i]);
    }
}

bool classic_histogram_skip(struct cursor *column, uint32_t n_bounds)
{
    uint8_t flags = cursor_u8(column);
    (void)cursor_take(column, sizeof(double));
    for (uint64_t i = 0; i < (uint64_t)n_bounds + 2 && cursor_ok(column); i++) {
        (void)cursor_varint(column); /* the count, and n_bounds + 1 buckets */
    }
    return cursor_ok(column) && flags <= (CLASSIC_HAS_SUM | CLASSIC_STALE);
}

bool classic_histogram_decode(struct cursor *column, uint32_t n_bounds, struct arena *a,
                              struct classic_histogram *out, struct err *e)
{
    uint8_t flags = cursor_u8(column);
    double sum = cursor_double(column);
    uint64_t count = cursor_varint(column);
    if (!cursor_ok(column) || cursor_left(column) < (uint64_t)n_bounds + 1) {
        return err_set(e, ERR_BAD_INPUT, "histogram: cut off");
    }
    if (flags > (CLASSIC_HAS_SUM | CLASSIC_STALE)) {
        return err_set(e, ERR_BAD_INPUT, "histogram: unknown flags");
    }
    uint64_t *counts = ARENA_ARRAY(a, uint64_t, (size_t)n_bounds + 1);
    if (counts == NULL) {
        return err_set(e, ERR_BAD_INPUT, "histogram: larger than its batch's memory");
    }
    for (uint32_t i = 0; i <= n_bounds; i++) {
        counts[i] = cursor_varint(column);
    }
    *out = (struct classic_histogram){.has_sum = (flags & CLASSIC_HAS_SUM) != 0,
                                      .stale = (flags & CLASSIC_STALE) != 0,
                                      .sum = sum,
                                      .count = count,
                                      .n_counts = n_bounds + 1,
                                      .counts = counts};
    return cursor_ok(column) || err_set(e, ERR_BAD_INPUT, "histogram: cut off");
}
