#include "batch/versions.h"

#include <avro.h>
#include <inttypes.h>
#include <stdlib.h>

#include "wire/avro_blocks.h"

/* avro-c believes the lengths and counts that it reads, and leaks when a read fails. So what it
 * holds in a conversion is bounded, by this many times the record (beyond, it is told that there is
 * no memory), and what it has left is freed at the end. */
enum { AVRO_HEADROOM_BYTES = 4 << 20, AVRO_GROWTH = 32 };

struct piece {
    struct piece *next;
    struct piece *before;
    size_t n_bytes;
    size_t pad; /* 16-byte aligned */
    uint8_t bytes[];
};

struct pool {
    struct piece *first;
    size_t held_bytes;
    size_t max_bytes;
};

static void piece_free(struct pool *pool, struct piece *p)
{
    *(p->before == NULL ? &pool->first : &p->before->next) = p->next;
    if (p->next != NULL) {
        p->next->before = p->before;
    }
    pool->held_bytes -= p->n_bytes;
    free(p);
}

static struct piece *piece_new(struct pool *pool, size_t n_bytes)
{
    if (n_bytes > pool->max_bytes || pool->held_bytes > pool->max_bytes - n_bytes) {
        return NULL;
    }
    struct piece *p = malloc(sizeof *p + n_bytes);
    if (p == NULL) {
        return NULL;
    }
    *p = (struct piece){.next = pool->first, .n_bytes = n_bytes};
    if (p->next != NULL) {
        p->next->before = p;
    }
    pool->first = p;
    pool->held_bytes += n_bytes;
    return p;
}

/* avro_allocator_t */
static void *pool_realloc(void *ctx, void *bytes, size_t old_bytes, size_t new_bytes)
{
    struct pool *pool = ctx;
    struct piece *old = bytes == NULL ? NULL : (void *)((uint8_t *)bytes - sizeof *old);
    struct piece *new = NULL;
    if (new_bytes > 0) {
        new = piece_new(pool, new_bytes);
        if (new == NULL) {
            return NULL;
        }
        if (old != NULL) {
            memcpy(new->bytes, old->bytes, old_bytes < new_bytes ? old_bytes : new_bytes);
        }
    }
    if (old != NULL) {
        piece_free(pool, old);
    }
    return new == NULL ? NULL : new->bytes;
}

static void *plain_realloc(void *ctx, void *bytes, size_t old_bytes, size_t new_bytes)
{
    (void)ctx;
    (void)old_bytes;
    if (new_bytes > 0) {
        return realloc(bytes, new_bytes);
    }
    free(bytes);
    return NULL;
}

struct conversion {
    avro_schema_t from_schema;
    avro_schema_t to_schema;
    avro_value_iface_t *from_class;
    avro_value_iface_t *to_class;
    avro_value_t from;
    avro_value_t to;
};

static bool value_match(avro_value_t *from, avro_value_t *to); /* records nest */

/* A field that the writer did not have. All but bytes are 0 or empty from the start; bytes that
 * were never set avro-c refuses to write. */
static bool value_clear(avro_value_t *to)
{
    static char nothing[1];
    size_t n_fields = 0;
    if (avro_value_get_type(to) == AVRO_BYTES) {
        avro_wrapped_buffer_t empty;
        return avro_wrapped_buffer_new(&empty, nothing, 0) == 0 &&
               avro_value_give_bytes(to, &empty) == 0;
    }
    if (avro_value_get_type(to) != AVRO_RECORD) {
        return true;
    }
    bool ok = avro_value_get_size(to, &n_fields) == 0;
    for (size_t i = 0; ok && i < n_fields; i++) {
        avro_value_t field;
        ok = avro_value_get_by_index(to, i, &field, NULL) == 0 && value_clear(&field);
    }
    return ok;
}

static bool record_match(avro_value_t *from, avro_value_t *to)
{
    size_t n_fields;
    if (avro_value_get_size(to, &n_fields) != 0) {
        return false;
    }
    for (size_t i = 0; i < n_fields; i++) {
        avro_value_t field;
        avro_value_t old;
        const char *name;
        if (avro_value_get_by_index(to, i, &field, &name) != 0) {
            return false;
        }
        bool had = avro_value_get_by_name(from, name, &old, NULL) == 0;
        if (!(had ? value_match(&old, &field) : value_clear(&field))) {
            return false;
        }
    }
    return true;
}

