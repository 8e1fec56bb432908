/* The columns of the table of raw samples, and rows of them in memory; of samples.c alone. */
#pragma once

#include "layout.h"
#include "parquet/writer.h"
#include "row.h"

enum { CHUNK_ROWS = 2048 };

enum column {
    TENANT,
    METRIC,
    KIND,
    TEMPORALITY,
    UNIT,
    CLASS,
    SERIES,
    SOURCE,
    N_TEXTS, /* what is above: the same for all rows of a head */
    LABELS = N_TEXTS,
    TS,
    TS_MS,
    VALUE,
    STALE,
    COUNT,
    SUM,
    EXP_SCHEMA,
    EXP_ZERO_THRESHOLD,
    EXP_ZERO_COUNT,
    EXP_POSITIVE_INDEX,
    EXP_POSITIVE_COUNT,
    EXP_NEGATIVE_INDEX,
    EXP_NEGATIVE_COUNT,
    BUCKET_BOUNDS,
    BUCKET_COUNTS,
    KAFKA_PARTITION,
    KAFKA_OFFSET,
    N_COLUMNS /* label columns come behind */
};
enum { MAX_COLUMNS = N_COLUMNS + LAYOUT_MAX_LABEL_COLUMNS };

/* A LIST column of the chunk. */
struct list {
    struct buf values;
    uint32_t n[CHUNK_ROWS];
};

enum { N_LISTS = BUCKET_COUNTS - EXP_POSITIVE_INDEX + 1 };

struct chunk {
    size_t n_rows;
    struct slice texts[N_TEXTS][CHUNK_ROWS];
    struct slice label_columns[LAYOUT_MAX_LABEL_COLUMNS][CHUNK_ROWS];
    bool label_nulls[LAYOUT_MAX_LABEL_COLUMNS][CHUNK_ROWS];
    uint32_t n_labels[CHUNK_ROWS];
    struct buf label_names; /* struct slice each */
    struct buf label_values;
    int64_t ts_ms[CHUNK_ROWS];
    double value[CHUNK_ROWS];
    bool stale[CHUNK_ROWS];
    int64_t count[CHUNK_ROWS];
    double sum[CHUNK_ROWS];
    int32_t exp_schema[CHUNK_ROWS];
    double exp_zero_threshold[CHUNK_ROWS];
    int64_t exp_zero_count[CHUNK_ROWS];
    struct list lists[N_LISTS];
    int32_t partition[CHUNK_ROWS];
    int64_t offset[CHUNK_ROWS];
    bool no_temporality[CHUNK_ROWS]; /* gauges */
    bool no_value[CHUNK_ROWS];       /* histograms */
    bool no_count[CHUNK_ROWS];       /* scalars */
    bool no_sum[CHUNK_ROWS];
    bool no_exp[CHUNK_ROWS];
    bool no_classic[CHUNK_ROWS];
    struct arena texts_arena; /* the heads' */
    struct arena histogram;   /* of the row at hand */
};

/* Their names, the partition columns' behind them, NULL. */
extern const char *const samples_column_names[];

/* All fields, the layout's label columns behind N_COLUMNS: how many. Names are the layout's. */
size_t samples_fields(const struct layout *l, bool portable, struct parquet_field *out);
/* What the chunk has; out has MAX_COLUMNS, cleared. */
void chunk_columns(const struct chunk *c, const struct layout *l, struct parquet_column *out);
/* A row's value columns. ERR_BAD_INPUT: no such histogram; ERR_RETRY: no memory. */
bool chunk_value(struct chunk *c, size_t row, const struct series *s, struct slice payload,
                 struct err *e) MUST_CHECK;
