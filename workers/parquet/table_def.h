/* The tables: what their rows are, each in a file of its own. sluice writes one so far; the
 * rollups' come with their rows' schema (deploy/athena has their columns). */
#pragma once

#include "layout.h"
#include "parquet/writer.h"
#include "row.h"

/* Rows in, columns out: one object being written. */
struct table_writer;

struct table_options {
    const struct layout *layout;
    int32_t partition;
    enum parquet_codec codec;
    int zstd_level;
    bool portable;    /* only encodings that every reader knows, larger */
    size_t max_bytes; /* of the Parquet writer */
    const struct parquet_pair *pairs;
    size_t n_pairs;
};

struct table_def {
    const char *name;
    /* Fields of the table whose names no label column may have. */
    const char *const *column_names;
    bool (*open)(const struct table_options *o, parquet_sink sink, void *sink_context,
                 struct table_writer **out, struct err *e) MUST_CHECK;
    /* In the order that row.h tells. */
    bool (*put)(struct table_writer *w, const struct row *row, struct err *e) MUST_CHECK;
    bool (*close)(struct table_writer *w, struct err *e) MUST_CHECK;
    void (*free)(struct table_writer *w);
};

extern const struct table_def samples_table;

/* NULL: there is none of that name. */
const struct table_def *table_def_find(struct slice name);
