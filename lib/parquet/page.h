/* A page as it stands in the file: its header (thrift), then the body, compressed. A V1 data page's
 * body:
 *
 *   repetition levels | definition levels | values        levels: length as 32 bits, RLE; only if
 * there are any
 *
 * Source: parquet.thrift PageHeader, apache/parquet-format README "Data Pages". */
#pragma once

#include "parquet/bounds.h"

enum parquet_codec {
    PARQUET_UNCOMPRESSED = 0,
    PARQUET_SNAPPY = 1,
    PARQUET_ZSTD = 6
}; /* the file's numbers */

struct page {
    struct page *next;
    struct slice bytes; /* header and body; the group arena's */
    size_t plain_bytes; /* header and the body before compression */
    enum parquet_page_encoding encoding;
    uint32_t n_levels; /* values with the nulls */
    uint32_t n_nulls;
    uint32_t n_rows;
    struct bounds bounds;
};

/* What turns bodies into pages; one per writer. */
struct press {
    enum parquet_codec codec;
    bool checksums;
    void *zstd; /* ZSTD_CCtx */
    struct buf body;
    struct buf packed;
    struct buf header;
};

/* max_bytes: of each of the bufs. */
bool press_init(struct press *p, enum parquet_codec codec, int zstd_level, bool checksums,
                size_t max_bytes, struct err *e) MUST_CHECK;
void press_fini(struct press *p);
size_t press_held_bytes(const struct press *p);

/* Compresses p->body, which fills page->bytes and page->plain_bytes from the arena. A full arena or
 * a body over the ceiling is ERR_BAD_INPUT. */
bool press_page(struct press *p, enum parquet_page_type type, struct page *page, struct arena *a,
                struct err *e) MUST_CHECK;
