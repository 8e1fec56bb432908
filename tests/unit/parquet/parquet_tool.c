/* parquet-tool OUT: writes a Parquet file from a description on stdin, for
 * tests/flow/test_parquet_files.py.
 *
 *   32 bits: length of the JSON | JSON: options and fields | batches: 64 bits of rows, 0 = the
 * last; then per field: a byte: are there nulls? then one per row LIST, MAP: 32 bits of entries per
 * row; a byte: are there null entries? then one per entry MAP: keys as texts              texts: 32
 * bits of length each, then all bytes values: texts, or little-endian numbers of the type's width
 * (bool: a byte)
 *
 * Prints {"rows", "bytes", "peak_bytes", "estimate"}; {"error", "kind"} and exit 1 when the writer
 * fails. "fail_at_byte": the sink takes that many bytes and no more. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "parquet/writer.h"
#include "tool_input.h"

enum { MAX_FIELDS = 1000, MAX_LIST = 64 };
struct description {
    struct parquet_options options;
    struct parquet_field fields[MAX_FIELDS];
    struct parquet_pair pairs[MAX_LIST];
    struct parquet_sorting sorting[MAX_LIST];
    int64_t fail_at_byte; /* -1: never */
};

struct file {
    FILE *f;
    int64_t n_bytes;
    int64_t fail_at_byte;
};

static bool file_write(void *context, struct slice bytes, struct err *e)
{
    struct file *file = context;
    if (file->fail_at_byte >= 0 && file->n_bytes + (int64_t)bytes.len > file->fail_at_byte) {
        size_t part = (size_t)(file->fail_at_byte - file->n_bytes);
        (void)!fwrite(bytes.ptr, 1, part, file->f);
        return err_set(e, ERR_RETRY, "the disk is full");
    }
    file->n_bytes += (int64_t)bytes.len;
    return bytes.len == 0 || fwrite(bytes.ptr, bytes.len, 1, file->f) == 1 ||
           err_set(e, ERR_FATAL, "cannot write");
}

static unsigned by_name(const json_t *value, const char *const *names, unsigned n)
{
    const char *name = json_string_value(value);
    for (unsigned i = 0; i < n && name != NULL; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    if (value != NULL) {
        die("an unknown name");
    }
    return 0;
}

static void field_read(const json_t *json, struct parquet_field *out)
{
    static const char *const types[] = {"bool",   "int32",  "int64", "timestamp",
                                        "double", "string", "bytes"};
    static const char *const forms[] = {"one", "list", "map"};
    static const char *const encodings[] = {"default", "plain", "dictionary", "delta", "split"};
    *out = (struct parquet_field){
        .name = json_string_value(json_object_get(json, "name")),
        .type = by_name(json_object_get(json, "type"), types, 7),
        .form = by_name(json_object_get(json, "form"), forms, 3),
        .encoding = by_name(json_object_get(json, "encoding"), encodings, 5),
        .optional = json_is_true(json_object_get(json, "optional")),
        .optional_values = json_is_true(json_object_get(json, "optional_values")),
        .bloom = json_is_true(json_object_get(json, "bloom"))};
}

static size_t number(const json_t *json, const char *key)
{
    return (size_t)json_integer_value(json_object_get(json, key));
}

static void description_read(const json_t *json, struct description *d)
{
    static const char *const codecs[] = {"zstd", "snappy", "none"};
    static const enum parquet_codec numbers[] = {PARQUET_ZSTD, PARQUET_SNAPPY,
                                                 PARQUET_UNCOMPRESSED};
    const json_t *fields = json_object_get(json, "fields");
    const json_t *sorting = json_object_get(json, "sorting");
    const json_t *fail = json_object_get(json, "fail_at_byte");
    if (json_array_size(fields) > MAX_FIELDS || json_array_size(sorting) > MAX_LIST) {
        die("too many fields");
    }
    d->fail_at_byte = fail == NULL ? -1 : json_integer_value(fail);
    for (size_t i = 0; i < json_array_size(fields); i++) {
        field_read(json_array_get(fields, i), &d->fields[i]);
    }
    for (size_t i = 0; i < json_array_size(sorting); i++) {
        d->sorting[i] = (struct parquet_sorting){
            .field = (uint32_t)json_integer_value(json_array_get(sorting, i))};
    }
    size_t n_pairs = 0;
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(json, "pairs"), key, value)
    {
        d->pairs[n_pairs++] = (struct parquet_pair){key, json_string_value(value)};
    }
    d->options = (struct parquet_options){
        .fields = d->fields,
        .n_fields = json_array_size(fields),
        .sorting = d->sorting,
        .n_sorting = json_array_size(sorting),
        .pairs = d->pairs,
        .n_pairs = n_pairs,
        .codec = numbers[by_name(json_object_get(json, "codec"), codecs, 3)],
        .no_checksums = json_is_true(json_object_get(json, "no_checksums")),
        .page_rows = (uint32_t)number(json, "page_rows"),
        .page_max_bytes = number(json, "page_max_bytes"),
        .group_max_rows = number(json, "group_rows"),
        .dictionary_max_bytes = number(json, "dictionary_max_bytes"),
        .max_bytes = number(json, "max_bytes")};
}