/* Of an array or a map. */
static bool items_match(avro_value_t *from, avro_value_t *to)
{
    bool is_map = avro_value_get_type(to) == AVRO_MAP;
    size_t n;
    if (avro_value_get_type(from) != avro_value_get_type(to) ||
        avro_value_get_size(from, &n) != 0) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        avro_value_t item;
        avro_value_t old;
        const char *key;
        bool ok = avro_value_get_by_index(from, i, &old, &key) == 0 &&
                  (is_map ? avro_value_add(to, key, &item, NULL, NULL)
                          : avro_value_append(to, &item, NULL)) == 0;
        if (!ok || !value_match(&old, &item)) {
            return false;
        }
    }
    return true;
}

static bool enum_match(avro_value_t *from, avro_value_t *to)
{
    int old;
    if (avro_value_get_enum(from, &old) != 0) {
        return false;
    }
    const char *symbol = avro_schema_enum_get(avro_value_get_schema(from), old);
    int new = symbol == NULL ? -1 : avro_schema_enum_get_by_name(avro_value_get_schema(to), symbol);
    return new >= 0 && avro_value_set_enum(to, new) == 0;
}

static bool long_match(avro_value_t *from, avro_value_t *to)
{
    int64_t wide;
    int32_t narrow;
    if (avro_value_get_type(from) == AVRO_INT32) { /* Avro promotes int to long */
        return avro_value_get_int(from, &narrow) == 0 && avro_value_set_long(to, narrow) == 0;
    }
    return avro_value_get_long(from, &wide) == 0 && avro_value_set_long(to, wide) == 0;
}

/* Avro promotes int, long and float to double. */
static bool double_match(avro_value_t *from, avro_value_t *to)
{
    int32_t narrow;
    int64_t wide;
    float single;
    double number;
    switch (avro_value_get_type(from)) {
    case AVRO_INT32:
        return avro_value_get_int(from, &narrow) == 0 && avro_value_set_double(to, narrow) == 0;
    case AVRO_INT64:
        return avro_value_get_long(from, &wide) == 0 && avro_value_set_double(to, (double)wide) == 0;
    case AVRO_FLOAT:
        return avro_value_get_float(from, &single) == 0 &&
               avro_value_set_double(to, (double)single) == 0;
    default:
        return avro_value_get_double(from, &number) == 0 && avro_value_set_double(to, number) == 0;
    }
}

/* What the writer may leave out: its null is a field that it does not have. */
static bool union_match(avro_value_t *from, avro_value_t *to)
{
    avro_value_t branch;
    return avro_value_get_current_branch(from, &branch) == 0 &&
           (avro_value_get_type(&branch) == AVRO_NULL ? value_clear(to) : value_match(&branch, to));
}

static bool bytes_match(avro_value_t *from, avro_value_t *to)
{
    const void *bytes;
    const char *text;
    size_t len;
    switch (avro_value_get_type(to)) {
    case AVRO_STRING:
        return avro_value_get_string(from, &text, &len) == 0 &&
               avro_value_set_string_len(to, text, len) == 0;
    case AVRO_FIXED:
        return avro_value_get_fixed(from, &bytes, &len) == 0 &&
               avro_value_set_fixed(to, (void *)(uintptr_t)bytes, len) == 0;
    default:
        return avro_value_get_bytes(from, &bytes, &len) == 0 &&
               avro_value_set_bytes(to, (void *)(uintptr_t)bytes, len) == 0;
    }
}

/* The types that our schemas have. The depth is the schema's. */
static bool value_match(avro_value_t *from, avro_value_t *to)
{
    int32_t narrow;
    if (avro_value_get_type(from) == AVRO_UNION) {
        return union_match(from, to);
    }
    switch (avro_value_get_type(to)) {
    case AVRO_RECORD:
        return record_match(from, to);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return items_match(from, to);
    case AVRO_ENUM:
        return enum_match(from, to);
    case AVRO_INT64:
        return long_match(from, to);
    case AVRO_INT32:
        return avro_value_get_int(from, &narrow) == 0 && avro_value_set_int(to, narrow) == 0;
    case AVRO_DOUBLE:
        return double_match(from, to);
    case AVRO_STRING:
    case AVRO_BYTES:
    case AVRO_FIXED:
        return bytes_match(from, to);
    default:
        return false;
    }
}

static bool conversion_open(struct conversion *v, const char *from, const char *to)
{
    return avro_schema_from_json_length(from, strlen(from), &v->from_schema) == 0 &&
           avro_schema_from_json_length(to, strlen(to), &v->to_schema) == 0 &&
           (v->from_class = avro_generic_class_from_schema(v->from_schema)) != NULL &&
           (v->to_class = avro_generic_class_from_schema(v->to_schema)) != NULL &&
           avro_generic_value_new(v->from_class, &v->from) == 0 &&
           avro_generic_value_new(v->to_class, &v->to) == 0;
}

