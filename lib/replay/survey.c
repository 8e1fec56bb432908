#include "replay/survey.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES = 256 << 20, MAX_TENANTS_BYTES = 64 << 20, MAX_SOURCES_BYTES = 512 << 20, MAX_SHAPES_BYTES = 128 << 20 };

void survey_init(struct survey *s)
{
    *s = (struct survey){0};
    arena_init(&s->arena, ARENA_BYTES);
    shape_cache_init(&s->shapes, MAX_SHAPES_BYTES, &shape_default_caps, NULL);
    table_init(&s->sources, MAX_SOURCES_BYTES, NULL);
    table_init(&s->tenants, MAX_TENANTS_BYTES, free);
}

void survey_fini(struct survey *s)
{
    arena_fini(&s->arena);
    shape_cache_fini(&s->shapes);
    table_fini(&s->sources);
    table_fini(&s->tenants);
}

static bool tenant_count(struct survey *s, struct slice name, uint32_t n_samples)
{
    struct hash128 key = hash128(name);
    struct survey_tenant *t = table_find(&s->tenants, key);
    if (t == NULL) {
        t = calloc(1, sizeof *t + name.len + 1);
        if (t == NULL || !table_put(&s->tenants, key, t, (uint32_t)(sizeof *t + name.len + 1))) {
            free(t);
            return false;
        }
        memcpy(t->name, name.ptr, name.len);
    }
    t->n_samples += n_samples;
    return true;
}

static bool source_count(struct survey *s, uint64_t source)
{
    static char seen;
    struct hash128 key = hash128(slice_of(&source, sizeof source));
    return table_find(&s->sources, key) != NULL || table_put(&s->sources, key, &seen, 0);
}

static bool look(struct survey *s, struct slice bytes, struct survey_record *out)
{
    struct err why = ERR_INIT;
    if (rollup_is(bytes)) {
        bool ok = rollup_decode(bytes, &s->arena, &out->rollup_space, &why);
        out->rollup = ok && out->rollup_space.kind != ROLLUP_HEARTBEAT ? &out->rollup_space : NULL;
        out->n_samples = out->rollup == NULL ? 0 : out->rollup->n_series;
        return ok;
    }
    bool ok = batch_decode(bytes, &batch_default_caps, &s->arena, &out->batch_space, &why);
    if (ok && out->batch_space.shape.len > 0) {
        struct cached_shape *shape;
        ok = shape_cache_get(&s->shapes, out->batch_space.tenant, out->batch_space.shape, &shape, &why) &&
             batch_check_shape(&out->batch_space, &shape->shape, &why);
        out->batch = ok ? &out->batch_space : NULL;
        out->shape = ok ? &shape->shape : NULL;
        out->n_samples = ok ? shape->shape.n_series : 0;
    }
    return ok;
}

static void record_count(struct survey *s, const struct record *r)
{
    s->n_records++;
    s->n_bytes += r->value.len;
    s->first_ms = s->first_ms == 0 || r->timestamp_ms < s->first_ms ? r->timestamp_ms : s->first_ms;
    s->last_ms = r->timestamp_ms > s->last_ms ? r->timestamp_ms : s->last_ms;
}

/* Whose samples they are. */
static bool samples_count(struct survey *s, struct slice tenant, uint64_t source, uint32_t n_samples, struct err *e)
{
    s->n_samples += n_samples;
    return (tenant_count(s, tenant, n_samples) && source_count(s, source)) ||
           err_set(e, ERR_RETRY, "out of memory for counting sources and tenants");
}

bool survey_add_ingest(struct survey *s, const struct record *r, struct slice tenant, uint32_t n_samples,
                       struct err *e)
{
    record_count(s, r);
    struct slice whose = tenant.len > 0 ? tenant : SLICE_LITERAL("(nobody says)");
    return samples_count(s, whose, hash128(r->key).lo, n_samples, e);
}

bool survey_add(struct survey *s, const struct record *r, struct survey_record *out, struct err *e)
{
    out->batch = NULL;
    out->shape = NULL;
    out->rollup = NULL;
    out->n_samples = 0;
    arena_reset(&s->arena);
    record_count(s, r);
    if (r->value.ptr == NULL || !look(s, r->value, out)) {
        s->n_other++;
        return true;
    }
    if (out->batch == NULL && out->rollup == NULL) {
        return true; /* a heartbeat */
    }
    out->tenant = out->batch != NULL ? out->batch->tenant : out->rollup->tenant;
    out->source = out->batch != NULL ? out->batch->source : out->rollup->source;
    return samples_count(s, out->tenant, out->source, out->n_samples, e);
}
