/* Random fields, rows and options, all taken from the input: what the writer writes verifies, and
 * every level and value reads back. Then the same file once more with a sink that fails, at each
 * write in turn: the writer says so, says it again, and what came out is no file. The writer's
 * memory stays below its ceiling. */
#include <stdio.h>
#include <stdlib.h>

#include "parquet/column_reader.h"
#include "parquet/verify.h"
#include "parquet/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MAX_FIELDS = 5,
    MAX_ROWS = 200,
    MAX_ENTRIES = 800,
    OUT_BYTES = 16 << 20,
    CEILING = 16 << 20,
    MAX_FAILING_RUNS = 8
};

struct field_data {
    bool nulls[MAX_ROWS];
    uint32_t n_entries[MAX_ROWS];
    bool value_nulls[MAX_ENTRIES];
    struct slice keys[MAX_ENTRIES];
    union {
        bool bools[MAX_ENTRIES];
        int32_t int32s[MAX_ENTRIES];
        int64_t int64s[MAX_ENTRIES];
        double doubles[MAX_ENTRIES];
        struct slice texts[MAX_ENTRIES];
    } values;
};

struct sink {
    struct buf bytes;
    unsigned n_writes;
    unsigned fail_at; /* 0: never; counted from 1 */
};

static struct field_data all[MAX_FIELDS];
static char pool[1024]; /* what texts point to */

