/* The only way to read untrusted bytes. Failure is sticky: after the first read past the end
 * every read gives 0 and cursor_ok is false, so a decoder checks once per record. A nested
 * length is read by cursor_take into a cursor of its own. */
#pragma once

#include "base/slice.h"

struct cursor {
    const uint8_t *next;
    const uint8_t *end;
    const uint8_t *start; /* for cursor_at only */
    bool failed;
};

static inline struct cursor cursor_of(struct slice s)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *p = s.len == 0 ? nothing : s.ptr;
    return (struct cursor){p, p + s.len, p, false};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->next);
}

/* Offset of the next byte from where the cursor began. */
static inline size_t cursor_at(const struct cursor *c)
{
    return (size_t)(c->next - c->start);
}

static inline bool cursor_ok(const struct cursor *c)
{
    return !c->failed;
}

/* True while there is more to read and nothing has failed. */
static inline bool cursor_more(const struct cursor *c)
{
    return c->next < c->end && !c->failed;
}

static inline void cursor_fail(struct cursor *c)
{
    c->failed = true;
    c->next = c->end;
}

static inline struct slice cursor_take(struct cursor *c, uint64_t n_bytes)
{
    if (n_bytes > cursor_left(c)) {
        cursor_fail(c);
        return SLICE_NONE;
    }
    struct slice s = {c->next, (size_t)n_bytes};
    c->next += n_bytes;
    return s;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    if (c->next >= c->end) {
        cursor_fail(c);
        return 0;
    }
    return *c->next++;
}

static inline uint32_t cursor_le32(struct cursor *c)
{
    uint32_t v;
    if (cursor_left(c) < sizeof v) {
        cursor_fail(c);
        return 0;
    }
    memcpy(&v, c->next, sizeof v);
    c->next += sizeof v;
    return v;
}

static inline uint64_t cursor_le64(struct cursor *c)
{
    uint64_t v;
    if (cursor_left(c) < sizeof v) {
        cursor_fail(c);
        return 0;
    }
    memcpy(&v, c->next, sizeof v);
    c->next += sizeof v;
    return v;
}

static inline double cursor_double(struct cursor *c)
{
    uint64_t bits = cursor_le64(c);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The general case of cursor_varint: at most 10 bytes, no bit beyond the 64th. */
uint64_t cursor_varint_slow(struct cursor *c);

/* A base-128 varint, as protobuf and Avro have it. */
static inline uint64_t cursor_varint(struct cursor *c)
{
    if (c->next < c->end && *c->next < 0x80) {
        return *c->next++;
    }
    return cursor_varint_slow(c);
}

/* Avro's int and long, protobuf's sint. */
static inline int64_t cursor_zigzag(struct cursor *c)
{
    uint64_t v = cursor_varint(c);
    return (int64_t)((v >> 1) ^ (~(v & 1) + 1));
}

/* Bytes behind a varint length (protobuf). */
static inline struct slice cursor_varint_bytes(struct cursor *c)
{
    return cursor_take(c, cursor_varint(c));
}

/* Bytes behind a zigzag length (Avro); a negative length fails. */
static inline struct slice cursor_zigzag_bytes(struct cursor *c)
{
    int64_t len = cursor_zigzag(c);
    if (len < 0) {
        cursor_fail(c);
        return SLICE_NONE;
    }
    return cursor_take(c, (uint64_t)len);
}
