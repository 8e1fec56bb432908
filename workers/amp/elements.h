/* Elements of a Snappy block (format_description.txt of google/snappy), and how what came before is
 * found. */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

enum {
    ELEMENT_LITERAL_HEAD = 5, /* bytes in front of a literal, at most */
    ELEMENT_MIN_COPY = 4,
    ELEMENT_MAX_COPY = 64,
    ELEMENT_MAX_OFFSET = 65535,
    ELEMENT_HASH_BITS = 14
};

/* What stands in front of n bytes of literal, 1 to 2^32; returns where these belong. */
static inline uint8_t *element_literal(uint8_t *to, size_t n)
{
    size_t code = n - 1;
    unsigned n_bytes = code < 60 ? 0 : code < 1u << 8 ? 1 : code < 1u << 16 ? 2 : code < 1u << 24 ? 3 : 4;
    assert(n > 0 && code <= UINT32_MAX);
    *to++ = (uint8_t)((n_bytes == 0 ? code : 59 + n_bytes) << 2);
    for (unsigned i = 0; i < n_bytes; i++) {
        *to++ = (uint8_t)(code >> (8 * i));
    }
    return to;
}

/* n may be 0: nothing. */
static inline void element_literal_put(struct buf *out, const uint8_t *bytes, size_t n)
{
    uint8_t head[ELEMENT_LITERAL_HEAD];
    if (n > 0) {
        buf_put(out, head, (size_t)(element_literal(head, n) - head));
        buf_put(out, bytes, n);
    }
}

/* A copy's offset of two bytes. */
static inline void element_offset(uint8_t *to, size_t offset)
{
    to[0] = (uint8_t)offset;
    to[1] = (uint8_t)(offset >> 8);
}

static inline uint32_t element_load(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Of four bytes. */
static inline uint32_t element_hash(uint32_t four)
{
    return (four * 0x1e35a7bdu) >> (32 - ELEMENT_HASH_BITS);
}
