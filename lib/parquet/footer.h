/* What a file says about itself at its end: the page index of each chunk, then FileMetaData
 * (parquet.thrift), its length and the magic. Gathered row group by row group, written when the
 * file is closed. */
#pragma once

#include "parquet/leaf.h"

struct parquet_pair {
    const char *key;
    const char *value;
};

struct parquet_sorting {
    uint32_t field; /* index of a field of form ONE */
    bool descending;
    bool nulls_first;
};

/* What the footer says that no row group knows; the writer's caller's, until the file is closed. */
struct footer_facts {
    const struct parquet_field *fields;
    size_t n_fields;
    const struct parquet_sorting *sorting;
    size_t n_sorting;
    const struct parquet_pair *pairs;
    size_t n_pairs;
    const char *created_by;
};

struct footer {
    struct buf groups;         /* struct footer_group each */
    struct buf chunks;         /* struct footer_chunk each, n_leaves for a row group */
    struct buf metadata;       /* ColumnMetaData of each chunk */
    struct buf column_indexes; /* ColumnIndex of each chunk that has one */
    struct buf offset_indexes; /* OffsetIndex of each chunk */
    size_t n_groups;
    size_t n_leaves;
    int64_t n_rows;
};

/* Where a chunk was written. */
struct footer_place {
    int64_t chunk; /* its first page, the dictionary's if it has one */
    int64_t bloom; /* 0: no Bloom filter */
    int32_t bloom_bytes;
};

/* max_bytes: of all that is gathered, roughly. */
void footer_init(struct footer *f, size_t n_leaves, size_t max_bytes);
void footer_fini(struct footer *f);
size_t footer_held_bytes(const struct footer *f);
/* The chunks of one row group in their order, then the group itself. False: over the ceiling. */
bool footer_add_chunk(struct footer *f, const struct leaf *l, enum parquet_codec codec,
                      const struct footer_place *place);
bool footer_add_group(struct footer *f, int64_t n_rows);
/* What comes behind the last row group, the file being `at` bytes long so far. False: over the
 * ceiling. */
bool footer_put(const struct footer *f, const struct footer_facts *facts, int64_t at,
                struct buf *out);
