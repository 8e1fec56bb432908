#include "wire/avro_blocks.h"

bool blocks_open(struct cursor *c, struct blocks *b, size_t item_bytes)
{
    if (b->done || !cursor_ok(c)) {
        return false;
    }
    if (b->end != NULL && b->end != c->next) {
        cursor_fail(c);
        return false;
    }
    b->end = NULL;
    int64_t n = cursor_zigzag(c);
    if (n < 0) {
        int64_t n_bytes = cursor_zigzag(c);
        if (n == INT64_MIN || n_bytes < 0 || (uint64_t)n_bytes > cursor_left(c)) {
            cursor_fail(c);
            return false;
        }
        n = -n;
        b->end = c->next + n_bytes;
    }
    if ((uint64_t)n > cursor_left(c) / item_bytes) {
        cursor_fail(c);
        return false;
    }
    b->done = n == 0;
    b->n_left = n == 0 ? 0 : (uint64_t)n - 1;
    return n > 0 && cursor_ok(c);
}
