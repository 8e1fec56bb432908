/* Reading Avro binary by hand (Avro specification, "Binary Encoding"): arrays come in blocks, each
 * a count and, when that is negative, also the block's size in bytes; a block of 0 items ends it:
 *
 *   for (struct blocks b = {0}; blocks_next(&c, &b, item_bytes);) { one item }
 *
 * Stock writers use any number of blocks; ours writes one. */
#pragma once

#include "base/cursor.h"

enum { AVRO_HEAD_BYTES = 10 }; /* C3 01 and the schema's fingerprint */

struct blocks {
    uint64_t n_left;    /* items of this block */
    const uint8_t *end; /* where this block has to end; NULL when it does not say */
    bool done;
};

/* The head of the next block; its count is believed only as far as the bytes left can hold items
 * of at least item_bytes. False at the array's end and when *c failed. */
bool blocks_open(struct cursor *c, struct blocks *b, size_t item_bytes);

/* Before each item: true when there is one. */
static inline bool blocks_next(struct cursor *c, struct blocks *b, size_t item_bytes)
{
    if (b->n_left == 0) {
        return blocks_open(c, b, item_bytes);
    }
    b->n_left--;
    return cursor_ok(c);
}

/* Avro's int: a zigzag of 32 bits. */
static inline int32_t avro_int(struct cursor *c)
{
    int64_t v = cursor_zigzag(c);
    if (v < INT32_MIN || v > INT32_MAX) {
        cursor_fail(c);
        return 0;
    }
    return (int32_t)v;
}

/* An index or an enum's symbol: below n, or *c fails. */
static inline uint32_t avro_index(struct cursor *c, uint32_t n)
{
    uint64_t v = cursor_varint(c);
    if ((v & 1) != 0 || v >> 1 >= n) { /* odd = negative */
        cursor_fail(c);
        return 0;
    }
    return (uint32_t)(v >> 1);
}