static struct slice take(struct cursor *c, uint64_t n)
{
    struct slice s = cursor_take(c, n);
    if (!cursor_ok(c)) {
        die("the input ends too early");
    }
    return s;
}

static const void *take_copy(struct cursor *c, uint64_t n_bytes)
{
    void *copy = or_die(malloc(n_bytes + 1));
    memcpy(copy, take(c, n_bytes).ptr, n_bytes);
    return copy;
}

static const struct slice *take_texts(struct cursor *c, size_t n)
{
    struct slice *texts = or_die(calloc(n + 1, sizeof *texts));
    struct cursor lengths = cursor_of(take(c, n * sizeof(uint32_t)));
    for (size_t i = 0; i < n; i++) {
        texts[i] = take(c, cursor_le32(&lengths));
    }
    return texts;
}

static const void *take_values(struct cursor *c, enum parquet_type type, size_t n)
{
    return is_text(type) ? (const void *)take_texts(c, n) : take_copy(c, n * width_of(type));
}

static struct parquet_column column_read(struct cursor *c, const struct parquet_field *f,
                                         size_t n_rows)
{
    struct parquet_column column = {.nulls = NULL};
    if (*take(c, 1).ptr != 0) {
        column.nulls = take_copy(c, n_rows);
    }
    size_t n = n_rows;
    if (f->form != PARQUET_ONE) {
        column.n_entries = take_copy(c, n_rows * sizeof(uint32_t));
        n = 0;
        for (size_t i = 0; i < n_rows; i++) {
            n += column.n_entries[i];
        }
        if (*take(c, 1).ptr != 0) {
            column.value_nulls = take_copy(c, n);
        }
    }
    if (f->form == PARQUET_MAP) {
        column.keys = take_texts(c, n);
    }
    column.values.any = take_values(c, f->type, n);
    return column;
}

static void free_const(const void *p)
{
    free((void *)(uintptr_t)p);
}

static void column_free(struct parquet_column *c)
{
    free_const(c->nulls);
    free_const(c->n_entries);
    free_const(c->value_nulls);
    free_const(c->keys);
    free_const(c->values.any);
}

static bool batches_write(struct parquet_writer *w, const struct parquet_options *o,
                          struct cursor *c, struct err *e)
{
    struct parquet_column *columns = or_die(calloc(o->n_fields + 1, sizeof *columns));
    bool ok = true;
    for (size_t n; ok && (n = cursor_le64(c)) > 0;) {
        for (size_t i = 0; i < o->n_fields; i++) {
            columns[i] = column_read(c, &o->fields[i], n);
        }
        ok = parquet_append(w, columns, n, e);
        for (size_t i = 0; i < o->n_fields; i++) {
            column_free(&columns[i]);
        }
    }
    free(columns);
    return ok;
}

static bool write_file(const struct description *d, struct cursor *c, struct file *file,
                       struct err *e)
{
    struct parquet_writer *w;
    if (!parquet_new(&d->options, file_write, file, &w, e)) {
        return false;
    }
    bool ok = batches_write(w, &d->options, c, e);
    long long estimate = parquet_bytes(w);
    ok = ok && parquet_close(w, e);
    struct err again = ERR_INIT;
    if (!ok && (parquet_close(w, &again) || again.kind != e->kind)) {
        die("a failed writer goes on");
    }
    if (ok) {
        (void)printf("{\"rows\": %lld, \"bytes\": %lld, \"peak_bytes\": %zu, \"estimate\": %lld}\n",
                     (long long)parquet_rows(w), (long long)parquet_bytes(w), parquet_peak_bytes(w),
                     estimate);
    }
    parquet_free(w);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        die("usage: parquet-tool OUT < DESCRIPTION");
    }
    struct slice input = read_all(stdin);
    struct cursor c = cursor_of(input);
    struct slice text = take(&c, cursor_le32(&c));
    json_error_t where;
    json_t *json = json_loadb((const char *)text.ptr, text.len, 0, &where);
    if (json == NULL) {
        die(where.text);
    }
    struct description *d = or_die(calloc(1, sizeof *d));
    description_read(json, d);
    struct file file = {.f = or_die(fopen(argv[1], "wb")), .fail_at_byte = d->fail_at_byte};
    struct err e = ERR_INIT;
    bool ok = write_file(d, &c, &file, &e);
    ok = fclose(file.f) == 0 && ok;
    if (!ok) {
        json_t *error = or_die(json_pack("{s:s, s:i}", "error", e.text, "kind", (int)e.kind));
        (void)json_dumpf(error, stdout, 0);
        json_decref(error);
    }
    json_decref(json);
    free(d);
    free_const(input.ptr);
    return ok ? 0 : 1;
}
