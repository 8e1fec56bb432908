#include "parquet/schema.h"

#include "base/utf8.h"

static const struct {
    const char *name;
    enum parquet_physical physical;
    unsigned width;
} types[N_PARQUET_TYPES] = {
    [PARQUET_BOOL] = {"bool", PHYSICAL_BOOLEAN, 1},
    [PARQUET_INT32] = {"int32", PHYSICAL_INT32, 4},
    [PARQUET_INT64] = {"int64", PHYSICAL_INT64, 8},
    [PARQUET_TIMESTAMP_MS] = {"timestamp", PHYSICAL_INT64, 8},
    [PARQUET_DOUBLE] = {"double", PHYSICAL_DOUBLE, 8},
    [PARQUET_STRING] = {"string", PHYSICAL_BYTE_ARRAY, 0},
    [PARQUET_BYTES] = {"bytes", PHYSICAL_BYTE_ARRAY, 0},
};

enum parquet_physical physical_of(enum parquet_type type)
{
    return types[type].physical;
}

unsigned width_of(enum parquet_type type)
{
    return types[type].width;
}

static bool encoding_fits(const struct parquet_field *f)
{
    switch (f->encoding) {
    case PARQUET_DEFAULT:
    case PARQUET_PLAIN:
        return true;
    case PARQUET_DICTIONARY:
        return f->type != PARQUET_BOOL;
    case PARQUET_DELTA:
        return f->type == PARQUET_INT32 || f->type == PARQUET_INT64 ||
               f->type == PARQUET_TIMESTAMP_MS;
    case PARQUET_SPLIT:
        return f->type == PARQUET_DOUBLE;
    default:
        return false;
    }
}

static bool field_check(const struct parquet_field *f, struct err *e)
{
    if (f->name == NULL || f->name[0] == '\0' || !utf8_valid(slice_str(f->name))) {
        return err_set(e, ERR_CONFIG, "a column's name must be UTF-8 and not empty");
    }
    if ((unsigned)f->type >= N_PARQUET_TYPES || (unsigned)f->form > PARQUET_MAP) {
        return err_set(e, ERR_CONFIG, "column %s: no such type", f->name);
    }
    if (!encoding_fits(f)) {
        return err_set(e, ERR_CONFIG, "column %s: this encoding is not for %s", f->name,
                       types[f->type].name);
    }
    if (f->optional_values && f->form == PARQUET_ONE) {
        return err_set(e, ERR_CONFIG, "column %s: only lists and maps have optional values",
                       f->name);
    }
    if (f->bloom &&
        (f->form != PARQUET_ONE || f->type == PARQUET_BOOL || f->type == PARQUET_DOUBLE)) {
        return err_set(e, ERR_CONFIG, "column %s: a Bloom filter is for single integers and texts",
                       f->name);
    }
    return true;
}

bool schema_check(const struct parquet_field *fields, size_t n, struct err *e)
{
    enum { MAX_FIELDS = 1000 };
    if (n == 0 || n > MAX_FIELDS) {
        return err_set(e, ERR_CONFIG, "a file has 1 to %d columns, not %zu", MAX_FIELDS, n);
    }
    for (size_t i = 0; i < n; i++) {
        if (!field_check(&fields[i], e)) {
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(fields[i].name, fields[k].name) == 0) {
                return err_set(e, ERR_CONFIG, "two columns are called %s", fields[i].name);
            }
        }
    }
    return true;
}

size_t schema_n_leaves(const struct parquet_field *fields, size_t n)
{
    size_t n_leaves = n;
    for (size_t i = 0; i < n; i++) {
        n_leaves += fields[i].form == PARQUET_MAP;
    }
    return n_leaves;
}

static enum parquet_encoding encoding_of(const struct parquet_field *f)
{
    if (f->encoding != PARQUET_DEFAULT) {
        return f->encoding;
    }
    return is_text(f->type) ? PARQUET_DICTIONARY : PARQUET_PLAIN;
}

static struct leaf_schema leaf_of(const struct parquet_field *f)
{
    bool repeated = f->form != PARQUET_ONE;
    struct leaf_schema leaf = {.field = f,
                               .type = f->type,
                               .encoding = encoding_of(f),
                               .bloom = f->bloom,
                               .max_definition =
                                   (uint8_t)(f->optional + repeated + f->optional_values),
                               .max_repetition = repeated,
                               .n_path = repeated ? 3 : 1,
                               .path = {f->name}};
    if (repeated) {
        leaf.path[1] = f->form == PARQUET_LIST ? "list" : "key_value";
        leaf.path[2] = f->form == PARQUET_LIST ? "element" : "value";
    }
    return leaf;
}

