#include "redrive_passed.h"

#include "scan.h"
#include "stage/topics.h"

#include <string.h>
#include <time.h>

enum {
    ARENA_BYTES = 256 << 20,
    SHAPES_BYTES = 64 << 20,
    CLOCKS_APART_MS = 60000,
    OPEN_TRIES = 50,
    OPEN_MS = 200
};

struct looking {
    const struct redrive_letter *letter;
    struct table *passed;
    struct arena arena;
    struct shape_cache shapes;
    bool is_behind; /* a later record's batch was seen: there are no more */
};

struct hash128 passed_key(struct hash128 series, int64_t time_ms)
{
    uint8_t bytes[sizeof series + sizeof time_ms];
    memcpy(bytes, &series, sizeof series);
    memcpy(bytes + sizeof series, &time_ms, sizeof time_ms);
    return hash128(slice_of(bytes, sizeof bytes));
}

bool passed_add(struct table *passed, struct hash128 series, int64_t time_ms, struct err *e)
{
    static char there;
    return table_put(passed, passed_key(series, time_ms), &there, 0) ||
           err_set(e, ERR_FATAL, "out of memory");
}

static bool points_take(struct looking *w, const struct batch *b, struct err *e)
{
    struct cached_shape *cached;
    if (!shape_cache_get(&w->shapes, b->tenant, b->shape, &cached, e)) {
        return false;
    }
    const struct shape *s = &cached->shape;
    int64_t *times = ARENA_ARRAY(&w->arena, int64_t, s->n_series + 1);
    bool ok = (times != NULL || err_set(e, ERR_FATAL, "out of memory")) &&
              batch_times_decode(&b->times, s->n_series, times, e);
    for (uint32_t i = 0; ok && i < s->n_series; i++) {
        ok = passed_add(w->passed, s->series[i].id, times[i], e);
    }
    return ok;
}

static bool take(void *ctx, const rd_kafka_message_t *m, bool *enough, struct err *e)
{
    struct looking *w = ctx;
    const struct redrive_letter *l = w->letter;
    struct batch b;
    struct err why = ERR_INIT;
    char id[TOPIC_ID_CHARS + 1];
    arena_reset(&w->arena);
    if (!batch_decode(slice_of(m->payload, m->len), &batch_default_caps, &w->arena, &b, &why)) {
        return why.kind == ERR_BAD_INPUT || err_set(e, why.kind, "%s", why.text);
    }
    topic_id_text(b.origin.topic_id, id);
    if (b.shape.len == 0 || b.redriven != 0 || strcmp(id, l->topic_id) != 0 ||
        b.origin.partition != l->origin_partition || b.origin.offset < l->origin_offset) {
        return true;
    }
    *enough = w->is_behind = b.origin.offset > l->origin_offset;
    return *enough || points_take(w, &b, e);
}

/* *is_all false: an open transaction may hide some. */
static bool partition_look(const struct tool *t, rd_kafka_t *rk, struct looking *w,
                           int32_t partition, bool *is_all, bool *is_known, struct err *e)
{
    struct scan scan;
    const struct scan_request r = {.topic = config_str(t->config, "valid_topic"),
                                   .partition = partition,
                                   .from = {MOMENT_TIME, w->letter->received_ms - CLOCKS_APART_MS}};
    if (!scan_open(t, rk, &r, &scan, e)) {
        return false;
    }
    const struct scan_stretch *p = &scan.stretches[0];
    *is_known = p->low == 0 || p->from > p->low;
    bool ok = !*is_known || scan_run(&scan, take, w, e);
    *is_all = w->is_behind || p->hidden < 0;
    scan_close(&scan);
    return ok;
}

/* Transactions of validate are open for milliseconds. */
static bool partition_read(const struct tool *t, rd_kafka_t *rk, struct looking *w,
                           int32_t partition, bool *is_known, struct err *e)
{
    const struct timespec pause = {.tv_nsec = OPEN_MS * 1000000L};
    bool is_all = false;
    w->is_behind = false;
    for (int i = 0; i < OPEN_TRIES; i++) {
        if (!partition_look(t, rk, w, partition, &is_all, is_known, e)) {
            return false;
        }
        if (is_all || !*is_known) {
            return true;
        }
        (void)nanosleep(&pause, NULL);
    }
    *is_known = false;
    return true;
}

/* Has an earlier batch the same partition? */
static bool is_read(const struct again *again, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (again_batch_at(again, k)->partition == again_batch_at(again, i)->partition) {
            return true;
        }
    }
    return false;
}

bool passed_read(const struct tool *t, rd_kafka_t *rk, const struct redrive_letter *l,
                 const struct again *again, struct table *passed, bool *is_known, struct err *e)
{
    struct looking w = {.letter = l, .passed = passed};
    bool ok = true;
    *is_known = true;
    arena_init(&w.arena, ARENA_BYTES);
    shape_cache_init(&w.shapes, SHAPES_BYTES, &shape_default_caps, NULL);
    for (size_t i = 0; ok && *is_known && i < again_n_batches(again); i++) {
        ok = is_read(again, i) ||
             partition_read(t, rk, &w, again_batch_at(again, i)->partition, is_known, e);
    }
    shape_cache_fini(&w.shapes);
    arena_fini(&w.arena);
    return ok;
}
