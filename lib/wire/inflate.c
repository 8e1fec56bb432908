#include "wire/inflate.h"

#include <limits.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

enum {
    STEP_BYTES = 64 * 1024,
    GZIP_WINDOW = 15 + 16,
    ZSTD_WINDOW_LOG_MAX = 23 /* 8 MiB, RFC 8878's least */
};

static bool malformed(struct err *e, const char *format, const char *what)
{
    return err_set_code(e, ERR_BAD_INPUT, INFLATE_MALFORMED, "%s: %s", format, what);
}

static bool too_large(struct err *e, const char *format, size_t max_bytes)
{
    return err_set_code(e, ERR_BAD_INPUT, INFLATE_TOO_LARGE, "%s: unpacks to more than %zu bytes",
                        format, max_bytes);
}

static bool snappy_inflate(struct slice in, size_t max_bytes, struct buf *out, struct err *e)
{
    static const uint8_t framed[] = "\xff\x06\x00\x00sNaPpY";
    if (slice_starts_with(in, slice_of(framed, sizeof framed - 1))) {
        return malformed(e, "snappy", "framed format; the block format is wanted");
    }
    size_t len = 0;
    if (in.len == 0 ||
        snappy_uncompressed_length((const char *)in.ptr, in.len, &len) != SNAPPY_OK) {
        return malformed(e, "snappy", "bad length");
    }
    if (len > max_bytes) {
        return too_large(e, "snappy", max_bytes);
    }
    uint8_t none;
    uint8_t *to = len == 0 ? &none : buf_extend(out, len);
    if (to == NULL) {
        return too_large(e, "snappy", out->max_bytes);
    }
    if (snappy_uncompress((const char *)in.ptr, in.len, (char *)to, &len) != SNAPPY_OK) {
        return malformed(e, "snappy", "bad or cut off");
    }
    return true;
}

/* Room for the next piece of at most max_bytes in all; one byte more than allowed, so that too
 * much shows. */
static uint8_t *next_piece(struct buf *out, size_t begin, size_t max_bytes, size_t *room)
{
    size_t left = max_bytes - (out->len - begin);
    *room = left < STEP_BYTES ? left + 1 : STEP_BYTES;
    return buf_extend(out, *room);
}

static bool gzip_run(z_stream *z, size_t max_bytes, struct buf *out, struct err *e)
{
    const size_t begin = out->len;
    int status = Z_OK;
    do {
        size_t room;
        uint8_t *to = next_piece(out, begin, max_bytes, &room);
        if (to == NULL) {
            return too_large(e, "gzip", out->max_bytes);
        }
        z->next_out = to;
        z->avail_out = (uInt)room;
        status = inflate(z, Z_NO_FLUSH);
        out->len -= z->avail_out;
        if (out->len - begin > max_bytes) {
            return too_large(e, "gzip", max_bytes);
        }
        if (status != Z_OK && status != Z_STREAM_END) {
            return malformed(e, "gzip", z->msg != NULL ? z->msg : "cut off");
        }
        if (status == Z_STREAM_END && z->avail_in > 0 && inflateReset(z) == Z_OK) {
            status = Z_OK; /* another member */
        }
    } while (status != Z_STREAM_END);
    return true;
}

static bool gzip_inflate(struct slice in, size_t max_bytes, struct buf *out, struct err *e)
{
    z_stream z = {0};
    if (in.len > UINT_MAX) {
        return too_large(e, "gzip", UINT_MAX);
    }
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
        return err_set(e, ERR_RETRY, "gzip: out of memory");
    }
    z.next_in = (Bytef *)(uintptr_t)in.ptr; /* zlib does not write there */
    z.avail_in = (uInt)in.len;
    bool ok = gzip_run(&z, max_bytes, out, e);
    (void)inflateEnd(&z);
    return ok;
}

static bool zstd_run(ZSTD_DStream *z, struct slice in, size_t max_bytes, struct buf *out,
                     struct err *e)
{
    const size_t begin = out->len;
    ZSTD_inBuffer from = {in.ptr, in.len, 0};
    for (;;) {
        ZSTD_outBuffer to = {0};
        to.dst = next_piece(out, begin, max_bytes, &to.size);
        if (to.dst == NULL) {
            return too_large(e, "zstd", out->max_bytes);
        }
        size_t left_of_frame = ZSTD_decompressStream(z, &to, &from);
        out->len -= to.size - to.pos;
        if (ZSTD_isError(left_of_frame)) {
            return malformed(e, "zstd", ZSTD_getErrorName(left_of_frame));
        }
        if (out->len - begin > max_bytes) {
            return too_large(e, "zstd", max_bytes);
        }
        if (from.pos == from.size && (left_of_frame == 0 || to.pos < to.size)) {
            return left_of_frame == 0 || malformed(e, "zstd", "cut off");
        }
    }
}

static bool zstd_inflate(struct slice in, size_t max_bytes, struct buf *out, struct err *e)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    if (z == NULL ||
        ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX))) {
        (void)ZSTD_freeDStream(z);
        return err_set(e, ERR_RETRY, "zstd: out of memory");
    }
    bool ok = zstd_run(z, in, max_bytes, out, e);
    (void)ZSTD_freeDStream(z);
    return ok;
}

bool inflate_bytes(enum inflate_format format, struct slice in, size_t max_bytes, struct buf *out,
                   struct err *e)
{
    switch (format) {
    case INFLATE_SNAPPY:
        return snappy_inflate(in, max_bytes, out, e);
    case INFLATE_GZIP:
        return gzip_inflate(in, max_bytes, out, e);
    default:
        return zstd_inflate(in, max_bytes, out, e);
    }
}
