/* Rows in, a Parquet file out: one object being written. Columns of every table:
 *
 *   tenant metric kind temporality unit class series source labels ts ts_ms | the table's own
 *   (table_def.h) | kafka_partition kafka_offset | the layout's label columns */
#pragma once

#include "layout.h"
#include "parquet/writer.h"
#include "row.h"

struct table_file;

struct table_file_options {
    enum table_id table;
    const struct layout *layout;
    int32_t partition;
    enum parquet_codec codec;
    int zstd_level;
    bool portable;    /* only encodings that every reader knows, larger */
    size_t max_bytes; /* of the Parquet writer */
    const struct parquet_pair *pairs;
    size_t n_pairs;
};

bool table_file_open(const struct table_file_options *o, parquet_sink sink, void *sink_context,
                     struct table_file **out, struct err *e) MUST_CHECK;
/* In the order that row.h tells. */
bool table_file_put(struct table_file *w, const struct row *row, struct err *e) MUST_CHECK;
bool table_file_close(struct table_file *w, struct err *e) MUST_CHECK;
void table_file_free(struct table_file *w); /* NULL is fine */

/* Has any table a column (or a folder level) of that name, whatever its case? */
bool table_has_column(const char *name);
