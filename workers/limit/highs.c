#include "highs.h"

#include <stdlib.h>

static void high_free(void *value)
{
    struct high *h = value;
    free((void *)(uintptr_t)h->origin.topic.ptr);
    free(h);
}

void highs_init(struct highs *h)
{
    table_init(&h->table, 0, high_free);
}

void highs_fini(struct highs *h)
{
    table_fini(&h->table);
}

/* A topic that was made anew has another id and begins at offset 0. */
static struct hash128 key_of(const struct origin *o)
{
    struct slice id = slice_of(o->topic_id, TOPIC_ID_BYTES);
    return hash128_seeded(o->topic, hash64_seeded(id, (uint64_t)(uint32_t)o->partition));
}

static bool is_above(const struct origin *a, const struct origin *b)
{
    return a->offset > b->offset || (a->offset == b->offset && a->index > b->index);
}

bool highs_seen(struct highs *h, const struct origin *o)
{
    const struct high *high = table_find(&h->table, key_of(o));
    return high != NULL && !is_above(o, &high->origin);
}

static struct high *high_new(struct highs *h, const struct origin *o)
{
    struct high *high = calloc(1, sizeof *high);
    uint8_t *topic = malloc(o->topic.len + 1);
    if (high == NULL || topic == NULL) {
        free(high);
        free(topic);
        return NULL;
    }
    if (o->topic.len > 0) {
        memcpy(topic, o->topic.ptr, o->topic.len);
    }
    high->origin = *o;
    high->origin.topic = (struct slice){topic, o->topic.len};
    if (!table_put(&h->table, key_of(o), high, sizeof *high)) {
        high_free(high);
        return NULL;
    }
    return high;
}

bool highs_raise(struct highs *h, const struct origin *o)
{
    struct high *high = table_find(&h->table, key_of(o));
    if (high == NULL) {
        return high_new(h, o) != NULL;
    }
    if (is_above(o, &high->origin)) {
        high->origin.offset = o->offset;
        high->origin.index = o->index;
    }
    return true;
}
