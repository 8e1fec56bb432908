#include "parquet_guard.h"

#include "ledger/intent.h"
#include "stage/topics.h"
#include "store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct guard {
    const struct moves *moves;
    char (*ids)[TOPIC_ID_CHARS + 1]; /* by move; owned */
};

/* The range that a move may find stored already: the one whose intent it restores. */
static int64_t allowed_last(const struct move *m)
{
    struct intent intent;
    struct err ignored = ERR_INIT;
    bool has_intent =
        m->new_metadata[0] != '\0' && intent_parse(slice_str(m->new_metadata), &intent, &ignored);
    return has_intent && intent.first == m->new_offset ? intent.last : -1;
}

static bool check_object(void *ctx, const struct stored *o, struct err *e)
{
    const struct guard *g = ctx;
    for (size_t i = 0; o->is_ours && i < g->moves->n; i++) {
        const struct move *m = &g->moves->items[i];
        if (m->partition != o->partition || !slice_eq_str(o->topic, m->topic) ||
            !slice_eq_str(o->topic_id, g->ids[i]) || o->last < m->new_offset ||
            (o->first == m->new_offset && o->last == allowed_last(m))) {
            continue;
        }
        return err_set(e, ERR_CONFIG,
                       "%s[%d]: offsets %" PRId64 " to %" PRId64
                       " are stored already (%.60s): rows from %" PRId64
                       " on would come twice; a lost offset: sluice-offsets parquet restore",
                       m->topic, m->partition, o->first, o->last, table_name(o->table),
                       m->new_offset);
    }
    return true;
}

static bool check_intents(const struct moves *m, struct err *e)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct move *one = &m->items[i];
        if (one->old_metadata != NULL && one->old_metadata[0] != '\0' &&
            !(one->new_offset == one->old_offset &&
              strcmp(one->old_metadata, one->new_metadata) == 0)) {
            return err_set(e, ERR_CONFIG,
                           "%s[%d]: the range from %" PRId64
                           " on is being stored (its intent is open): let the workers finish it (start "
                           "them, if they are stopped), and try again",
                           one->topic, one->partition, one->old_offset);
        }
    }
    return true;
}

static bool ids_find(rd_kafka_t *rk, struct guard *g, struct err *e)
{
    for (size_t i = 0; i < g->moves->n; i++) {
        uint32_t n;
        uint8_t id[16];
        bool is_new = i == 0 || strcmp(g->moves->items[i].topic, g->moves->items[i - 1].topic) != 0;
        if (!is_new) {
            memcpy(g->ids[i], g->ids[i - 1], sizeof g->ids[i]);
            continue;
        }
        if (!topic_describe(rk, g->moves->items[i].topic, &n, id, e)) {
            return false;
        }
        topic_id_text(id, g->ids[i]);
    }
    return true;
}

bool parquet_check(const struct tool *t, rd_kafka_t *rk, const struct moves *m, struct err *e)
{
    struct guard g = {.moves = m, .ids = calloc(m->n + 1, sizeof *g.ids)};
    struct store *store = NULL;
    bool ok = (g.ids != NULL || err_set(e, ERR_FATAL, "out of memory")) && check_intents(m, e) &&
              ids_find(rk, &g, e) && store_open(t, &store, e);
    for (unsigned i = 0; ok && i < N_TABLES; i++) {
        ok = store_list(store, (enum table_id)i, check_object, &g, e);
    }
    store_close(store);
    free(g.ids);
    return ok;
}
