#include "parquet/thrift.h"

enum { SHORT_LIST = 15, MAX_DEPTH = 16 };

static void field_put(struct thrift_struct *s, int16_t id, enum thrift_type type)
{
    int delta = id - s->last_id;
    if (delta > 0 && delta <= 15) {
        buf_u8(s->out, (uint8_t)(delta << 4 | (int)type));
    } else {
        buf_u8(s->out, (uint8_t)type);
        buf_zigzag(s->out, id);
    }
    s->last_id = id;
}

void thrift_end(struct thrift_struct *s)
{
    buf_u8(s->out, THRIFT_STOP);
}

void thrift_bool(struct thrift_struct *s, int16_t id, bool v)
{
    field_put(s, id, v ? THRIFT_TRUE : THRIFT_FALSE);
}

void thrift_i16(struct thrift_struct *s, int16_t id, int16_t v)
{
    field_put(s, id, THRIFT_I16);
    buf_zigzag(s->out, v);
}

void thrift_i32(struct thrift_struct *s, int16_t id, int32_t v)
{
    field_put(s, id, THRIFT_I32);
    buf_zigzag(s->out, v);
}

void thrift_i64(struct thrift_struct *s, int16_t id, int64_t v)
{
    field_put(s, id, THRIFT_I64);
    buf_zigzag(s->out, v);
}

void thrift_bytes(struct thrift_struct *s, int16_t id, struct slice v)
{
    field_put(s, id, THRIFT_BINARY);
    buf_varint_bytes(s->out, v);
}

void thrift_text(struct thrift_struct *s, int16_t id, const char *v)
{
    thrift_bytes(s, id, slice_str(v));
}

struct thrift_struct thrift_field_struct(struct thrift_struct *s, int16_t id)
{
    field_put(s, id, THRIFT_STRUCT);
    return thrift_begin(s->out);
}

void thrift_empty(struct thrift_struct *s, int16_t id)
{
    struct thrift_struct none = thrift_field_struct(s, id);
    thrift_end(&none);
}

void thrift_list(struct thrift_struct *s, int16_t id, enum thrift_type type, size_t n)
{
    field_put(s, id, THRIFT_LIST);
    if (n < SHORT_LIST) {
        buf_u8(s->out, (uint8_t)(n << 4 | (size_t)type));
    } else {
        buf_u8(s->out, (uint8_t)(SHORT_LIST << 4 | (int)type));
        buf_varint(s->out, n);
    }
}

void thrift_raw_struct(struct thrift_struct *s, int16_t id, struct slice bytes)
{
    field_put(s, id, THRIFT_STRUCT);
    buf_put_slice(s->out, bytes);
}

struct thrift_reader thrift_read_begin(struct cursor *in)
{
    return (struct thrift_reader){.in = in};
}

bool thrift_next(struct thrift_reader *r)
{
    uint8_t head = cursor_u8(r->in);
    r->type = head & 15;
    if (r->type == THRIFT_STOP || r->type > THRIFT_STRUCT) {
        if (head != THRIFT_STOP) {
            cursor_fail(r->in);
        }
        return false;
    }
    int64_t id = head >> 4 != 0 ? r->id + (head >> 4) : cursor_zigzag(r->in);
    if (id < 0 || id > INT16_MAX) {
        cursor_fail(r->in);
    }
    r->id = (int16_t)id;
    return cursor_ok(r->in);
}

static bool is_of(struct thrift_reader *r, enum thrift_type type)
{
    if (r->type != type) {
        cursor_fail(r->in);
    }
    return cursor_ok(r->in);
}

bool thrift_read_bool(struct thrift_reader *r)
{
    if (r->type != THRIFT_TRUE && r->type != THRIFT_FALSE) {
        cursor_fail(r->in);
    }
    return r->type == THRIFT_TRUE;
}

