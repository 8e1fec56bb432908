#include "parquet/page.h"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

bool press_init(struct press *p, enum parquet_codec codec, int zstd_level, bool checksums,
                size_t max_bytes, struct err *e)
{
    *p = (struct press){.codec = codec, .checksums = checksums};
    buf_init(&p->body, max_bytes);
    buf_init(&p->packed, max_bytes);
    buf_init(&p->header, max_bytes);
    if (codec != PARQUET_UNCOMPRESSED && codec != PARQUET_SNAPPY && codec != PARQUET_ZSTD) {
        return err_set(e, ERR_CONFIG, "no such codec: %d", (int)codec);
    }
    if (codec == PARQUET_ZSTD) {
        p->zstd = ZSTD_createCCtx();
        if (p->zstd == NULL ||
            ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, zstd_level))) {
            press_fini(p);
            return err_set(e, ERR_RETRY, "zstd: no compressor of level %d", zstd_level);
        }
    }
    return true;
}

void press_fini(struct press *p)
{
    (void)ZSTD_freeCCtx(p->zstd);
    p->zstd = NULL;
    buf_fini(&p->body);
    buf_fini(&p->packed);
    buf_fini(&p->header);
}

size_t press_held_bytes(const struct press *p)
{
    return p->body.cap + p->packed.cap + p->header.cap +
           (p->zstd == NULL ? 0 : ZSTD_sizeof_CCtx(p->zstd));
}

static bool pack(struct press *p, struct slice *out)
{
    *out = buf_slice(&p->body);
    if (p->codec == PARQUET_UNCOMPRESSED) {
        return true;
    }
    size_t room = p->codec == PARQUET_ZSTD ? ZSTD_compressBound(p->body.len)
                                           : snappy_max_compressed_length(p->body.len);
    buf_reset(&p->packed);
    uint8_t *to = buf_extend(&p->packed, room);
    if (to == NULL) {
        return false;
    }
    const void *from = p->body.len == 0 ? "" : (const void *)p->body.ptr;
    if (p->codec == PARQUET_ZSTD) {
        p->packed.len = ZSTD_compress2(p->zstd, to, room, from, p->body.len);
        *out = buf_slice(&p->packed);
        return !ZSTD_isError(p->packed.len);
    }
    bool ok = snappy_compress(from, p->body.len, (char *)to, &p->packed.len) == SNAPPY_OK;
    *out = buf_slice(&p->packed);
    return ok;
}

static void header_put(struct press *p, enum parquet_page_type type, const struct page *page,
                       struct slice packed)
{
    buf_reset(&p->header);
    struct thrift_struct header = thrift_begin(&p->header);
    thrift_i32(&header, 1, (int32_t)type);
    thrift_i32(&header, 2, (int32_t)p->body.len);
    thrift_i32(&header, 3, (int32_t)packed.len);
    if (p->checksums) {
        thrift_i32(&header, 4,
                   (int32_t)(uint32_t)crc32_z(crc32_z(0, NULL, 0), packed.ptr, packed.len));
    }
    struct thrift_struct inner = thrift_field_struct(&header, type == PAGE_DATA ? 5 : 7);
    thrift_i32(&inner, 1, (int32_t)page->n_levels);
    thrift_i32(&inner, 2, (int32_t)page->encoding);
    if (type == PAGE_DATA) {
        thrift_i32(&inner, 3, ENCODING_RLE);
        thrift_i32(&inner, 4, ENCODING_RLE);
    }
    thrift_end(&inner);
    thrift_end(&header);
}

bool press_page(struct press *p, enum parquet_page_type type, struct page *page, struct arena *a,
                struct err *e)
{
    struct slice packed;
    if (!buf_ok(&p->body) || p->body.len > INT32_MAX / 2 || !pack(p, &packed)) {
        return err_set(e, ERR_BAD_INPUT, "a page of %zu bytes or more is over the memory ceiling",
                       p->body.len);
    }
    header_put(p, type, page, packed);
    size_t n_bytes = p->header.len + packed.len;
    uint8_t *bytes = buf_ok(&p->header) ? arena_alloc(a, n_bytes) : NULL;
    if (bytes == NULL) {
        return err_set(e, ERR_BAD_INPUT,
                       "a row group with a page of %zu bytes more is over the memory ceiling",
                       n_bytes);
    }
    memcpy(bytes, p->header.ptr, p->header.len);
    if (packed.len > 0) {
        memcpy(bytes + p->header.len, packed.ptr, packed.len);
    }
    page->bytes = slice_of(bytes, n_bytes);
    page->plain_bytes = p->header.len + p->body.len;
    return true;
}
