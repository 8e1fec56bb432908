/* Which schemas a reader knows: the current one, which is decoded by hand, and all former ones.
 * What was written with a former one is read by avro-c, matched field by field by name (enums by
 * symbol) with the current schema, and written anew in the current one. A field that the writer
 * did not have becomes 0 or empty, so a field that is ever added has to mean "nothing" by that
 * (avro-c's own resolver refuses such fields: it knows no defaults). */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct schema_version {
    uint64_t fingerprint;
    const char *avsc;
};

struct schema_versions {
    const char *name; /* for messages: "batch" */
    const char *head; /* of the current one, AVRO_HEAD_BYTES */
    struct schema_version current;
    const struct schema_version *former; /* changed by tests alone */
    size_t n_former;
};

extern struct schema_versions batch_versions;
extern struct schema_versions shape_versions;

/* Do the bytes begin as a record of one of these schemas? */
bool versions_have(const struct schema_versions *v, struct slice bytes);
/* The record behind the head, in the current schema: borrowed from bytes or, from a former one,
 * in a, of at most max_bytes. Unknown fingerprints are ERR_BAD_INPUT, and named. */
bool versions_body(const struct schema_versions *v, struct slice bytes, size_t max_bytes,
                   struct arena *a, struct slice *out, struct err *e) MUST_CHECK;