int32_t thrift_read_i32(struct thrift_reader *r)
{
    int64_t v = is_of(r, THRIFT_I32) ? cursor_zigzag(r->in) : 0;
    if (v < INT32_MIN || v > INT32_MAX) {
        cursor_fail(r->in);
        return 0;
    }
    return (int32_t)v;
}

int64_t thrift_read_i64(struct thrift_reader *r)
{
    return is_of(r, THRIFT_I64) ? cursor_zigzag(r->in) : 0;
}

struct slice thrift_read_bytes(struct thrift_reader *r)
{
    return is_of(r, THRIFT_BINARY) ? cursor_varint_bytes(r->in) : SLICE_NONE;
}

struct thrift_reader thrift_read_element(struct thrift_reader *r)
{
    struct thrift_reader inner = {.in = r->in, .depth = (uint8_t)(r->depth + 1)};
    if (inner.depth > MAX_DEPTH) {
        cursor_fail(r->in);
    }
    return inner;
}

struct thrift_reader thrift_read_struct(struct thrift_reader *r)
{
    (void)is_of(r, THRIFT_STRUCT);
    return thrift_read_element(r);
}

static size_t list_head(struct cursor *in, uint8_t *type)
{
    uint8_t head = cursor_u8(in);
    uint64_t n = head >> 4 == SHORT_LIST ? cursor_varint(in) : head >> 4;
    *type = head & 15;
    if (n > cursor_left(in)) {
        cursor_fail(in);
        return 0;
    }
    return (size_t)n;
}

size_t thrift_read_list(struct thrift_reader *r, enum thrift_type type)
{
    uint8_t got = 0;
    size_t n = is_of(r, THRIFT_LIST) ? list_head(r->in, &got) : 0;
    bool both_bool = type == THRIFT_TRUE && got == THRIFT_FALSE;
    if (n > 0 && got != type && !both_bool) {
        cursor_fail(r->in);
        return 0;
    }
    return n;
}

void *thrift_read_array(struct thrift_reader *r, enum thrift_type type, size_t item_bytes,
                        struct arena *a, size_t *n)
{
    *n = thrift_read_list(r, type);
    void *items = arena_calloc(a, *n + 1, item_bytes);
    if (items == NULL) {
        cursor_fail(r->in);
        *n = 0;
    }
    return items;
}

static void value_skip(struct cursor *in, uint8_t type, uint8_t depth);

static void struct_skip(struct cursor *in, uint8_t depth)
{
    struct thrift_reader r = {.in = in, .depth = depth};
    while (thrift_next(&r)) {
        if (r.type != THRIFT_TRUE && r.type != THRIFT_FALSE) {
            value_skip(in, r.type, depth);
        }
    }
}

static void list_skip(struct cursor *in, uint8_t depth)
{
    uint8_t type = 0;
    size_t n = list_head(in, &type);
    for (size_t i = 0; i < n && cursor_ok(in); i++) {
        value_skip(in, type, depth);
    }
}

/* Recursive: structs hold structs; MAX_DEPTH levels at most. Parquet has no maps. */
static void value_skip(struct cursor *in, uint8_t type, uint8_t depth)
{
    if (depth >= MAX_DEPTH) {
        cursor_fail(in);
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
    case THRIFT_BYTE:
        (void)cursor_u8(in);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        (void)cursor_varint(in);
        break;
    case THRIFT_DOUBLE:
        (void)cursor_le64(in);
        break;
    case THRIFT_BINARY:
        (void)cursor_varint_bytes(in);
        break;
    case THRIFT_LIST:
    case THRIFT_SET:
        list_skip(in, (uint8_t)(depth + 1));
        break;
    case THRIFT_STRUCT:
        struct_skip(in, (uint8_t)(depth + 1));
        break;
    default:
        cursor_fail(in);
        break;
    }
}

void thrift_skip(struct thrift_reader *r)
{
    if (r->type != THRIFT_TRUE && r->type != THRIFT_FALSE) {
        value_skip(r->in, r->type, r->depth);
    }
}
