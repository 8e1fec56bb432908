/* Reads one chunk of a file page by page: levels and values as they were before encoding, and
 * whatever a page says of itself checked on the way. */
#pragma once

#include "parquet/file_pages.h"

struct column_reader {
    const struct parquet_file *file; /* the caller's, as all of these */
    const struct file_leaf *leaf;
    const struct file_chunk *chunk;
    struct arena page;       /* of the current page */
    struct arena dictionary; /* of the chunk */
    int64_t at;
    int64_t end;
    const void *entries; /* the dictionary's values, as in decoded_page */
    size_t n_entries;
    int32_t n_data_pages[N_ENCODINGS];
    int32_t n_dictionary_pages;
    int64_t plain_bytes; /* headers and bodies so far */
};

/* Valid until the next page is read. */
struct decoded_page {
    size_t n_levels; /* 0: the chunk is at its end */
    size_t n_values; /* not null */
    size_t n_rows;   /* that begin in it */
    const uint32_t *repetition;
    const uint32_t *definition;
    const void
        *values; /* little-endian, 4 or 8 bytes each, a byte per boolean; struct slice for texts */
    int64_t at;  /* in the file */
    int64_t n_bytes;
};

/* Bytes of a value in decoded_page.values. */
size_t column_stride(enum parquet_physical physical);

/* max_bytes: of a page, and of the dictionary, in memory. */
void column_reader_init(struct column_reader *r, const struct parquet_file *file,
                        const struct file_leaf *leaf, const struct file_chunk *chunk,
                        size_t max_bytes);
void column_reader_fini(struct column_reader *r);
/* ERR_BAD_INPUT: a page that is damaged, or not of the kinds we write (V1; PLAIN, RLE_DICTIONARY,
 * DELTA_BINARY_PACKED, BYTE_STREAM_SPLIT; zstd, snappy, uncompressed). */
bool column_reader_next(struct column_reader *r, struct decoded_page *out,
                        struct err *e) MUST_CHECK;
