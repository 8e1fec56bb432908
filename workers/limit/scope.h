/* A budget that spans partitions: how many series a tenant, or one of its metrics, may have active,
 * or how many samples per second a tenant may send. */
#pragma once

#include "base/buf.h"
#include "base/cursor.h"
#include "base/hash.h"

enum scope_kind { SCOPE_TENANT, SCOPE_METRIC, SCOPE_RATE, N_SCOPE_KINDS };

struct scope {
    enum scope_kind kind;
    struct slice tenant;
    struct slice metric; /* empty but for SCOPE_METRIC */
};

/* For tables of this process. */
struct hash128 scope_key(const struct scope *s);
/* One allocation; scope_free. False: out of memory. */
bool scope_copy(const struct scope *s, struct scope *out);
void scope_free(struct scope *s);
/* "metric/studio-a/http_requests_total": part of Kafka keys. */
void scope_print(const struct scope *s, struct buf *out);
/* As the first three fields of an Avro record; the scope read borrows from c's bytes. */
void scope_put(const struct scope *s, struct buf *out);
struct scope scope_read(struct cursor *c);
