/* Other versions of the tenants' Avro record (tenant_metrics.avsc), older or newer: the schemas
 * that tenants write with, as files. Single-object encoding names a schema by its fingerprint
 * alone, so a reader must have the schema itself. A record of one of these is matched field by
 * field with the current one by avro-c (batch/versions.h): what the writer has more is passed over,
 * what it lacks is its default, which is "nothing" for each field that may be lacking. */
#pragma once

#include "batch/versions.h"

enum { MAX_TENANT_SCHEMAS = 64 };

struct tenant_schemas {
    struct schema_versions versions;
    struct schema_version items[MAX_TENANT_SCHEMAS]; /* the texts are owned */
};

/* ERR_CONFIG: a file can't be read, is no schema, recursive, or lacks a field that has no default.
 */
bool tenant_schemas_open(struct tenant_schemas *t, const char *const *paths, size_t n,
                         struct err *e) MUST_CHECK;
void tenant_schemas_fini(struct tenant_schemas *t);
/* Is the message of one of the files' schemas, and not of the current one? */
bool tenant_schemas_have(const struct tenant_schemas *t, struct slice message);
/* The same message in the current schema, in a. ERR_BAD_INPUT: it does not fit. */
bool tenant_schemas_convert(const struct tenant_schemas *t, struct slice message, size_t max_bytes,
                            struct arena *a, struct slice *out, struct err *e) MUST_CHECK;
