/* Parquet's encodings, read: the other side of encoding.h. Input is untrusted: each function says
 * false when the bytes are not that encoding of n values. */
#pragma once

#include "base/cursor.h"

/* RLE / bit-packing hybrid, n values of bit_width bits (0 to 32). */
bool rle_decode(struct cursor *in, unsigned bit_width, size_t n, uint32_t *out);
/* DELTA_BINARY_PACKED: n values of 4 or 8 bytes, little-endian, into out. */
bool delta_decode(struct cursor *in, unsigned width, size_t n, uint8_t *out);
/* BYTE_STREAM_SPLIT into n values of width bytes. */
bool split_decode(struct cursor *in, unsigned width, size_t n, uint8_t *out);
/* PLAIN booleans, into a byte each. */
bool bits_decode(struct cursor *in, size_t n, uint8_t *out);
/* PLAIN texts: 32 bits of length in front of each. The slices point into the input. */
bool texts_decode(struct cursor *in, size_t n, struct slice *out);
