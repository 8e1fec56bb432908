/* Protobuf fields and labels written by hand, for tests that must not rest on a library or on our own readers. */
#pragma once

#include "base/buf.h"

enum { PUT_VARINT = 0, PUT_I64 = 1, PUT_LEN = 2, PUT_MAX_BYTES = 1 << 24 };

static inline void put_tag(struct buf *b, unsigned number, unsigned wire)
{
    buf_varint(b, number << 3 | wire);
}

static inline void put_text(struct buf *b, unsigned number, struct slice s)
{
    put_tag(b, number, PUT_LEN);
    buf_varint_bytes(b, s);
}

static inline void put_fixed(struct buf *b, unsigned number, uint64_t v)
{
    put_tag(b, number, PUT_I64);
    buf_le64(b, v);
}

static inline void put_double(struct buf *b, unsigned number, double v)
{
    put_tag(b, number, PUT_I64);
    buf_double(b, v);
}

static inline void put_varint(struct buf *b, unsigned number, uint64_t v)
{
    put_tag(b, number, PUT_VARINT);
    buf_varint(b, v);
}

/* Puts inner as field number and ends it. */
static inline void put_message(struct buf *b, unsigned number, struct buf *inner)
{
    put_text(b, number, buf_slice(inner));
    buf_fini(inner);
}

/* Of "name=value,name=value"; *at moves on. */
static inline bool next_label(const char **at, struct slice *name, struct slice *value)
{
    if (*at == NULL || **at == '\0') {
        return false;
    }
    const char *equals = strchr(*at, '=');
    const char *end = strchr(equals, ',');
    end = end == NULL ? equals + strlen(equals) : end;
    *name = slice_of(*at, (size_t)(equals - *at));
    *value = slice_of(equals + 1, (size_t)(end - equals - 1));
    *at = *end == ',' ? end + 1 : end;
    return true;
}
