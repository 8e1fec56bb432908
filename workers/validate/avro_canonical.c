#include "avro_canonical.h"

#include <inttypes.h>

enum { MAX_DEPTH = 32, NAME_BYTES = 256, CANONICAL_MAX_BYTES = 1 << 20 };
#define CRC64_EMPTY UINT64_C(0xc15d213aa4d7a795)

/* What the definitions around a type give it. */
struct scope {
    const struct scope *outer;
    const char *name_space;  /* "" = none */
    char record[NAME_BYTES]; /* that is being defined here, in full; "" = none */
    int depth;
};

static bool write_schema(json_t *schema, const struct scope *s, struct buf *out, struct err *e);

static bool is_primitive(const char *name)
{
    static const char *const names[] = {"null",  "boolean", "int",   "long",
                                        "float", "double",  "bytes", "string"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool bad(struct err *e, const char *what)
{
    return err_set(e, ERR_CONFIG, "is no Avro schema: %s", what);
}

static bool full_name(const char *name, const char *name_space, char out[NAME_BYTES], struct err *e)
{
    bool is_full = strchr(name, '.') != NULL || name_space[0] == '\0';
    int n = is_full ? snprintf(out, NAME_BYTES, "%s", name)
                    : snprintf(out, NAME_BYTES, "%s.%s", name_space, name);
    return (n > 0 && n < NAME_BYTES && strpbrk(out, "\"\\") == NULL) || bad(e, "a name");
}

static bool write_name(const char *name, const struct scope *s, struct buf *out, struct err *e)
{
    char full[NAME_BYTES] = "";
    if (!full_name(name, is_primitive(name) ? "" : s->name_space, full, e)) {
        return false;
    }
    for (const struct scope *o = s; o != NULL; o = o->outer) {
        if (strcmp(o->record, full) == 0) {
            return bad(e, "a record that holds itself is not taken");
        }
    }
    buf_printf(out, "\"%s\"", full);
    return true;
}

static bool write_list(json_t *list, const struct scope *s, struct buf *out, struct err *e,
                       bool (*item)(json_t *, const struct scope *, struct buf *, struct err *))
{
    size_t i;
    json_t *value;
    if (!json_is_array(list)) {
        return bad(e, "a list is missing");
    }
    buf_u8(out, '[');
    json_array_foreach(list, i, value)
    {
        if (i > 0) {
            buf_u8(out, ',');
        }
        if (!item(value, s, out, e)) {
            return false;
        }
    }
    buf_u8(out, ']');
    return true;
}

static bool write_field(json_t *field, const struct scope *s, struct buf *out, struct err *e)
{
    const char *name = json_string_value(json_object_get(field, "name"));
    if (name == NULL || strpbrk(name, "\"\\") != NULL) {
        return bad(e, "a field without a name");
    }
    buf_printf(out, "{\"name\":\"%s\",\"type\":", name);
    bool ok = write_schema(json_object_get(field, "type"), s, out, e);
    buf_u8(out, '}');
    return ok;
}

static bool write_symbol(json_t *symbol, const struct scope *s, struct buf *out, struct err *e)
{
    const char *text = json_string_value(symbol);
    (void)s;
    if (text == NULL || strpbrk(text, "\"\\") != NULL) {
        return bad(e, "a symbol");
    }
    buf_printf(out, "\"%s\"", text);
    return true;
}

/* record, enum, fixed */
static bool write_named(json_t *schema, const char *type, const struct scope *outer,
                        struct buf *out, struct err *e)
{
    const char *name = json_string_value(json_object_get(schema, "name"));
    const char *own = json_string_value(json_object_get(schema, "namespace"));
    char space[NAME_BYTES];
    struct scope s = {outer, own != NULL ? own : outer->name_space, "", outer->depth};
    char full[NAME_BYTES];
    if (name == NULL || !full_name(name, s.name_space, full, e)) {
        return bad(e, "a type without a name");
    }
    (void)snprintf(space, sizeof space, "%s", full);
    char *dot = strrchr(space, '.');
    *(dot == NULL ? space : dot) = '\0';
    s.name_space = space;
    buf_printf(out, "{\"name\":\"%s\",\"type\":\"%s\",", full, type);
    bool ok;
    if (strcmp(type, "record") == 0) {
        memcpy(s.record, full, sizeof full);
        buf_printf(out, "\"fields\":");
        ok = write_list(json_object_get(schema, "fields"), &s, out, e, write_field);
    } else if (strcmp(type, "enum") == 0) {
        buf_printf(out, "\"symbols\":");
        ok = write_list(json_object_get(schema, "symbols"), &s, out, e, write_symbol);
    } else {
        json_t *size = json_object_get(schema, "size");
        buf_printf(out, "\"size\":%" JSON_INTEGER_FORMAT, json_integer_value(size));
        ok = json_is_integer(size) || bad(e, "a size");
    }
    buf_u8(out, '}');
    return ok;
}

static bool write_object(json_t *schema, const struct scope *s, struct buf *out, struct err *e)
{
    json_t *type = json_object_get(schema, "type");
    const char *name = json_string_value(type);
    if (name == NULL) {
        return write_schema(type, s, out, e);
    }
    if (strcmp(name, "array") == 0 || strcmp(name, "map") == 0) {
        const char *of = name[0] == 'a' ? "items" : "values";
        buf_printf(out, "{\"type\":\"%s\",\"%s\":", name, of);
        bool ok = write_schema(json_object_get(schema, of), s, out, e);
        buf_u8(out, '}');
        return ok;
    }
    if (strcmp(name, "record") == 0 || strcmp(name, "enum") == 0 || strcmp(name, "fixed") == 0) {
        return write_named(schema, name, s, out, e);
    }
    return write_name(name, s, out, e);
}

static bool write_schema(json_t *schema, const struct scope *outer, struct buf *out, struct err *e)
{
    const struct scope s = {outer, outer->name_space, "", outer->depth + 1};
    if (s.depth > MAX_DEPTH) {
        return bad(e, "nested too deep");
    }
    if (json_is_string(schema)) {
        return write_name(json_string_value(schema), &s, out, e);
    }
    if (json_is_array(schema)) {
        return write_list(schema, &s, out, e, write_schema);
    }
    return json_is_object(schema) ? write_object(schema, &s, out, e) : bad(e, "a type is missing");
}

bool avro_canonical(json_t *schema, struct buf *out, struct err *e)
{
    const struct scope top = {NULL, "", "", 0};
    return write_schema(schema, &top, out, e) && (buf_ok(out) || bad(e, "too large"));
}

static uint64_t crc64_avro(struct slice s)
{
    uint64_t crc = CRC64_EMPTY;
    for (size_t i = 0; i < s.len; i++) {
        crc ^= s.ptr[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (CRC64_EMPTY & (0 - (crc & 1)));
        }
    }
    return crc;
}

bool avro_fingerprint(json_t *schema, uint64_t *out, struct err *e)
{
    struct buf text;
    buf_init(&text, CANONICAL_MAX_BYTES);
    bool ok = avro_canonical(schema, &text, e);
    *out = ok ? crc64_avro(buf_slice(&text)) : 0;
    buf_fini(&text);
    return ok;
}
