/* A histogram's columns of a chunk of rows, for both kinds: count and sum, the native ones' buckets
 * and those of explicit bounds as lists. Rows that are none, or of the other kind, are NULL there.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "batch/series.h"
#include "parquet/writer.h"

enum { CHUNK_ROWS = 2048 };

enum histogram_column {
    HISTOGRAM_COUNT,
    HISTOGRAM_SUM,
    EXP_SCHEMA,
    EXP_ZERO_THRESHOLD,
    EXP_ZERO_COUNT,
    EXP_POSITIVE_INDEX,
    EXP_POSITIVE_COUNT,
    EXP_NEGATIVE_INDEX,
    EXP_NEGATIVE_COUNT,
    BUCKET_BOUNDS,
    BUCKET_COUNTS,
    N_HISTOGRAM_COLUMNS
};
enum { N_HISTOGRAM_LISTS = N_HISTOGRAM_COLUMNS - EXP_POSITIVE_INDEX };

/* A LIST column. */
struct list_column {
    struct buf values;
    uint32_t n[CHUNK_ROWS];
};

struct histogram_columns {
    int64_t count[CHUNK_ROWS];
    double sum[CHUNK_ROWS];
    int32_t exp_schema[CHUNK_ROWS];
    double exp_zero_threshold[CHUNK_ROWS];
    int64_t exp_zero_count[CHUNK_ROWS];
    struct list_column lists[N_HISTOGRAM_LISTS];
    bool no_count[CHUNK_ROWS];
    bool no_sum[CHUNK_ROWS];
    bool no_exp[CHUNK_ROWS];
    bool no_classic[CHUNK_ROWS];
    struct arena arena; /* of the row at hand */
};

void histogram_columns_init(struct histogram_columns *h);
void histogram_columns_fini(struct histogram_columns *h);
/* Empties the lists. */
void histogram_columns_reset(struct histogram_columns *h);
/* Of the longest list. */
size_t histogram_columns_bytes(const struct histogram_columns *h);

/* A row without a histogram. */
void histogram_none(struct histogram_columns *h, size_t row);
/* Takes one of the series' kind from packed. ERR_BAD_INPUT: no such histogram; ERR_RETRY: no
 * memory. */
bool histogram_put(struct histogram_columns *h, size_t row, const struct series *s,
                   struct cursor *packed, bool *stale, struct err *e) MUST_CHECK;

/* All of them but for their names; out has N_HISTOGRAM_COLUMNS. */
void histogram_fields(bool portable, struct parquet_field *out);
void histogram_columns_get(const struct histogram_columns *h, struct parquet_column *out);
