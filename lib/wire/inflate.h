/* Decompression of what peers send: gzip (RFC 1952), zstd (RFC 8878) and snappy's block format (not
 * its framed one). The output is capped before it is allocated or while it grows, so that a bomb
 * costs no more than the cap; zstd's window too. Several gzip members or zstd frames in a row are
 * one text, as their RFCs say; anything else behind the end is refused. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum inflate_format { INFLATE_SNAPPY, INFLATE_GZIP, INFLATE_ZSTD };

/* e.code of an ERR_BAD_INPUT: an HTTP server answers 413 to the one, 400 to the other. */
enum inflate_fault { INFLATE_MALFORMED = 1, INFLATE_TOO_LARGE };

/* Appends to out, at most max_bytes; out's own ceiling counts as well. On false what out has got is
 * to be thrown away. */
bool inflate_bytes(enum inflate_format format, struct slice in, size_t max_bytes, struct buf *out,
                   struct err *e) MUST_CHECK;
