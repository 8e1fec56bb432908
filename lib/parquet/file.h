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

/* What it returns lives until the arena is reset. ERR_BAD_INPUT: not such a file. */
bool file_open(struct slice bytes, struct arena *a, struct parquet_file *out,
               struct err *e) MUST_CHECK;
