/* A Parquet file's footer as it stands in the file, for inspection and verification: of files like
 * ours (columns of at most one level of repetition). Not a reader for queries. All input is
 * untrusted. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "parquet/format.h"

struct file_leaf {
    struct slice path; /* "labels.key_value.key"; the arena's */
    enum parquet_physical physical;
    int32_t converted; /* enum parquet_converted */
    uint8_t max_definition;
    uint8_t max_repetition;
    bool is_timestamp_utc; /* LogicalType TIMESTAMP with isAdjustedToUTC */
};

/* Where something lies in the file; len 0: it is not there. */
struct file_span {
    int64_t at;
    int32_t len;
};

struct file_chunk {
    int64_t n_values; /* with nulls */
    int64_t plain_bytes;
    int64_t file_bytes;
    int64_t data_page;
    int64_t dictionary_page; /* 0: none */
    int32_t physical;
    int32_t codec;
    uint32_t encodings; /* bits 1 << encoding */
    int32_t n_data_pages[N_ENCODINGS];
    int32_t n_dictionary_pages;
    bool has_encoding_stats;
    bool has_null_count;
    bool has_bounds;
    bool min_exact;
    bool max_exact;
    int64_t n_nulls;
    struct slice min; /* the file's */
    struct slice max;
    struct file_span bloom;
    struct file_span column_index;
    struct file_span offset_index;
};

struct file_sorting {
    int32_t leaf;
    bool descending;
    bool nulls_first;
};

struct file_group {
    int64_t n_rows;
    int64_t plain_bytes;
    struct file_chunk *chunks; /* n_leaves */
    struct file_sorting *sorting;
    size_t n_sorting;
};

struct file_pair {
    struct slice key; /* the file's */
    struct slice value;
};

struct parquet_file {
    struct slice bytes; /* all of the file, the caller's */
    struct slice created_by;
    int64_t n_rows;
    struct file_leaf *leaves;
    size_t n_leaves;
    struct file_group *groups;
    size_t n_groups;
    struct file_pair *pairs;
    size_t n_pairs;
    size_t footer_bytes;
};

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

/* What it returns lives until the arena is reset. ERR_BAD_INPUT: not such a file. */
bool file_open(struct slice bytes, struct arena *a, struct parquet_file *out,
               struct err *e) MUST_CHECK;
/* The page at a place, before limit. */
bool file_page(const struct parquet_file *f, int64_t at, int64_t limit, struct file_page *out,
               struct err *e) MUST_CHECK;
bool file_index(const struct parquet_file *f, const struct file_chunk *chunk, struct arena *a,
                struct file_index *out, struct err *e) MUST_CHECK;
/* The Bloom filter's blocks. */
bool file_bloom(const struct parquet_file *f, const struct file_chunk *chunk, struct slice *out,
                struct err *e) MUST_CHECK;
