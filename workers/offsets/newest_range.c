#include "newest_range.h"

#include "stage/topics.h"

#include <stdlib.h>

enum { ARENA_BYTES = 1 << 20 };

struct reading {
    struct store *store;
    const struct scan *scan;
    const int64_t *only;
    struct newest_range *out;
    char topic_id[TOPIC_ID_CHARS + 1];
    struct arena arena;
};

/* Once per range: all its objects say the same of it. */
static bool take_intent(struct reading *r, const struct stored *o, struct newest_range *range, struct err *e)
{
    static const char *const names[2] = {"intent", "objects"};
    const char *values[2];
    struct err why = ERR_INIT;
    arena_reset(&r->arena);
    if (!store_metadata(r->store, o->key, names, 2, values, &r->arena, e)) {
        return false;
    }
    range->n_said = values[1] == NULL ? 0 : strtoll(values[1], NULL, 10);
    range->is_bad = values[0] == NULL || range->n_said < 1 ||
                    !intent_parse(slice_str(values[0]), &range->intent, &why) || range->intent.first != o->first ||
                    range->intent.last != o->last || !slice_eq_str(o->topic_id, range->intent.topic_id);
    if (range->is_bad) {
        (void)snprintf(range->why, sizeof range->why, "the metadata of %.*s do not tell its range",
                       o->key.len < 110 ? (int)o->key.len : 110, (const char *)o->key.ptr);
    }
    return true;
}

static bool take(void *ctx, const struct stored *o, struct err *e)
{
    struct reading *r = ctx;
    if (!o->is_ours || !slice_eq_str(o->topic, r->scan->topic) || !slice_eq_str(o->topic_id, r->topic_id) ||
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
    *range = (struct newest_range){.is_there = true, .first = o->first, .last = o->last, .n_there = 1};
    return take_intent(r, o, range, e);
}

bool newest_ranges(struct store *s, const struct scan *scan, const int64_t *only, struct newest_range *out,
                   struct err *e)
{
    struct reading r = {.store = s, .scan = scan, .only = only, .out = out};
    bool ok = true;
    topic_id_text(scan->topic_id, r.topic_id);
    arena_init(&r.arena, ARENA_BYTES);
    for (unsigned i = 0; ok && i < N_TABLES; i++) {
        ok = store_list(s, (enum table_id)i, take, &r, e);
    }
    arena_fini(&r.arena);
    return ok;
}
