#include "scope.h"

#include <stdlib.h>

#include "wire/avro_blocks.h"

static const char *scope_kind_name(enum scope_kind kind)
{
    static const char *const names[] = {"tenant", "metric", "rate"};
    return names[kind];
}

struct hash128 scope_key(const struct scope *s)
{
    return hash128_seeded(s->metric, hash64_seeded(s->tenant, 16 + (uint64_t)s->kind));
}

bool scope_copy(const struct scope *s, struct scope *out)
{
    uint8_t *bytes = malloc(s->tenant.len + s->metric.len + 1);
    if (bytes == NULL) {
        return false;
    }
    if (s->tenant.len > 0) {
        memcpy(bytes, s->tenant.ptr, s->tenant.len);
    }
    if (s->metric.len > 0) {
        memcpy(bytes + s->tenant.len, s->metric.ptr, s->metric.len);
    }
    *out = (struct scope){s->kind, {bytes, s->tenant.len}, {bytes + s->tenant.len, s->metric.len}};
    return true;
}

void scope_free(struct scope *s)
{
    free((void *)(uintptr_t)s->tenant.ptr);
    *s = (struct scope){0};
}

void scope_print(const struct scope *s, struct buf *out)
{
    buf_printf(out, "%s/", scope_kind_name(s->kind));
    buf_put_slice(out, s->tenant);
    if (s->kind == SCOPE_METRIC) {
        buf_u8(out, '/');
        buf_put_slice(out, s->metric);
    }
}

void scope_put(const struct scope *s, struct buf *out)
{
    buf_zigzag(out, (int64_t)s->kind);
    buf_zigzag_bytes(out, s->tenant);
    buf_zigzag_bytes(out, s->metric);
}

struct scope scope_read(struct cursor *c)
{
    struct scope s = {.kind = (enum scope_kind)avro_index(c, N_SCOPE_KINDS)};
    s.tenant = cursor_zigzag_bytes(c);
    s.metric = cursor_zigzag_bytes(c);
    return s;
}