static void fail(const char *what, const char *detail)
{
    (void)fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static struct slice text_from(struct cursor *c)
{
    uint8_t b = cursor_u8(c);
    return slice_of(pool + b, b % 16 == 15 ? 300 : b % 16);
}

static void value_from(struct cursor *c, enum parquet_type type, struct field_data *d, size_t i)
{
    static const int64_t ints[] = {0, -1, INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN, 1000, 1};
    static const uint64_t doubles[] = {0,
                                       UINT64_C(0x8000000000000000),
                                       UINT64_C(0x7ff0000000000002),
                                       UINT64_C(0x7ff8000000000000),
                                       UINT64_C(0x7ff0000000000000),
                                       UINT64_C(0xfff0000000000000),
                                       UINT64_C(0x3ff8000000000000),
                                       1};
    uint8_t b = is_text(type) ? 0 : cursor_u8(c);
    int64_t v = b < 128 ? ints[b % 8] : b;
    switch (type) {
    case PARQUET_BOOL:
        d->values.bools[i] = b & 1;
        break;
    case PARQUET_INT32:
        d->values.int32s[i] = (int32_t)v;
        break;
    case PARQUET_DOUBLE:
        memcpy(&d->values.doubles[i], &doubles[b % 8], sizeof(double));
        break;
    case PARQUET_STRING:
    case PARQUET_BYTES:
        d->values.texts[i] = text_from(c);
        break;
    default:
        d->values.int64s[i] = v;
        break;
    }
}

static void field_from(struct cursor *c, size_t number, struct parquet_field *f)
{
    static const char *const names[MAX_FIELDS] = {"a", "b", "c", "d", "e"};
    uint8_t b = cursor_u8(c);
    uint8_t flags = cursor_u8(c);
    *f = (struct parquet_field){.name = names[number],
                                .type = (enum parquet_type)(b % N_PARQUET_TYPES),
                                .form = (enum parquet_form)(flags % 3),
                                .encoding = (enum parquet_encoding)(b / 16 % 5),
                                .optional = (flags & 8) != 0,
                                .optional_values = (flags & 16) != 0 && flags % 3 != 0,
                                .bloom = (flags & 32) != 0};
    struct err e = ERR_INIT;
    if (b < 240 && !schema_check(f, 1, &e)) { /* most should be written, not refused */
        f->encoding = PARQUET_DEFAULT;
        f->bloom = false;
    }
}

static void rows_from(struct cursor *c, const struct parquet_field *f, size_t n_rows,
                      struct field_data *d, struct parquet_column *column)
{
    size_t n = 0;
    bool repeats = (cursor_u8(c) & 1) != 0; /* long runs, as sorted data has them */
    for (size_t i = 0; i < n_rows; i++) {
        uint8_t b = repeats && i % 16 != 0 ? 5 : cursor_u8(c);
        d->nulls[i] = f->optional && b % 4 == 0;
        d->n_entries[i] = d->nulls[i] ? 0 : b % 4;
        size_t k = f->form == PARQUET_ONE ? 1 : d->n_entries[i];
        for (size_t j = 0; j < k; j++, n++) {
            d->value_nulls[n] = f->optional_values && cursor_u8(c) % 4 == 0;
            d->keys[n] = f->form == PARQUET_MAP ? text_from(c) : SLICE_NONE;
            value_from(c, f->type, d, n);
        }
    }
    *column = (struct parquet_column){.values.any = &d->values,
                                      .keys = d->keys,
                                      .n_entries = d->n_entries,
                                      .nulls = f->optional ? d->nulls : NULL,
                                      .value_nulls = f->optional_values ? d->value_nulls : NULL};
}

static void options_from(struct cursor *c, struct parquet_options *o)
{
    static const enum parquet_codec codecs[] = {PARQUET_UNCOMPRESSED, PARQUET_SNAPPY, PARQUET_ZSTD};
    uint8_t b = cursor_u8(c);
    o->codec = codecs[b % 3];
    o->zstd_level = 1;
    o->no_checksums = (b & 4) != 0;
    o->page_rows = b & 8 ? 1 + b / 16u : 0;
    o->dictionary_max_bytes = b & 16 ? 40 : 0;
    o->group_max_rows = b & 32 ? 20 + b : 0;
    o->max_bytes = CEILING;
}

static bool sink_write(void *context, struct slice bytes, struct err *e)
{
    struct sink *sink = context;
    if (++sink->n_writes == sink->fail_at) {
        return err_set(e, ERR_RETRY, "the sink is full");
    }
    buf_put_slice(&sink->bytes, bytes);
    return true;
}

/* False: the writer failed, the same way each time it was asked. */
static bool write_file(const struct parquet_options *o, const struct parquet_column *columns,
                       size_t n_rows, size_t n_batches, struct sink *sink)
{
    struct err e = ERR_INIT;
    struct parquet_writer *w;
    buf_reset(&sink->bytes);
    sink->n_writes = 0;
    if (!parquet_new(o, sink_write, sink, &w, &e)) {
        return false;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < n_batches; i++) {
        ok = parquet_append(w, columns, n_rows, &e);
        ok = ok && (i % 2 == 0 || parquet_end_group(w, &e));
    }
    ok = ok && parquet_close(w, &e);
    struct err again = ERR_INIT;
    if (parquet_append(w, columns, n_rows, &again) || (!ok && strcmp(again.text, e.text) != 0)) {
        fail("a writer that is done or has failed goes on", again.text);
    }
    if (parquet_peak_bytes(w) > CEILING) {
        fail("over the ceiling", "");
    }
    parquet_free(w);
    return ok;
}

static void level_put(struct buf *out, unsigned repetition, unsigned definition)
{
    buf_u8(out, (uint8_t)repetition);
    buf_u8(out, (uint8_t)definition);
}

static void value_put(struct buf *out, enum parquet_type type, const void *values, size_t i)
{
    if (is_text(type)) {
        buf_varint_bytes(out, ((const struct slice *)values)[i]);
    } else {
        buf_put(out, (const uint8_t *)values + i * width_of(type), width_of(type));
    }
}

/* What a leaf must hold, by the definition of levels and nothing else. */
static void expect(const struct parquet_field *f, const struct field_data *d, size_t n_rows,
                   size_t n_batches, bool key, struct buf *out)
{
    for (size_t batch = 0; batch < n_batches; batch++) {
        size_t entry = 0;
        for (size_t i = 0; i < n_rows; i++) {
            bool null = f->optional && d->nulls[i];
            if (f->form == PARQUET_ONE) {
                level_put(out, 0, f->optional && !null);
                if (!null) {
                    value_put(out, f->type, &d->values, i);
                }
            } else if (d->n_entries[i] == 0) {
                level_put(out, 0, f->optional && !null);
            }
            for (size_t j = 0; f->form != PARQUET_ONE && j < d->n_entries[i]; j++, entry++) {
                bool value_null = f->optional_values && d->value_nulls[entry];
                level_put(out, j > 0,
                          f->optional + 1u + (!key && f->optional_values && !value_null));
                if (key) {
                    buf_varint_bytes(out, d->keys[entry]);
                } else if (!value_null) {
                    value_put(out, f->type, &d->values, entry);
                }
            }
        }
    }
}

static void read_leaf(const struct parquet_file *file, size_t leaf, enum parquet_type type,
                      struct buf *out)
{
    for (size_t g = 0; g < file->n_groups; g++) {
        struct column_reader r;
        struct decoded_page page;
        struct err e = ERR_INIT;
        column_reader_init(&r, file, &file->leaves[leaf], &file->groups[g].chunks[leaf], 64 << 20);
        while (column_reader_next(&r, &page, &e) && page.n_levels > 0) {
            for (size_t i = 0, k = 0; i < page.n_levels; i++) {
                level_put(out, page.repetition[i], page.definition[i]);
                if (page.definition[i] == file->leaves[leaf].max_definition) {
                    value_put(out, type, page.values, k++);
                }
            }
        }
        if (e.kind != ERR_NONE) {
            fail("a page does not read", e.text);
        }
        column_reader_fini(&r);
    }
}

static void check_leaf(const struct parquet_file *file, size_t leaf, const struct parquet_field *f,
                       const struct field_data *d, size_t n_rows, size_t n_batches, bool key)
{
    struct buf want;
    struct buf got;
    buf_init(&want, OUT_BYTES);
    buf_init(&got, OUT_BYTES);
    expect(f, d, n_rows, n_batches, key, &want);
    read_leaf(file, leaf, key ? PARQUET_STRING : f->type, &got);
    if (!buf_ok(&want) || !buf_ok(&got) || !slice_eq(buf_slice(&want), buf_slice(&got))) {
        fail("other values read back", f->name);
    }
    buf_fini(&want);
    buf_fini(&got);
}

static void check_file(struct slice bytes, const struct parquet_options *o, size_t n_rows,
                       size_t n_batches)
{
    struct arena a;
    struct parquet_file file;
    struct verify_totals totals;
    struct err e = ERR_INIT;
    arena_init(&a, 64 << 20);
    if (!file_open(bytes, &a, &file, &e) || !verify_file(&file, 64 << 20, &totals, &e)) {
        fail("does not verify", e.text);
    }
    size_t leaf = 0;
    for (size_t i = 0; i < o->n_fields; i++) {
        if (o->fields[i].form == PARQUET_MAP) {
            check_leaf(&file, leaf++, &o->fields[i], &all[i], n_rows, n_batches, true);
        }
        check_leaf(&file, leaf++, &o->fields[i], &all[i], n_rows, n_batches, false);
    }
    arena_fini(&a);
}

static void check_failures(const struct parquet_options *o, const struct parquet_column *columns,
                           size_t n_rows, size_t n_batches, struct sink *sink)
{
    unsigned n_writes = sink->n_writes;
    unsigned step = n_writes / MAX_FAILING_RUNS + 1;
    for (sink->fail_at = 1; sink->fail_at <= n_writes; sink->fail_at += step) {
        if (write_file(o, columns, n_rows, n_batches, sink)) {
            fail("a sink that failed goes unnoticed", "");
        }
        struct arena a;
        struct parquet_file file;
        struct err e = ERR_INIT;
        arena_init(&a, 64 << 20);
        if (file_open(buf_slice(&sink->bytes), &a, &file, &e) || e.kind != ERR_BAD_INPUT) {
            fail("half a file is taken for one", e.text);
        }
        arena_fini(&a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(slice_of(data, size));
    struct parquet_field fields[MAX_FIELDS];
    struct parquet_column columns[MAX_FIELDS];
    struct sink sink = {.fail_at = 0};
    for (size_t i = 0; i < sizeof pool; i++) {
        pool[i] = (char)('a' + i * 7 % 26);
    }
    uint8_t head = cursor_u8(&c);
    struct parquet_options o = {.fields = fields, .n_fields = 1 + head % MAX_FIELDS};
    size_t n_batches = head / 8 % 4;
    size_t n_rows = cursor_u8(&c) % MAX_ROWS;
    options_from(&c, &o);
    for (size_t i = 0; i < o.n_fields; i++) {
        field_from(&c, i, &fields[i]);
        rows_from(&c, &fields[i], n_rows, &all[i], &columns[i]);
    }
    buf_init(&sink.bytes, OUT_BYTES);
    if (write_file(&o, columns, n_rows, n_batches, &sink)) {
        check_file(buf_slice(&sink.bytes), &o, n_rows, n_batches);
        check_failures(&o, columns, n_rows, n_batches, &sink);
    }
    buf_fini(&sink.bytes);
    return 0;
}
