#include "inspect.h"

#include <inttypes.h>

#include "base/utf8.h"
#include "parquet/page.h"

enum { TEXT_SHOWN = 40, METADATA_SHOWN = 4096 };

/* Of valid text: C0, DEL, and both bytes of C1. */
static bool is_escaped(struct slice s, size_t i)
{
    uint8_t c = s.ptr[i];
    return c < ' ' || c == 0x7f || c == '\\' ||
           (c == 0xc2 && i + 1 < s.len && s.ptr[i + 1] < 0xa0) ||
           (c >= 0x80 && c < 0xa0 && i > 0 && s.ptr[i - 1] == 0xc2);
}

/* Files are untrusted: nothing that a terminal obeys, and nothing but UTF-8. */
static void print_text(FILE *out, struct slice s, size_t most)
{
    struct slice shown = slice_of(s.ptr, s.len > most ? utf8_fit(s, most) : s.len);
    size_t valid_end = 0;
    for (size_t i = 0; i < shown.len; i++) {
        if (i >= valid_end) {
            valid_end = i + utf8_check(slice_of(s.ptr + i, shown.len - i));
        }
        if (i >= valid_end || is_escaped(shown, i)) {
            (void)fprintf(out, "\\x%02x", s.ptr[i]);
        } else {
            (void)fputc(s.ptr[i], out);
        }
    }
    (void)fputs(s.len > shown.len ? "…" : "", out);
}

static void print_hex(FILE *out, struct slice s)
{
    (void)fputs("0x", out);
    for (size_t i = 0; i < s.len && i < TEXT_SHOWN / 2; i++) {
        (void)fprintf(out, "%02x", s.ptr[i]);
    }
    (void)fputs(s.len > TEXT_SHOWN / 2 ? "…" : "", out);
}

static void print_value(FILE *out, const struct file_leaf *leaf, struct slice v)
{
    int32_t i32 = 0;
    int64_t i64 = 0;
    double real = 0;
    if (leaf->physical == PHYSICAL_INT32 && v.len == sizeof i32) {
        memcpy(&i32, v.ptr, sizeof i32);
        (void)fprintf(out, "%" PRId32, i32);
    } else if (leaf->physical == PHYSICAL_INT64 && v.len == sizeof i64) {
        memcpy(&i64, v.ptr, sizeof i64);
        (void)fprintf(out, "%" PRId64, i64);
    } else if (leaf->physical == PHYSICAL_DOUBLE && v.len == sizeof real) {
        memcpy(&real, v.ptr, sizeof real);
        (void)fprintf(out, "%.17g", real);
    } else if (leaf->physical == PHYSICAL_BYTE_ARRAY && leaf->converted == CONVERTED_UTF8) {
        print_text(out, v, TEXT_SHOWN);
    } else {
        print_hex(out, v);
    }
}

static const char *physical_name(enum parquet_physical p)
{
    switch (p) {
    case PHYSICAL_BOOLEAN:
        return "BOOLEAN";
    case PHYSICAL_INT32:
        return "INT32";
    case PHYSICAL_INT64:
        return "INT64";
    case PHYSICAL_DOUBLE:
        return "DOUBLE";
    case PHYSICAL_BYTE_ARRAY:
        return "BYTE_ARRAY";
    default:
        return "other";
    }
}

static const char *meaning(const struct file_leaf *leaf)
{
    switch (leaf->converted) {
    case CONVERTED_UTF8:
        return " STRING";
    case CONVERTED_TIMESTAMP_MILLIS:
        return leaf->is_timestamp_utc ? " TIMESTAMP(MILLIS, UTC)" : " TIMESTAMP(MILLIS)";
    default:
        return "";
    }
}

static const char *codec_name(int32_t codec)
{
    switch (codec) {
    case PARQUET_UNCOMPRESSED:
        return "none";
    case PARQUET_SNAPPY:
        return "snappy";
    case PARQUET_ZSTD:
        return "zstd";
    default:
        return "other";
    }
}

