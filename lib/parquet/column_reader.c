#include "parquet/column_reader.h"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "parquet/decode.h"
#include "parquet/encoding.h"
#include "parquet/page.h"

size_t column_stride(enum parquet_physical physical)
{
    switch (physical) {
    case PHYSICAL_BOOLEAN:
        return 1;
    case PHYSICAL_INT32:
        return 4;
    case PHYSICAL_BYTE_ARRAY:
        return sizeof(struct slice);
    default:
        return 8;
    }
}

static bool is_known(int32_t physical)
{
    return physical == PHYSICAL_BOOLEAN || physical == PHYSICAL_INT32 ||
           physical == PHYSICAL_INT64 || physical == PHYSICAL_DOUBLE ||
           physical == PHYSICAL_BYTE_ARRAY;
}

void column_reader_init(struct column_reader *r, const struct parquet_file *file,
                        const struct file_leaf *leaf, const struct file_chunk *chunk,
                        size_t max_bytes)
{
    *r = (struct column_reader){.file = file, .leaf = leaf, .chunk = chunk};
    arena_init(&r->page, max_bytes);
    arena_init(&r->dictionary, max_bytes);
    r->at = chunk->dictionary_page != 0 ? chunk->dictionary_page : chunk->data_page;
    if (__builtin_add_overflow(r->at, chunk->file_bytes, &r->end)) {
        r->end = -1;
    }
}

void column_reader_fini(struct column_reader *r)
{
    arena_fini(&r->page);
    arena_fini(&r->dictionary);
}

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_BAD_INPUT, "needs more memory than it may have");
}

static bool unpack(const struct file_page *page, int32_t codec, struct arena *a, struct slice *out,
                   struct err *e)
{
    size_t n = (size_t)page->plain_bytes;
    uint8_t *bytes = codec == PARQUET_UNCOMPRESSED ? NULL : arena_alloc(a, n);
    size_t got = n;
    bool ok = true;
    if (bytes == NULL && codec != PARQUET_UNCOMPRESSED) {
        return no_memory(e);
    }
    switch (codec) {
    case PARQUET_UNCOMPRESSED:
        *out = page->body;
        return page->body.len == n ||
               err_set(e, ERR_BAD_INPUT, "%zu bytes instead of %zu", page->body.len, n);
    case PARQUET_ZSTD:
        got = ZSTD_decompress(bytes, n, page->body.ptr, page->body.len);
        ok = !ZSTD_isError(got);
        break;
    case PARQUET_SNAPPY:
        ok = snappy_uncompress((const char *)page->body.ptr, page->body.len, (char *)bytes, &got) ==
             SNAPPY_OK;
        break;
    default:
        return err_set(e, ERR_BAD_INPUT, "codec %d is not known here", codec);
    }
    *out = slice_of(bytes, n);
    return (ok && got == n) || err_set(e, ERR_BAD_INPUT, "is not %zu bytes of codec %d", n, codec);
}

static bool body_of(struct column_reader *r, const struct file_page *page, struct arena *a,
                    struct slice *out, struct err *e)
{
    r->plain_bytes += (int64_t)page->header_bytes + page->plain_bytes;
    if (page->has_checksum) {
        uint32_t checksum = (uint32_t)crc32_z(crc32_z(0, NULL, 0), page->body.ptr, page->body.len);
        if (checksum != page->checksum) {
            return err_set(e, ERR_BAD_INPUT, "checksum %08x instead of %08x", checksum,
                           page->checksum);
        }
    }
    return unpack(page, r->chunk->codec, a, out, e);
}

static bool levels_decode(struct cursor *in, uint8_t max, size_t n, struct arena *a,
                          const uint32_t **out, struct err *e)
{
    uint32_t *levels = ARENA_ARRAY(a, uint32_t, n);
    *out = levels;
    if (levels == NULL) {
        return no_memory(e);
    }
    if (max == 0) {
        return true;
    }
    struct cursor encoded = cursor_of(cursor_take(in, cursor_le32(in)));
    if (!cursor_ok(in) || !rle_decode(&encoded, bit_width_of(max), n, levels)) {
        return err_set(e, ERR_BAD_INPUT, "the levels are damaged");
    }
    for (size_t i = 0; i < n; i++) {
        if (levels[i] > max) {
            return err_set(e, ERR_BAD_INPUT, "level %u where %u is the most", levels[i], max);
        }
    }
    return true;
}

static bool ids_decode(struct column_reader *r, struct cursor *in, size_t n, uint8_t *out,
                       struct err *e)
{
    size_t stride = column_stride(r->leaf->physical);
    uint32_t *ids = ARENA_ARRAY(&r->page, uint32_t, n);
    unsigned bit_width = cursor_u8(in);
    if (ids == NULL) {
        return no_memory(e);
    }
    if (!cursor_ok(in) || !rle_decode(in, bit_width, n, ids)) {
        return err_set(e, ERR_BAD_INPUT, "the dictionary ids are damaged");
    }
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= r->n_entries) {
            return err_set(e, ERR_BAD_INPUT, "id %u of %zu", ids[i], r->n_entries);
        }
        memcpy(out + i * stride, (const uint8_t *)r->entries + ids[i] * stride, stride);
    }
    return true;
}

