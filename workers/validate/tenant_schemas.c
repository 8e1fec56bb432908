#include "tenant_schemas.h"

#include <jansson.h>
#include <stdlib.h>

#include "avro_canonical.h"
#include "base/file.h"
#include "tenant_metrics_avsc.h"
#include "wire/avro_blocks.h"

enum { SCHEMA_MAX_BYTES = 1 << 20 };

/* --- what the writer must have --- */

static json_t *field_named(json_t *fields, const char *name)
{
    size_t i;
    json_t *field;
    json_array_foreach(fields, i, field)
    {
        const char *its = json_string_value(json_object_get(field, "name"));
        if (its != NULL && strcmp(its, name) == 0) {
            return field;
        }
    }
    return NULL;
}

/* The record that a type is, or has as items; NULL = neither. */
static json_t *record_of(json_t *type)
{
    const char *name = json_string_value(json_object_get(type, "type"));
    if (name != NULL && strcmp(name, "array") == 0) {
        return record_of(json_object_get(type, "items"));
    }
    return name != NULL && strcmp(name, "record") == 0 ? type : NULL;
}

/* Neither is recursive. */
static bool has_fields(json_t *writer, json_t *reader, struct err *e)
{
    size_t i;
    json_t *field;
    json_array_foreach(json_object_get(reader, "fields"), i, field)
    {
        const char *name = json_string_value(json_object_get(field, "name"));
        json_t *type = json_object_get(field, "type");
        json_t *its = field_named(json_object_get(writer, "fields"), name);
        if (its == NULL && json_object_get(field, "default") == NULL) {
            return err_set(e, ERR_CONFIG, "has no field %s", name);
        }
        if (its != NULL && record_of(type) != NULL &&
            !has_fields(record_of(json_object_get(its, "type")), record_of(type), e)) {
            return false;
        }
    }
    return true;
}

/* --- files --- */

static bool schema_check(struct slice text, uint64_t *fingerprint, struct err *e)
{
    json_error_t why;
    json_t *reader = json_loads(tenant_metrics_avsc, 0, &why);
    json_t *writer = json_loadb((const char *)text.ptr, text.len, 0, &why);
    bool ok = (reader != NULL && writer != NULL) ||
              err_set(e, ERR_CONFIG, "line %d, column %d: %s", why.line, why.column, why.text);
    ok = ok && avro_fingerprint(writer, fingerprint, e) &&
         (record_of(writer) == writer || err_set(e, ERR_CONFIG, "is no record's schema")) &&
         has_fields(writer, reader, e);
    json_decref(reader);
    json_decref(writer);
    return ok;
}

static bool schema_add(struct tenant_schemas *t, const char *path, struct err *e)
{
    struct buf text;
    size_t len;
    uint64_t fingerprint = 0;
    buf_init(&text, SCHEMA_MAX_BYTES);
    bool ok = file_read(path, &text, e) &&
              (schema_check(buf_slice(&text), &fingerprint, e) || err_wrap(e, "%s", path));
    buf_u8(&text, '\0');
    if (ok && !buf_ok(&text)) {
        ok = err_set(e, ERR_CONFIG, "%s: too large", path);
    }
    if (ok) {
        t->items[t->versions.n_former++] =
            (struct schema_version){fingerprint, (const char *)buf_take(&text, &len)};
    }
    buf_fini(&text);
    return ok;
}

bool tenant_schemas_open(struct tenant_schemas *t, const char *const *paths, size_t n,
                         struct err *e)
{
    t->versions =
        (struct schema_versions){.name = "tenant metrics",
                                 .head = TENANT_METRICS_HEAD,
                                 .current = {TENANT_METRICS_FINGERPRINT, tenant_metrics_avsc},
                                 .former = t->items};
    if (n > MAX_TENANT_SCHEMAS) {
        return err_set(e, ERR_CONFIG, "tenant_schemas: more than %d", MAX_TENANT_SCHEMAS);
    }
    for (size_t i = 0; i < n; i++) {
        if (!schema_add(t, paths[i], e)) {
            return err_wrap(e, "tenant_schemas");
        }
    }
    return true;
}

void tenant_schemas_fini(struct tenant_schemas *t)
{
    for (size_t i = 0; i < t->versions.n_former; i++) {
        free((void *)(uintptr_t)t->items[i].avsc);
    }
    t->versions.n_former = 0;
}

bool tenant_schemas_have(const struct tenant_schemas *t, struct slice message)
{
    return t->versions.n_former > 0 && versions_have(&t->versions, message) &&
           memcmp(message.ptr, TENANT_METRICS_HEAD, AVRO_HEAD_BYTES) != 0;
}

bool tenant_schemas_convert(const struct tenant_schemas *t, struct slice message, size_t max_bytes,
                            struct arena *a, struct slice *out, struct err *e)
{
    struct slice body;
    if (!versions_body(&t->versions, message, max_bytes, a, &body, e)) {
        return false;
    }
    uint8_t *whole = arena_alloc(a, AVRO_HEAD_BYTES + body.len);
    if (whole == NULL) {
        return err_set(e, ERR_BAD_INPUT, "takes more memory than a message may");
    }
    memcpy(whole, TENANT_METRICS_HEAD, AVRO_HEAD_BYTES);
    if (body.len > 0) {
        memcpy(whole + AVRO_HEAD_BYTES, body.ptr, body.len);
    }
    *out = slice_of(whole, AVRO_HEAD_BYTES + body.len);
    return true;
}
