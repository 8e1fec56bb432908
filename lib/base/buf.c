#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed-width writes assume little-endian");

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max_bytes = max_bytes};
}

void buf_fini(struct buf *b)
{
    free(b->ptr);
    *b = (struct buf){.max_bytes = b->max_bytes};
}

uint8_t *buf_take(struct buf *b, size_t *len)
{
    uint8_t *p = b->ptr;
    *len = b->len;
    *b = (struct buf){.max_bytes = b->max_bytes};
    return p;
}

bool buf_grow(struct buf *b, size_t n_bytes)
{
    if (b->failed || n_bytes > b->max_bytes || b->len > b->max_bytes - n_bytes) {
        b->failed = true;
        return false;
    }
    size_t want = b->len + n_bytes;
    size_t cap = b->cap < 256 ? 256 : b->cap;
    while (cap < want) {
        cap *= 2;
    }
    if (cap > b->max_bytes) {
        cap = b->max_bytes;
    }
    uint8_t *p = realloc(b->ptr, cap);
    if (p == NULL) {
        b->failed = true;
        return false;
    }
    b->ptr = p;
    b->cap = cap;
    return true;
}

/* 56 bits → eight groups of 7, each in a byte. */
static uint64_t spread7(uint64_t v)
{
    v = (v & UINT64_C(0x000000000fffffff)) | (v & UINT64_C(0x00fffffff0000000)) << 4;
    v = (v & UINT64_C(0x00003fff00003fff)) | (v & UINT64_C(0x0fffc0000fffc000)) << 2;
    return (v & UINT64_C(0x007f007f007f007f)) | (v & UINT64_C(0x3f803f803f803f80)) << 1;
}

void buf_varint(struct buf *b, uint64_t v)
{
    if (v < UINT64_C(1) << 56 && b->cap - b->len >= sizeof v && b->cap != 0) {
        /* Without a branch on the length: bucket counts are a mix that no predictor guesses. */
        size_t n = ((size_t)(63 - __builtin_clzll(v | 1)) + 7) / 7;
        uint64_t more = UINT64_C(0x8080808080808080) & ((UINT64_C(1) << (8 * (n - 1))) - 1);
        uint64_t word = spread7(v) | more;
        memcpy(b->ptr + b->len, &word, sizeof word);
        b->len += n;
        return;
    }
    uint8_t bytes[10];
    size_t n = 0;
    while (v >= 0x80) {
        bytes[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    bytes[n++] = (uint8_t)v;
    buf_put(b, bytes, n);
}

void buf_zigzag(struct buf *b, int64_t v)
{
    buf_varint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

void buf_varint_bytes(struct buf *b, struct slice s)
{
    buf_varint(b, s.len);
    buf_put_slice(b, s);
}

void buf_zigzag_bytes(struct buf *b, struct slice s)
{
    buf_zigzag(b, (int64_t)s.len);
    buf_put_slice(b, s);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    /* vsnprintf writes a NUL behind the text: make room for it, but do not count it. */
    if (len < 0 || ((size_t)len + 1 > b->cap - b->len && !buf_grow(b, (size_t)len + 1))) {
        b->failed = true;
    } else {
        (void)vsnprintf((char *)b->ptr + b->len, (size_t)len + 1, fmt, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

const char *buf_c_str(struct buf *b)
{
    uint8_t *nul = buf_extend(b, 1);
    if (nul == NULL) {
        return "";
    }
    *nul = '\0';
    b->len--;
    return (const char *)b->ptr;
}
