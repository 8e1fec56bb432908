#include "parquet/file_pages.h"

#include "parquet/bloom.h"
#include "parquet/thrift.h"

static bool span_of(const struct parquet_file *f, int64_t at, int64_t len, struct slice *out,
                    struct err *e)
{
    if (at < 0 || len < 0 || (uint64_t)at > f->bytes.len ||
        (uint64_t)len > f->bytes.len - (uint64_t)at) {
        return err_set(e, ERR_BAD_INPUT, "bytes %lld+%lld are beyond the file", (long long)at,
                       (long long)len);
    }
    *out = slice_of(f->bytes.ptr + at, (size_t)len);
    return true;
}

static void page_kind_read(struct thrift_reader r, struct file_page *out)
{
    while (thrift_next(&r)) {
        if (r.id == 1) {
            out->n_values = thrift_read_i32(&r);
        } else if (r.id == 2) {
            out->encoding = thrift_read_i32(&r);
        } else {
            thrift_skip(&r);
        }
    }
}

bool file_page(const struct parquet_file *f, int64_t at, int64_t limit, struct file_page *out,
               struct err *e)
{
    struct slice room = SLICE_NONE;
    if (at < 0 || limit < at) {
        return err_set(e, ERR_BAD_INPUT, "a page at byte %lld, outside of its chunk",
                       (long long)at);
    }
    if (!span_of(f, at, limit - at, &room, e)) {
        return false;
    }
    *out = (struct file_page){.type = -1};
    struct cursor in = cursor_of(room);
    struct thrift_reader r = thrift_read_begin(&in);
    int32_t body_bytes = -1;
    while (thrift_next(&r)) {
        switch (r.id) {
        case 1:
            out->type = thrift_read_i32(&r);
            break;
        case 2:
            out->plain_bytes = thrift_read_i32(&r);
            break;
        case 3:
            body_bytes = thrift_read_i32(&r);
            break;
        case 4:
            out->checksum = (uint32_t)thrift_read_i32(&r);
            out->has_checksum = true;
            break;
        case 5:
        case 7:
            page_kind_read(thrift_read_struct(&r), out);
            break;
        default:
            thrift_skip(&r);
            break;
        }
    }
    out->header_bytes = cursor_at(&in);
    if (cursor_ok(&in) && body_bytes >= 0) {
        out->body = cursor_take(&in, (uint64_t)body_bytes);
    }
    if (!cursor_ok(&in) || body_bytes < 0 || out->plain_bytes < 0 || out->n_values < 0) {
        return err_set(e, ERR_BAD_INPUT, "the page header at byte %lld is damaged", (long long)at);
    }
    return true;
}

static void locations_read(struct thrift_reader *r, struct file_index *out, struct arena *a)
{
    out->locations = thrift_read_array(r, THRIFT_STRUCT, sizeof *out->locations, a, &out->n_pages);
    for (size_t i = 0; i < out->n_pages && cursor_ok(r->in); i++) {
        struct thrift_reader x = thrift_read_element(r);
        while (thrift_next(&x)) {
            switch (x.id) {
            case 1:
                out->locations[i].at = thrift_read_i64(&x);
                break;
            case 2:
                out->locations[i].len = thrift_read_i32(&x);
                break;
            case 3:
                out->locations[i].first_row = thrift_read_i64(&x);
                break;
            default:
                thrift_skip(&x);
                break;
            }
        }
    }
}

static struct slice *texts_read(struct thrift_reader *r, struct arena *a, size_t *n)
{
    struct slice *texts = thrift_read_array(r, THRIFT_BINARY, sizeof *texts, a, n);
    for (size_t i = 0; i < *n; i++) {
        texts[i] = cursor_varint_bytes(r->in);
    }
    return texts;
}

static bool column_index_read(struct cursor *in, struct file_index *out, struct arena *a)
{
    struct thrift_reader r = thrift_read_begin(in);
    size_t n[4] = {0};
    while (thrift_next(&r)) {
        switch (r.id) {
        case 1:
            out->null_pages = thrift_read_array(&r, THRIFT_TRUE, sizeof *out->null_pages, a, &n[0]);
            for (size_t i = 0; i < n[0]; i++) {
                out->null_pages[i] = cursor_u8(in) == THRIFT_TRUE;
            }
            break;
        case 2:
            out->min = texts_read(&r, a, &n[1]);
            break;
        case 3:
            out->max = texts_read(&r, a, &n[2]);
            break;
        case 4:
            out->order = thrift_read_i32(&r);
            break;
        case 5:
            out->n_nulls = thrift_read_array(&r, THRIFT_I64, sizeof *out->n_nulls, a, &n[3]);
            out->has_null_counts = true;
            for (size_t i = 0; i < n[3]; i++) {
                out->n_nulls[i] = cursor_zigzag(in);
            }
            break;
        default:
            thrift_skip(&r);
            break;
        }
    }
    return cursor_ok(in) && n[0] == out->n_pages && n[1] == out->n_pages && n[2] == out->n_pages &&
           (!out->has_null_counts || n[3] == out->n_pages);
}

bool file_index(const struct parquet_file *f, const struct file_chunk *chunk, struct arena *a,
                struct file_index *out, struct err *e)
{
    struct slice bytes = SLICE_NONE;
    *out = (struct file_index){.has_locations = chunk->offset_index.len != 0};
    if (!out->has_locations) {
        return true;
    }
    if (!span_of(f, chunk->offset_index.at, chunk->offset_index.len, &bytes, e)) {
        return err_wrap(e, "offset index");
    }
    struct cursor in = cursor_of(bytes);
    struct thrift_reader r = thrift_read_begin(&in);
    while (thrift_next(&r)) {
        if (r.id == 1) {
            locations_read(&r, out, a);
        } else {
            thrift_skip(&r);
        }
    }
    if (!cursor_ok(&in)) {
        return err_set(e, ERR_BAD_INPUT, "the offset index is damaged");
    }
    if (chunk->column_index.len == 0) {
        return true;
    }
    if (!span_of(f, chunk->column_index.at, chunk->column_index.len, &bytes, e)) {
        return err_wrap(e, "column index");
    }
    in = cursor_of(bytes);
    out->has_bounds = true;
    return column_index_read(&in, out, a) ||
           err_set(e, ERR_BAD_INPUT, "the column index is damaged");
}

bool file_bloom(const struct parquet_file *f, const struct file_chunk *chunk, struct slice *out,
                struct err *e)
{
    struct slice bytes = SLICE_NONE;
    if (!span_of(f, chunk->bloom.at, chunk->bloom.len, &bytes, e)) {
        return err_wrap(e, "Bloom filter");
    }
    struct cursor in = cursor_of(bytes);
    struct thrift_reader r = thrift_read_begin(&in);
    int32_t n_bytes = 0;
    while (thrift_next(&r)) {
        if (r.id == 1) {
            n_bytes = thrift_read_i32(&r);
        } else {
            thrift_skip(&r);
        }
    }
    if (!cursor_ok(&in) || n_bytes < BLOOM_BLOCK_BYTES || n_bytes % BLOOM_BLOCK_BYTES != 0) {
        return err_set(e, ERR_BAD_INPUT, "the Bloom filter's header is damaged");
    }
    *out = cursor_take(&in, (uint64_t)n_bytes);
    return cursor_ok(&in) || err_set(e, ERR_BAD_INPUT, "the Bloom filter is cut short");
}
