#include "avro_json.h"

#include "base/utf8.h"
#include "batch/histogram.h"
#include "stage/topics.h"
#include "wire/avro_blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 8, SERIES_ID_BYTES = 16, TOPIC_ID_SIZE = 16 };

static json_t *value_read(const json_t *schema, const char *field, struct cursor *c, int depth);

json_t *json_of_hex(struct slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(bytes.len * 2 + 1);
    if (text == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        text[2 * i] = digits[bytes.ptr[i] >> 4];
        text[2 * i + 1] = digits[bytes.ptr[i] & 15];
    }
    json_t *out = json_stringn(text, bytes.len * 2);
    free(text);
    return out;
}

json_t *json_of_text(struct slice text)
{
    if (text.len == 0) {
        return json_string("");
    }
    if (utf8_valid(text)) {
        return json_stringn((const char *)text.ptr, text.len);
    }
    json_t *hex = json_of_hex(text);
    json_t *out = hex == NULL ? NULL : json_sprintf("hex:%s", json_string_value(hex));
    json_decref(hex);
    return out;
}

json_t *json_of_double(double v)
{
    if (double_is_stale(v)) {
        return json_string("stale");
    }
    return isfinite(v) ? json_real(v) : json_string(isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
}

/* "series" holds any number of ids. */
static json_t *bytes_read(const char *field, struct cursor *c)
{
    struct slice bytes = cursor_zigzag_bytes(c);
    if (strcmp(field, "series") != 0 || bytes.len % SERIES_ID_BYTES != 0 || bytes.len <= SERIES_ID_BYTES) {
        return json_of_hex(bytes);
    }
    json_t *list = json_array();
    for (size_t i = 0; i < bytes.len; i += SERIES_ID_BYTES) {
        (void)json_array_append_new(list, json_of_hex(slice_of(bytes.ptr + i, SERIES_ID_BYTES)));
    }
    return list;
}

static json_t *fixed_read(const json_t *schema, struct cursor *c)
{
    json_int_t n = json_integer_value(json_object_get(schema, "size"));
    struct slice bytes = cursor_take(c, n < 0 ? 0 : (uint64_t)n);
    char id[TOPIC_ID_CHARS + 1];
    const char *name = json_string_value(json_object_get(schema, "name"));
    if (name == NULL || strcmp(name, "TopicId") != 0 || bytes.len != TOPIC_ID_SIZE) {
        return json_of_hex(bytes);
    }
    topic_id_text(bytes.ptr, id);
    return json_string(id);
}

static json_t *record_read(const json_t *schema, struct cursor *c, int depth)
{
    json_t *out = json_object();
    json_t *fields = json_object_get(schema, "fields");
    for (size_t i = 0; out != NULL && cursor_ok(c) && i < json_array_size(fields); i++) {
        json_t *field = json_array_get(fields, i);
        const char *name = json_string_value(json_object_get(field, "name"));
        (void)json_object_set_new(out, name, value_read(json_object_get(field, "type"), name, c, depth));
    }
    return out;
}

static json_t *array_read(const json_t *schema, const char *field, struct cursor *c, int depth)
{
    json_t *out = json_array();
    json_t *items = json_object_get(schema, "items");
    for (struct blocks b = {0}; out != NULL && blocks_next(c, &b, 1);) {
        (void)json_array_append_new(out, value_read(items, field, c, depth));
    }
    return out;
}

static json_t *complex_read(const json_t *schema, const char *type, const char *field, struct cursor *c, int depth)
{
    if (strcmp(type, "record") == 0) {
        return record_read(schema, c, depth);
    }
    if (strcmp(type, "array") == 0) {
        return array_read(schema, field, c, depth);
    }
    if (strcmp(type, "fixed") == 0) {
        return fixed_read(schema, c);
    }
    if (strcmp(type, "enum") == 0) {
        json_t *symbols = json_object_get(schema, "symbols");
        return json_incref(json_array_get(symbols, avro_index(c, (uint32_t)json_array_size(symbols))));
    }
    return value_read(json_object_get(schema, "type"), field, c, depth);
}

/* NULL: *c has failed, or no memory. */
static json_t *value_read(const json_t *schema, const char *field, struct cursor *c, int depth)
{
    const char *type = json_string_value(json_is_object(schema) ? json_object_get(schema, "type") : schema);
    if (depth >= MAX_DEPTH || (type == NULL && !json_is_object(schema))) {
        cursor_fail(c);
        return NULL;
    }
    if (type != NULL && (strcmp(type, "long") == 0 || strcmp(type, "int") == 0)) {
        return json_integer(cursor_zigzag(c));
    }
    if (type != NULL && strcmp(type, "string") == 0) {
        return json_of_text(cursor_zigzag_bytes(c));
    }
    if (type != NULL && strcmp(type, "bytes") == 0) {
        return bytes_read(field, c);
    }
    if (type != NULL && strcmp(type, "double") == 0) {
        return json_of_double(cursor_double(c));
    }
    return json_is_object(schema) ? complex_read(schema, type == NULL ? "" : type, field, c, depth + 1)
                                  : (cursor_fail(c), NULL);
}

bool avro_json(const json_t *schema, struct slice body, json_t **out, struct err *e)
{
    struct cursor c = cursor_of(body);
    *out = value_read(schema, "", &c, 0);
    if (*out == NULL || !cursor_ok(&c) || cursor_more(&c)) {
        json_decref(*out);
        *out = NULL;
        return err_set(e, ERR_BAD_INPUT, "it can't be read at byte %zu", cursor_at(&c));
    }
    return true;
}
