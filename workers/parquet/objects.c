#include "objects.h"

#include <stdlib.h>

void objects_init(struct objects *o, bool tenant_level)
{
    *o = (struct objects){.tenant_level = tenant_level};
    table_init(&o->by_key, 0, free);
}

void objects_fini(struct objects *o)
{
    table_fini(&o->by_key);
    o->last = NULL;
    o->held_bytes = 0;
}

static struct object *object_new(struct objects *o, struct hash128 key, enum table_id table,
                                 int64_t slot, struct slice tenant)
{
    size_t n_bytes = sizeof(struct object) + tenant.len;
    struct object *new = malloc(n_bytes);
    if (new == NULL) {
        return NULL;
    }
    uint8_t *text = (uint8_t *)(new + 1);
    if (tenant.len > 0) {
        memcpy(text, tenant.ptr, tenant.len);
    }
    *new = (struct object){.table = table, .slot = slot, .tenant = slice_of(text, tenant.len)};
    if (!table_put(&o->by_key, key, new, n_bytes)) {
        free(new);
        return NULL;
    }
    o->held_bytes += n_bytes;
    return new;
}

struct object *objects_get(struct objects *o, enum table_id table, int64_t slot,
                           struct slice tenant)
{
    tenant = o->tenant_level ? tenant : SLICE_NONE;
    if (o->last != NULL && o->last->table == table && o->last->slot == slot &&
        slice_eq(o->last->tenant, tenant)) {
        return o->last;
    }
    struct hash128 key = hash128_seeded(tenant, (uint64_t)slot + table); /* slots are whole hours */
    struct object *found = table_find(&o->by_key, key);
    found = found != NULL ? found : object_new(o, key, table, slot, tenant);
    o->last = found;
    return found;
}

size_t objects_n(const struct objects *o)
{
    return o->by_key.n;
}

static int object_cmp(const void *a, const void *b)
{
    const struct object *x = *(const struct object *const *)a;
    const struct object *y = *(const struct object *const *)b;
    if (x->table != y->table) {
        return x->table < y->table ? -1 : 1;
    }
    return x->slot != y->slot ? (x->slot < y->slot ? -1 : 1) : slice_cmp(x->tenant, y->tenant);
}

size_t objects_sort(const struct objects *o, const struct object **out)
{
    size_t at = 0;
    size_t n = 0;
    for (const struct object *one; (one = table_next(&o->by_key, &at)) != NULL;) {
        out[n] = one;
        n += one->n_rows > 0;
    }
    qsort(out, n, sizeof(void *), object_cmp);
    return n;
}

bool object_has(const struct object *o, const struct objects *all, const struct head *head)
{
    return o->table == head->table && o->slot == head->slot &&
           (!all->tenant_level || slice_eq(o->tenant, head->tenant));
}