void schema_leaves(const struct parquet_field *fields, size_t n, struct leaf_schema *out)
{
    for (size_t i = 0; i < n; i++) {
        struct leaf_schema leaf = leaf_of(&fields[i]);
        if (fields[i].form == PARQUET_MAP) {
            *out = leaf;
            out->is_key = true;
            out->type = PARQUET_STRING;
            out->encoding = PARQUET_DICTIONARY;
            out->max_definition = (uint8_t)(leaf.max_definition - fields[i].optional_values);
            out->path[2] = "key";
            out++;
        }
        *out++ = leaf;
    }
}

static void logical_put(struct thrift_struct *element, enum parquet_converted converted,
                        enum parquet_logical logical)
{
    thrift_i32(element, 6, (int32_t)converted);
    struct thrift_struct kind = thrift_field_struct(element, 10);
    if (logical == LOGICAL_TIMESTAMP) {
        struct thrift_struct timestamp = thrift_field_struct(&kind, LOGICAL_TIMESTAMP);
        thrift_bool(&timestamp, 1, true); /* isAdjustedToUTC */
        struct thrift_struct unit = thrift_field_struct(&timestamp, 2);
        thrift_empty(&unit, 1); /* MILLIS */
        thrift_end(&unit);
        thrift_end(&timestamp);
    } else {
        thrift_empty(&kind, (int16_t)logical);
    }
    thrift_end(&kind);
}

static void leaf_put(struct buf *out, const char *name, enum parquet_type type, bool optional)
{
    struct thrift_struct element = thrift_begin(out);
    thrift_i32(&element, 1, (int32_t)physical_of(type));
    thrift_i32(&element, 3, optional ? REPETITION_OPTIONAL : REPETITION_REQUIRED);
    thrift_text(&element, 4, name);
    if (type == PARQUET_STRING) {
        logical_put(&element, CONVERTED_UTF8, LOGICAL_STRING);
    } else if (type == PARQUET_TIMESTAMP_MS) {
        logical_put(&element, CONVERTED_TIMESTAMP_MILLIS, LOGICAL_TIMESTAMP);
    }
    thrift_end(&element);
}

static void nested_put(struct buf *out, const struct parquet_field *f)
{
    bool is_map = f->form == PARQUET_MAP;
    struct thrift_struct outer = thrift_begin(out);
    thrift_i32(&outer, 3, f->optional ? REPETITION_OPTIONAL : REPETITION_REQUIRED);
    thrift_text(&outer, 4, f->name);
    thrift_i32(&outer, 5, 1);
    logical_put(&outer, is_map ? CONVERTED_MAP : CONVERTED_LIST,
                is_map ? LOGICAL_MAP : LOGICAL_LIST);
    thrift_end(&outer);

    struct thrift_struct repeated = thrift_begin(out);
    thrift_i32(&repeated, 3, REPETITION_REPEATED);
    thrift_text(&repeated, 4, is_map ? "key_value" : "list");
    thrift_i32(&repeated, 5, is_map ? 2 : 1);
    thrift_end(&repeated);

    if (is_map) {
        leaf_put(out, "key", PARQUET_STRING, false);
    }
    leaf_put(out, is_map ? "value" : "element", f->type, f->optional_values);
}

void schema_put(const struct parquet_field *fields, size_t n, struct thrift_struct *footer)
{
    size_t n_elements = 1;
    for (size_t i = 0; i < n; i++) {
        n_elements += fields[i].form == PARQUET_ONE ? 1 : fields[i].form == PARQUET_LIST ? 3 : 4;
    }
    thrift_list(footer, 2, THRIFT_STRUCT, n_elements);
    struct thrift_struct root = thrift_begin(footer->out);
    thrift_text(&root, 4, "schema");
    thrift_i32(&root, 5, (int32_t)n);
    thrift_end(&root);
    for (size_t i = 0; i < n; i++) {
        if (fields[i].form == PARQUET_ONE) {
            leaf_put(footer->out, fields[i].name, fields[i].type, fields[i].optional);
        } else {
            nested_put(footer->out, &fields[i]);
        }
    }
}
