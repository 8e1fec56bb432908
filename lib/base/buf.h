/* A growing run of bytes that is written to its end, with a ceiling. Failure (ceiling, out of
 * memory) is sticky and checked once when the writer is done. */
#pragma once

#include "base/slice.h"

struct buf {
    uint8_t *ptr; /* owned */
    size_t len;
    size_t cap;
    size_t max_bytes;
    bool failed;
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_fini(struct buf *b);

/* Empties it and forgets a failure; keeps the memory. */
static inline void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

static inline bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

/* What was written; valid until the next write. */
static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->ptr, b->len};
}

/* Moves the bytes out (free() them) and leaves the buf empty. */
uint8_t *buf_take(struct buf *b, size_t *len);

bool buf_grow(struct buf *b, size_t n_bytes);

/* Room for n_bytes at the end, to be filled at once; NULL at the ceiling. Adds them to len. */
static inline uint8_t *buf_extend(struct buf *b, size_t n_bytes)
{
    if (n_bytes > b->cap - b->len && !buf_grow(b, n_bytes)) {
        return NULL;
    }
    uint8_t *p = b->ptr + b->len;
    b->len += n_bytes;
    return p;
}

static inline void buf_put(struct buf *b, const void *bytes, size_t n_bytes)
{
    uint8_t *p = n_bytes == 0 ? NULL : buf_extend(b, n_bytes);
    if (p != NULL) {
        memcpy(p, bytes, n_bytes);
    }
}

static inline void buf_put_slice(struct buf *b, struct slice s)
{
    buf_put(b, s.ptr, s.len);
}

static inline void buf_u8(struct buf *b, uint8_t v)
{
    buf_put(b, &v, 1);
}

static inline void buf_le32(struct buf *b, uint32_t v)
{
    buf_put(b, &v, sizeof v);
}

static inline void buf_le64(struct buf *b, uint64_t v)
{
    buf_put(b, &v, sizeof v);
}

static inline void buf_double(struct buf *b, double v)
{
    buf_put(b, &v, sizeof v);
}

void buf_varint(struct buf *b, uint64_t v);
void buf_zigzag(struct buf *b, int64_t v);
/* A varint length and the bytes (protobuf); a zigzag length and the bytes (Avro). */
void buf_varint_bytes(struct buf *b, struct slice s);
void buf_zigzag_bytes(struct buf *b, struct slice s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A NUL behind the last byte, not counted in len: then ptr is a C string. */
const char *buf_c_str(struct buf *b);
