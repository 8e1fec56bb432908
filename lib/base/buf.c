#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/varint.h"

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

void buf_varint(struct buf *b, uint64_t v)
{
    if (b->cap - b->len >= VARINT_SPACE) {
        b->len += varint_write(b->ptr + b->len, v);
        return;
    }
    uint8_t bytes[VARINT_SPACE];
    buf_put(b, bytes, varint_write(bytes, v));
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
