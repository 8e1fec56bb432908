/* What a file's columns are. A field is one value per row, a list of values or a map from text to
 * values; it becomes one leaf (two for a map), each a column of its own in the file:
 *
 *   ONE   optional|required <type> name
 *   LIST  optional|required group name (LIST) { repeated group list { <type> element } }
 *   MAP   optional|required group name (MAP) { repeated group key_value { string key; <type> value
 * } }
 *
 * Source: apache/parquet-format LogicalTypes.md and README "Nested Encoding". */
#pragma once

#include "base/err.h"
#include "parquet/format.h"
#include "parquet/thrift.h"

enum parquet_type {
    PARQUET_BOOL,
    PARQUET_INT32,
    PARQUET_INT64,
    PARQUET_TIMESTAMP_MS, /* since the epoch, UTC */
    PARQUET_DOUBLE,
    PARQUET_STRING, /* UTF-8 */
    PARQUET_BYTES,
    N_PARQUET_TYPES
};

enum parquet_form { PARQUET_ONE, PARQUET_LIST, PARQUET_MAP };

enum parquet_encoding {
    PARQUET_DEFAULT,    /* dictionary for strings and bytes, plain for the rest */
    PARQUET_PLAIN,      /* every reader */
    PARQUET_DICTIONARY, /* every reader; not for BOOL. Turns to plain where it grows too large */
    PARQUET_DELTA,      /* integers and timestamps; Spark from 3.3 on */
    PARQUET_SPLIT       /* BYTE_STREAM_SPLIT for doubles; not read by Spark's fast path */
};

struct parquet_field {
    const char *name;
    enum parquet_type type; /* of the value, the list's elements, the map's values */
    enum parquet_form form;
    enum parquet_encoding encoding;
    bool optional;        /* rows may be null */
    bool optional_values; /* LIST, MAP: elements or values may be null */
    bool bloom;           /* a Bloom filter; ONE only, not for BOOL and DOUBLE */
};

enum { LEAF_MAX_PATH = 3 };

/* A column of the file, as derived from a field. */
struct leaf_schema {
    const struct parquet_field *field;
    enum parquet_type type;
    enum parquet_encoding encoding; /* never PARQUET_DEFAULT */
    bool is_key;                    /* of a map */
    bool bloom;
    uint8_t max_definition;
    uint8_t max_repetition;
    uint8_t n_path;
    const char *path[LEAF_MAX_PATH];
};

/* ERR_CONFIG where a field's options exclude each other, or two have one name. */
bool schema_check(const struct parquet_field *fields, size_t n, struct err *e) MUST_CHECK;
size_t schema_n_leaves(const struct parquet_field *fields, size_t n);
void schema_leaves(const struct parquet_field *fields, size_t n, struct leaf_schema *out);
/* The footer's flattened tree, as its field 2. */
void schema_put(const struct parquet_field *fields, size_t n, struct thrift_struct *footer);

enum parquet_physical physical_of(enum parquet_type type);
/* Bytes of a value in PLAIN; 0 where each has its length; a byte for BOOL before it is packed. */
unsigned width_of(enum parquet_type type);

static inline bool is_text(enum parquet_type type)
{
    return type == PARQUET_STRING || type == PARQUET_BYTES;
}
