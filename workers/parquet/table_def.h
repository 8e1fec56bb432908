/* The tables: what is their own of a row. What all have (table_file.h) stands around it: texts,
 * labels and times before, the record's place and the label columns behind. */
#pragma once

#include "layout.h"
#include "parquet/writer.h"
#include "row.h"

/* A table's own columns of a chunk of rows (CHUNK_ROWS of histogram_columns.h). */
struct values;

struct table_def {
    const char *const *column_names;
    size_t n_columns;
    /* Their fields but for the names; out has n_columns, cleared. */
    void (*fields)(bool portable, struct parquet_field *out);
    /* NULL: no memory. */
    struct values *(*values_new)(void);
    void (*values_free)(struct values *v);
    void (*values_reset)(struct values *v);
    /* A row's. ERR_BAD_INPUT: no such payload; ERR_RETRY: no memory. */
    bool (*put)(struct values *v, size_t row, const struct series *s, struct slice payload,
                struct err *e) MUST_CHECK;
    /* Of the longest list. */
    size_t (*list_bytes)(const struct values *v);
    void (*columns)(const struct values *v, struct parquet_column *out);
};

extern const struct table_def samples_table;
extern const struct table_def rollup_1m_table;
extern const struct table_def rollup_5m_table;
extern const struct table_def rollup_1h_table;

const struct table_def *table_def_of(enum table_id table);
