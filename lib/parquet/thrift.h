/* Thrift's compact protocol, as far as Parquet's page headers and footer need it. Source:
 * apache/thrift doc/specs/thrift-compact-protocol.md.
 *
 *   field:  (id - last id) << 4 | type, or type and the zigzag id; then the value
 *   struct: fields, 0        list: n << 4 | type, or 0xf0 | type and the varint n; then the
 * elements */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"

enum thrift_type {
    THRIFT_STOP = 0,
    THRIFT_TRUE = 1, /* of list elements: bool, a byte 1 (true) or 2 (false) each */
    THRIFT_FALSE = 2,
    THRIFT_BYTE = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_DOUBLE = 7,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_SET = 10,
    THRIFT_MAP = 11,
    THRIFT_STRUCT = 12
};

/* A struct being written: fields in ascending order of ids, then thrift_end. */
struct thrift_struct {
    struct buf *out;
    int16_t last_id;
};

/* The outermost struct, or a struct as an element of a list. */
static inline struct thrift_struct thrift_begin(struct buf *out)
{
    return (struct thrift_struct){out, 0};
}

void thrift_end(struct thrift_struct *s);
void thrift_bool(struct thrift_struct *s, int16_t id, bool v);
void thrift_i16(struct thrift_struct *s, int16_t id, int16_t v);
void thrift_i32(struct thrift_struct *s, int16_t id, int32_t v);
void thrift_i64(struct thrift_struct *s, int16_t id, int64_t v);
void thrift_bytes(struct thrift_struct *s, int16_t id, struct slice v);
void thrift_text(struct thrift_struct *s, int16_t id, const char *v);
/* A field that is a struct: its fields and its thrift_end come next. */
struct thrift_struct thrift_field_struct(struct thrift_struct *s, int16_t id);
/* A struct without fields, as unions have them. */
void thrift_empty(struct thrift_struct *s, int16_t id);
/* A field that is a list: n elements come next. */
void thrift_list(struct thrift_struct *s, int16_t id, enum thrift_type type, size_t n);
/* A field whose bytes, a struct's with its end, are there already. */
void thrift_raw_struct(struct thrift_struct *s, int16_t id, struct slice bytes);

/* A struct being read. Failure is the cursor's. */
struct thrift_reader {
    struct cursor *in;
    int16_t id;    /* of the current field */
    uint8_t type;  /* enum thrift_type; bools carry their value here */
    uint8_t depth; /* of nesting below which thrift_skip refuses */
};

struct thrift_reader thrift_read_begin(struct cursor *in);
/* Steps to the next field; false at the struct's end or when the input is bad. Its value must be
 * read or skipped. */
bool thrift_next(struct thrift_reader *r);
/* The value if the field has that type; otherwise the input is bad. */
bool thrift_read_bool(struct thrift_reader *r);
int32_t thrift_read_i32(struct thrift_reader *r);
int64_t thrift_read_i64(struct thrift_reader *r);
struct slice thrift_read_bytes(struct thrift_reader *r);
struct thrift_reader thrift_read_struct(struct thrift_reader *r);
/* The number of elements of the given type, which is never more than the bytes that are left. */
size_t thrift_read_list(struct thrift_reader *r, enum thrift_type type);
/* Room for that many elements, cleared, and one more; NULL and bad input when the arena is full. */
void *thrift_read_array(struct thrift_reader *r, enum thrift_type type, size_t item_bytes,
                        struct arena *a, size_t *n);
/* A struct as an element of a list, one level below r. */
struct thrift_reader thrift_read_element(struct thrift_reader *r);
void thrift_skip(struct thrift_reader *r);
