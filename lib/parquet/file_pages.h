/* What a file's footer points to: page headers, the page index, Bloom filters. All input is
 * untrusted. */
#pragma once

#include "parquet/file.h"

struct file_page {
    int32_t type; /* enum parquet_page_type */
    int32_t encoding;
    int32_t n_values;
    int64_t plain_bytes; /* of the body */
    struct slice body;   /* compressed; the file's */
    size_t header_bytes;
    bool has_checksum;
    uint32_t checksum;
};

struct file_location {
    int64_t at;
    int32_t len;
    int64_t first_row;
};

/* The page index of a chunk, n_pages entries each; the arena's. */
struct file_index {
    bool has_locations; /* there is an OffsetIndex; without it nothing else is looked for */
    size_t n_pages;
    struct file_location *locations;
    bool has_bounds; /* there is a ColumnIndex */
    bool *null_pages;
    struct slice *min;
    struct slice *max;
    int64_t *n_nulls;
    bool has_null_counts;
    int32_t order; /* enum parquet_boundary_order */
};

/* The page at a place, before limit. */
bool file_page(const struct parquet_file *f, int64_t at, int64_t limit, struct file_page *out,
               struct err *e) MUST_CHECK;
bool file_index(const struct parquet_file *f, const struct file_chunk *chunk, struct arena *a,
                struct file_index *out, struct err *e) MUST_CHECK;
/* The Bloom filter's blocks. */
bool file_bloom(const struct parquet_file *f, const struct file_chunk *chunk, struct slice *out,
                struct err *e) MUST_CHECK;