static const char *encoding_name(int encoding)
{
    switch (encoding) {
    case ENCODING_PLAIN:
        return "PLAIN";
    case ENCODING_PLAIN_DICTIONARY:
        return "PLAIN_DICTIONARY";
    case ENCODING_RLE:
        return "RLE";
    case ENCODING_DELTA_BINARY_PACKED:
        return "DELTA_BINARY_PACKED";
    case ENCODING_RLE_DICTIONARY:
        return "RLE_DICTIONARY";
    case ENCODING_BYTE_STREAM_SPLIT:
        return "BYTE_STREAM_SPLIT";
    default:
        return "other";
    }
}

static void print_encodings(FILE *out, const struct file_chunk *c)
{
    for (int i = 0; i < N_ENCODINGS; i++) {
        if (c->has_encoding_stats && c->n_data_pages[i] > 0) {
            (void)fprintf(out, " %s*%" PRId32, encoding_name(i), c->n_data_pages[i]);
        } else if (!c->has_encoding_stats && (c->encodings >> i & 1) != 0) {
            (void)fprintf(out, " %s", encoding_name(i));
        }
    }
}

static void print_chunk(FILE *out, const struct file_leaf *leaf, const struct file_chunk *c)
{
    (void)fputs("  ", out);
    print_text(out, leaf->path, TEXT_SHOWN);
    (void)fprintf(out,
                  ": %" PRId64 " values, %" PRId64 " nulls, %" PRId64 " bytes of %" PRId64 ", %s,",
                  c->n_values, c->n_nulls, c->file_bytes, c->plain_bytes, codec_name(c->codec));
    print_encodings(out, c);
    if (c->has_bounds) {
        (void)fputs(c->min_exact ? ", from " : ", from about ", out);
        print_value(out, leaf, c->min);
        (void)fputs(c->max_exact ? " to " : " to about ", out);
        print_value(out, leaf, c->max);
    }
    (void)fputs(c->column_index.len > 0   ? ", column index"
                : c->offset_index.len > 0 ? ", offset index"
                                          : "",
                out);
    if (c->bloom.at != 0) {
        (void)fprintf(out, ", Bloom filter of %" PRId32 " bytes", c->bloom.len);
    }
    (void)fputc('\n', out);
}

static void print_group(FILE *out, const struct parquet_file *f, size_t i)
{
    const struct file_group *g = &f->groups[i];
    (void)fprintf(out, "row group %zu: %" PRId64 " rows", i, g->n_rows);
    for (size_t k = 0; k < g->n_sorting; k++) {
        (void)fputs(k == 0 ? ", sorted by " : ", ", out);
        print_text(out, f->leaves[g->sorting[k].leaf].path, TEXT_SHOWN);
        (void)fputs(g->sorting[k].descending ? " descending" : "", out);
    }
    (void)fputc('\n', out);
    for (size_t k = 0; k < f->n_leaves; k++) {
        print_chunk(out, &f->leaves[k], &g->chunks[k]);
    }
}

void inspect_print(const struct parquet_file *f, const char *name, FILE *out)
{
    (void)fprintf(out, "%s: %zu bytes, %zu of them footer; %" PRId64 " rows in %zu row groups; by ",
                  name, f->bytes.len, f->footer_bytes, f->n_rows, f->n_groups);
    print_text(out, f->created_by, METADATA_SHOWN);
    (void)fputc('\n', out);
    for (size_t i = 0; i < f->n_pairs; i++) {
        print_text(out, f->pairs[i].key, METADATA_SHOWN);
        (void)fputs(" = ", out);
        print_text(out, f->pairs[i].value, METADATA_SHOWN);
        (void)fputc('\n', out);
    }
    (void)fputs("columns\n", out);
    for (size_t i = 0; i < f->n_leaves; i++) {
        const struct file_leaf *leaf = &f->leaves[i];
        (void)fputs("  ", out);
        print_text(out, leaf->path, TEXT_SHOWN);
        (void)fprintf(out, ": %s%s%s%s\n", physical_name(leaf->physical), meaning(leaf),
                      leaf->max_definition > leaf->max_repetition ? ", nulls" : "",
                      leaf->max_repetition > 0 ? ", repeated" : "");
    }
    for (size_t i = 0; i < f->n_groups; i++) {
        print_group(out, f, i);
    }
}