static bool value_read(struct slice body, avro_value_t *out)
{
    avro_reader_t reader = avro_reader_memory((const char *)body.ptr, (int64_t)body.len);
    if (reader == NULL) {
        return false;
    }
    bool ok = avro_value_read(reader, out) == 0;
    char next;
    ok = ok && avro_read(reader, &next, 1) != 0; /* nothing behind the record */
    avro_reader_free(reader);
    return ok;
}

static bool value_write(avro_value_t *value, size_t max_bytes, struct arena *a, struct slice *out)
{
    size_t n_bytes;
    if (avro_value_sizeof(value, &n_bytes) != 0 || n_bytes > max_bytes) {
        return false;
    }
    uint8_t *bytes = arena_alloc(a, n_bytes);
    avro_writer_t writer =
        bytes == NULL ? NULL : avro_writer_memory((char *)bytes, (int64_t)n_bytes);
    if (writer == NULL) {
        return false;
    }
    bool ok = avro_value_write(writer, value) == 0;
    avro_writer_free(writer);
    *out = slice_of(bytes, n_bytes);
    return ok;
}

/* avro-c has one allocator for the process and cannot say which: the plain one follows, which is
 * its own. */
static bool convert(const struct schema_versions *v, const struct schema_version *from,
                    struct slice body, size_t max_bytes, struct arena *a, struct slice *out,
                    struct err *e)
{
    struct conversion conversion = {0};
    struct pool pool = {.max_bytes = SIZE_MAX};
    const char *failed = NULL;
    avro_set_allocator(pool_realloc, &pool);
    if (!conversion_open(&conversion, from->avsc, v->current.avsc)) {
        failed = "its schema cannot be used";
    } else {
        pool.max_bytes = pool.held_bytes + AVRO_HEADROOM_BYTES + body.len * AVRO_GROWTH;
        if (!value_read(body, &conversion.from)) {
            failed = "bad or cut off";
        } else if (!value_match(&conversion.from, &conversion.to) ||
                   !value_write(&conversion.to, max_bytes, a, out)) {
            failed = "does not fit the current schema or the memory";
        }
    }
    avro_set_allocator(plain_realloc, NULL);
    while (pool.first != NULL) { /* values, classes and schemas, all at once */
        piece_free(&pool, pool.first);
    }
    return failed == NULL || err_set(e, ERR_BAD_INPUT, "%s of the former schema %016" PRIx64 ": %s",
                                     v->name, from->fingerprint, failed);
}

bool versions_have(const struct schema_versions *v, struct slice bytes)
{
    struct cursor c = cursor_of(bytes);
    struct slice head = cursor_take(&c, AVRO_HEAD_BYTES);
    uint64_t fingerprint;
    if (!cursor_ok(&c) || memcmp(head.ptr, v->head, 2) != 0) {
        return false;
    }
    memcpy(&fingerprint, head.ptr + 2, sizeof fingerprint);
    bool has = fingerprint == v->current.fingerprint;
    for (size_t i = 0; i < v->n_former; i++) {
        has = has || fingerprint == v->former[i].fingerprint;
    }
    return has;
}

bool versions_body(const struct schema_versions *v, struct slice bytes, size_t max_bytes,
                   struct arena *a, struct slice *out, struct err *e)
{
    struct cursor c = cursor_of(bytes);
    struct slice head = cursor_take(&c, AVRO_HEAD_BYTES);
    *out = slice_of(c.next, cursor_left(&c));
    if (cursor_ok(&c) && memcmp(head.ptr, v->head, AVRO_HEAD_BYTES) == 0) {
        return true;
    }
    if (!cursor_ok(&c) || head.ptr[0] != 0xc3 || head.ptr[1] != 0x01) {
        return err_set(e, ERR_BAD_INPUT, "%s: not in Avro's single-object encoding (C3 01)",
                       v->name);
    }
    uint64_t fingerprint;
    memcpy(&fingerprint, head.ptr + 2, sizeof fingerprint);
    for (size_t i = 0; i < v->n_former; i++) {
        if (v->former[i].fingerprint == fingerprint) {
            struct slice body = *out;
            return convert(v, &v->former[i], body, max_bytes, a, out, e);
        }
    }
    return err_set(e, ERR_BAD_INPUT,
                   "%s: Avro schema %016" PRIx64 " is not known; the current one is %016" PRIx64,
                   v->name, fingerprint, v->current.fingerprint);
}
