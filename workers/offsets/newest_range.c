#include "newest_range.h"

#include "ledger/object_says.h"
#include "stage/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 1 << 20 };

struct reading {
    struct store *store;
    const struct scan *scan;
    const int64_t *only;
    struct newest_range *out;
    char topic_id[TOPIC_ID_CHARS + 1];
    struct arena arena;
};

/* Of one object: all of a range say the same of it. */
static bool take_intent(struct reading *r, int32_t partition, struct err *e)
{
    struct newest_range *range = &r->out[partition];
    const char *values[N_SAYS];
    struct object_says says = {.n_objects = 0};
    struct err why = ERR_INIT;
    arena_reset(&r->arena);
    if (!store_metadata(r->store, slice_str(range->key), object_says_names, N_SAYS, values,
                        &r->arena, e)) {
        return false;
    }
    range->is_bad = !object_says_read(values, range->first, range->last, slice_str(r->topic_id),
                                      &says, &why);
    range->intent = says.intent;
    range->n_said = says.n_objects;
    if (range->is_bad) {
        (void)snprintf(range->why, sizeof range->why,
                       "the metadata of %.110s do not tell its range", range->key);
    }
    return true;
}

static bool take(void *ctx, const struct stored *o, struct err *e)
{
    struct reading *r = ctx;
    (void)e;
    if (!o->is_ours || !slice_eq_str(o->topic, r->scan->topic) ||
        !slice_eq_str(o->topic_id, r->topic_id) ||
        (uint32_t)o->partition >= r->scan->n_partitions) {
        return true;
    }
    struct newest_range *range = &r->out[o->partition];
    int64_t only = r->only == NULL ? -1 : r->only[o->partition];
    if ((only >= 0 && o->first != only) || (range->is_there && o->first < range->first)) {
        return true;
    }
    if (range->is_there && o->first == range->first && o->last == range->last) {
        range->n_there++;
        return true;
    }
    *range =
        (struct newest_range){.is_there = true, .first = o->first, .last = o->last, .n_there = 1};
    memcpy(range->key, o->key.ptr, o->key.len < NEWEST_MAX_KEY ? o->key.len : NEWEST_MAX_KEY);
    return true;
}

bool newest_ranges(struct store *s, const struct scan *scan, const int64_t *only,
                   struct newest_range *out, struct err *e)
{
    struct reading r = {.store = s, .scan = scan, .only = only, .out = out};
    bool ok = true;
    topic_id_text(scan->topic_id, r.topic_id);
    arena_init(&r.arena, ARENA_BYTES);
    for (unsigned i = 0; ok && i < N_TABLES; i++) {
        ok = store_list(s, (enum table_id)i, take, &r, e);
    }
    for (uint32_t p = 0; ok && p < scan->n_partitions; p++) {
        ok = !out[p].is_there || take_intent(&r, (int32_t)p, e);
    }
    arena_fini(&r.arena);
    return ok;
}
