#include "batch/versions.h"

#include <avro.h>
#include <inttypes.h>
#include <stdlib.h>

#include "batch/blocks.h"

/* avro-c believes the lengths and counts that it reads. So what it holds at a time is bounded: by
 * this many times the record, and it is told that there is no memory beyond. */
enum { AVRO_HEADROOM_BYTES = 4 << 20, AVRO_GROWTH = 32 };

static _Thread_local size_t avro_held_bytes;
static _Thread_local size_t avro_max_bytes = SIZE_MAX;

static void *capped_realloc(void *ctx, void *p, size_t old_bytes, size_t new_bytes)
{
    (void)ctx;
    if (new_bytes == 0) {
        free(p);
        avro_held_bytes -= old_bytes;
        return NULL;
    }
    size_t others = avro_held_bytes - old_bytes;
    if (new_bytes > avro_max_bytes || others > avro_max_bytes - new_bytes) {
        return NULL;
    }
    void *q = realloc(p, new_bytes);
    if (q != NULL) {
        avro_held_bytes = others + new_bytes;
    }
    return q;
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

/* A field that the writer did not have. All but bytes are 0 or empty from the start; bytes that were
 * never set avro-c refuses to write. */
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

static bool array_match(avro_value_t *from, avro_value_t *to)
{
    size_t n;
    if (avro_value_get_size(from, &n) != 0) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        avro_value_t item;
        avro_value_t old;
        if (avro_value_get_by_index(from, i, &old, NULL) != 0 ||
            avro_value_append(to, &item, NULL) != 0 || !value_match(&old, &item)) {
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
    double number;
    switch (avro_value_get_type(to)) {
    case AVRO_RECORD:
        return record_match(from, to);
    case AVRO_ARRAY:
        return array_match(from, to);
    case AVRO_ENUM:
        return enum_match(from, to);
    case AVRO_INT64:
        return long_match(from, to);
    case AVRO_INT32:
        return avro_value_get_int(from, &narrow) == 0 && avro_value_set_int(to, narrow) == 0;
    case AVRO_DOUBLE:
        return avro_value_get_double(from, &number) == 0 && avro_value_set_double(to, number) == 0;
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

static void conversion_close(struct conversion *v)
{
    if (v->from.self != NULL) {
        avro_value_decref(&v->from);
    }
    if (v->to.self != NULL) {
        avro_value_decref(&v->to);
    }
    if (v->from_class != NULL) {
        avro_value_iface_decref(v->from_class);
    }
    if (v->to_class != NULL) {
        avro_value_iface_decref(v->to_class);
    }
    if (v->from_schema != NULL) {
        avro_schema_decref(v->from_schema);
    }
    if (v->to_schema != NULL) {
        avro_schema_decref(v->to_schema);
    }
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
    avro_writer_t writer = bytes == NULL ? NULL : avro_writer_memory((char *)bytes, (int64_t)n_bytes);
    if (writer == NULL) {
        return false;
    }
    bool ok = avro_value_write(writer, value) == 0;
    avro_writer_free(writer);
    *out = slice_of(bytes, n_bytes);
    return ok;
}

/* All that avro-c allocates here it frees here. The allocator stays set (avro-c cannot say which one
 * was there), and outside this call it is realloc and free, as avro-c's own. */
static bool convert(const struct schema_versions *v, const struct schema_version *from,
                    struct slice body, size_t max_bytes, struct arena *a, struct slice *out,
                    struct err *e)
{
    struct conversion conversion = {0};
    avro_set_allocator(capped_realloc, NULL);
    avro_held_bytes = 0;
    avro_max_bytes = SIZE_MAX;
    const char *failed = NULL;
    if (!conversion_open(&conversion, from->avsc, v->current.avsc)) {
        failed = "its schema cannot be used";
    } else {
        avro_max_bytes = avro_held_bytes + AVRO_HEADROOM_BYTES + body.len * AVRO_GROWTH;
        if (!value_read(body, &conversion.from)) {
            failed = "bad or cut off";
        } else if (!value_match(&conversion.from, &conversion.to) ||
                   !value_write(&conversion.to, max_bytes, a, out)) {
            failed = "does not fit the current schema or the memory";
        }
    }
    avro_max_bytes = SIZE_MAX;
    conversion_close(&conversion);
    return failed == NULL || err_set(e, ERR_BAD_INPUT, "%s of the former schema %016" PRIx64 ": %s",
                                     v->name, from->fingerprint, failed);
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
        return err_set(e, ERR_BAD_INPUT, "%s: not in Avro's single-object encoding (C3 01)", v->name);
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
