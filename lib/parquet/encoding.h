/* Parquet's encodings of values and levels (apache/parquet-format Encodings.md). All write into a
 * buf, whose failure is sticky. Fixed-width values come as the bytes that PLAIN has: little-endian,
 * packed. */
#pragma once

#include "base/buf.h"

/* How many bits hold all of 0..max; 0 for max 0. */
static inline unsigned bit_width_of(uint32_t max)
{
    return max == 0 ? 0 : 32 - (unsigned)__builtin_clz(max);
}

/* RLE / bit-packing hybrid (3), without a length in front. Runs of 8 equal values and more become
 * one token; 1 <= bit_width <= 32. */
void rle_encode(const uint32_t *values, size_t n, unsigned bit_width, struct buf *out);
/* DELTA_BINARY_PACKED (5), blocks of 128 in 4 miniblocks; differences wrap around. */
void delta_encode(struct slice plain, unsigned width, struct buf *out);
/* BYTE_STREAM_SPLIT (9): all first bytes, all second bytes, … */
void split_encode(struct slice plain, unsigned width, struct buf *out);
/* PLAIN booleans: a bit each, from the lowest on; a byte each comes in. */
void bits_encode(struct slice bytes, struct buf *out);
