/* Whether a file is what it says: every page is read, and statistics, page index, Bloom filters,
 * counts, sizes and the order of rows are held against the values. */
#pragma once

#include "parquet/file.h"

struct verify_totals {
    int64_t n_pages;
    int64_t n_values;
    int64_t n_nulls;
    int64_t n_column_indexes;
    int64_t n_bloom_filters;
    int64_t n_sorted_rows;
};

/* max_bytes: of a page, a dictionary and a row group's index, each. ERR_BAD_INPUT names row group,
 * column and page. */
bool verify_file(const struct parquet_file *f, size_t max_bytes, struct verify_totals *out,
                 struct err *e) MUST_CHECK;