static bool plain_decode(struct cursor *in, enum parquet_physical physical, size_t n, uint8_t *out)
{
    if (physical == PHYSICAL_BYTE_ARRAY) {
        return texts_decode(in, n, (struct slice *)(void *)out);
    }
    if (physical == PHYSICAL_BOOLEAN) {
        return bits_decode(in, n, out);
    }
    struct slice bytes = cursor_take(in, (uint64_t)n * column_stride(physical));
    if (cursor_ok(in) && bytes.len > 0) {
        memcpy(out, bytes.ptr, bytes.len);
    }
    return cursor_ok(in);
}

static bool values_decode(struct column_reader *r, struct cursor *in, int32_t encoding, size_t n,
                          const void **values, struct err *e)
{
    enum parquet_physical physical = r->leaf->physical;
    unsigned width = (unsigned)column_stride(physical);
    bool whole = physical == PHYSICAL_INT32 || physical == PHYSICAL_INT64;
    bool ok = false;
    uint8_t *out = arena_calloc(&r->page, n, width);
    *values = out;
    if (out == NULL) {
        return no_memory(e);
    }
    bool by_id = encoding == ENCODING_RLE_DICTIONARY || encoding == ENCODING_PLAIN_DICTIONARY;
    if (by_id && r->n_dictionary_pages > 0) {
        if (!ids_decode(r, in, n, out, e)) {
            return false;
        }
        ok = true;
    } else if (encoding == ENCODING_PLAIN) {
        ok = plain_decode(in, physical, n, out);
    } else if (encoding == ENCODING_DELTA_BINARY_PACKED && whole) {
        ok = delta_decode(in, width, n, out);
    } else if (encoding == ENCODING_BYTE_STREAM_SPLIT && physical == PHYSICAL_DOUBLE) {
        ok = split_decode(in, width, n, out);
    } else {
        return err_set(e, ERR_BAD_INPUT, "encoding %d is not known here for this type", encoding);
    }
    return (ok && !cursor_more(in)) ||
           err_set(e, ERR_BAD_INPUT, "is not %zu values of encoding %d", n, encoding);
}

static bool dictionary_decode(struct column_reader *r, const struct file_page *page, struct err *e)
{
    struct slice body;
    bool plain = page->encoding == ENCODING_PLAIN || page->encoding == ENCODING_PLAIN_DICTIONARY;
    if (r->n_dictionary_pages++ > 0 || !plain) {
        return err_set(e, ERR_BAD_INPUT, "a second dictionary, or one that is not PLAIN");
    }
    if (!body_of(r, page, &r->dictionary, &body, e)) {
        return false;
    }
    struct cursor in = cursor_of(body);
    size_t n = (size_t)page->n_values;
    uint8_t *entries = arena_calloc(&r->dictionary, n, column_stride(r->leaf->physical));
    if (entries == NULL) {
        return no_memory(e);
    }
    r->entries = entries;
    r->n_entries = n;
    return (plain_decode(&in, r->leaf->physical, n, entries) && !cursor_more(&in)) ||
           err_set(e, ERR_BAD_INPUT, "is not %zu values", n);
}

static bool data_decode(struct column_reader *r, const struct file_page *page,
                        struct decoded_page *out, struct err *e)
{
    struct slice body;
    arena_reset(&r->page);
    if (!body_of(r, page, &r->page, &body, e)) {
        return false;
    }
    struct cursor in = cursor_of(body);
    size_t n = (size_t)page->n_values;
    if (!levels_decode(&in, r->leaf->max_repetition, n, &r->page, &out->repetition, e) ||
        !levels_decode(&in, r->leaf->max_definition, n, &r->page, &out->definition, e)) {
        return false;
    }
    out->n_levels = n;
    for (size_t i = 0; i < n; i++) {
        out->n_values += out->definition[i] == r->leaf->max_definition;
        out->n_rows += out->repetition[i] == 0;
    }
    if (page->encoding >= 0 && page->encoding < N_ENCODINGS) {
        r->n_data_pages[page->encoding]++;
    }
    return values_decode(r, &in, page->encoding, out->n_values, &out->values, e);
}

bool column_reader_next(struct column_reader *r, struct decoded_page *out, struct err *e)
{
    *out = (struct decoded_page){.n_levels = 0};
    if (!is_known(r->leaf->physical) || r->chunk->physical != (int32_t)r->leaf->physical) {
        return err_set(e, ERR_BAD_INPUT, "type %d is not known here, or not the schema's",
                       r->chunk->physical);
    }
    while (r->at != r->end && out->n_levels == 0) {
        struct file_page page;
        if (!file_page(r->file, r->at, r->end, &page, e)) {
            return false;
        }
        int64_t at = r->at;
        r->at += (int64_t)(page.header_bytes + page.body.len);
        bool is_data = page.type == PAGE_DATA && page.n_values > 0;
        bool ok = is_data ? data_decode(r, &page, out, e)
                  : page.type == PAGE_DICTIONARY
                      ? dictionary_decode(r, &page, e)
                      : err_set(e, ERR_BAD_INPUT, "a page of type %d", page.type);
        if (!ok) {
            return err_wrap(e, "page at byte %lld", (long long)at);
        }
        out->at = at;
        out->n_bytes = r->at - at;
    }
    return true;
}
