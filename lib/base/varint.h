/* A base-128 varint as protobuf and Avro have it, written into room that is there. Read by cursor. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How much room varint_write needs, though it returns less. */
enum { VARINT_SPACE = 10 };

/* A base-128 varint at p; how many bytes it has. Up to 56 bits without a branch on the length: bucket
 * counts are a mix that no predictor guesses. */
static inline size_t varint_write(uint8_t *p, uint64_t v)
{
    if (v >> 56 == 0) {
        size_t n = ((size_t)(63 - __builtin_clzll(v | 1)) + 7) / 7;
        uint64_t more = UINT64_C(0x8080808080808080) & ((UINT64_C(1) << (8 * (n - 1))) - 1);
        v = (v & UINT64_C(0x000000000fffffff)) | (v & UINT64_C(0x00fffffff0000000)) << 4;
        v = (v & UINT64_C(0x00003fff00003fff)) | (v & UINT64_C(0x0fffc0000fffc000)) << 2;
        v = (v & UINT64_C(0x007f007f007f007f)) | (v & UINT64_C(0x3f803f803f803f80)) << 1;
        v |= more;
        memcpy(p, &v, sizeof v);
        return n;
    }
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) {
        p[n++] = (uint8_t)(v | 0x80);
    }
    p[n++] = (uint8_t)v;
    return n;
}
