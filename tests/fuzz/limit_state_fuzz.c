/* Any record of sluice.limit, alone and behind each right head: it is taken, or ERR_FATAL says why
 * not. What was taken is sound: each sum is that of its parts. Written out and read back it is the
 * same. */
#include <stdio.h>
#include <stdlib.h>

#include "allocator.h"
#include "limit_grants_avsc.h"
#include "limit_lease_avsc.h"
#include "limit_partition_avsc.h"
#include "limit_source_avsc.h"
#include "state.h"
#include "wire/avro_blocks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ACTIVE_MS = 7200000, OUTBOX_BYTES = 64 << 20 };

/* What a process has besides its partitions; made once. */
struct world {
    struct metrics *metrics;
    struct policy *policy;
    struct controls controls;
    struct tenants tenants;
    struct board board;
    uint64_t draw;
};

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static struct world *world(void)
{
    static struct world w;
    struct err e = ERR_INIT;
    if (w.metrics == NULL) {
        w.metrics = metrics_new();
        controls_init(&w.controls, &w.draw);
        board_init(&w.board);
        if (!policy_parse(
                slice_str("{\"tenants\": {\"t\": {\"limits\": {\"series_per_tenant\": 1000}}}}"),
                &w.policy, &e) ||
            !tenants_init(&w.tenants, w.policy, &w.controls, w.metrics, &e)) {
            fail("no world", e.text);
        }
    }
    return &w;
}

static struct holding *holding_make(struct world *w)
{
    struct holding *h = NULL;
    struct err e = ERR_INIT;
    const struct holding_options o = {
        .active_ms = ACTIVE_MS, .n_partitions = 1, .draw = &w->draw, .board = &w->board};
    if (!holding_new(&o, &h, &e)) {
        fail("no holding", e.text);
    }
    return h;
}

static bool take(struct world *w, struct holding *h, struct slice key, struct slice value,
                 struct err *e)
{
    const struct record r = {.key = key, .value = value};
    if (state_take(h, &w->tenants, &r, e)) {
        return true;
    }
    if (e->kind != ERR_FATAL || e->text[0] == '\0') {
        fail("an error of the wrong kind or without text", e->text);
    }
    return false;
}

static void finish(struct holding *h)
{
    struct err e = ERR_INIT;
    usage_bind(&h->usage);
    holding_restored(h);
    if (!holding_sweep(h, &e)) {
        fail("swept", e.text);
    }
}

static int64_t check_source(const struct holding *h, const struct source *s)
{
    int64_t weight = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->set.n_slots; i++) {
        const struct series_slot *slot = &s->set.slots[i];
        if (slot_used(slot)) {
            n++;
            weight += slot_weight(slot);
            if (slot_metric(slot) >= h->usage.n_metrics ||
                h->usage.metrics[slot_metric(slot)]->name.ptr == NULL ||
                series_set_find(&s->set, slot->id) != i) {
                fail("a slot", "of no metric, or not to be found");
            }
        }
    }
    if (n != s->set.n || weight != s->n_active) {
        fail("a source", "its sum is not that of its series");
    }
    return weight;
}

static void check(const struct holding *h)
{
    const struct source *s;
    int64_t sources = 0;
    int64_t metrics = 0;
    size_t n_bytes = 0;
    for (size_t at = 0; (s = table_next(&h->sources, &at)) != NULL;) {
        sources += check_source(h, s);
        n_bytes += s->set.n_slots * sizeof *s->set.slots;
    }
    for (uint32_t i = 0; i < h->usage.n_metrics; i++) {
        const struct metric_use *m = h->usage.metrics[i];
        metrics += m->name.ptr == NULL ? 0 : m->n_held;
    }
    if (sources != metrics || n_bytes != h->n_set_bytes) {
        fail("a holding", "its sums are not those of its sources");
    }
}

/* All that is held, as records. */
static void put_all(struct holding *h, struct outbox *out)
{
    struct err e = ERR_INIT;
    struct source *s;
    for (size_t at = 0; (s = table_next(&h->sources, &at)) != NULL;) {
        holding_touch(h, s);
    }
    if (!state_put(h, 0, out, &e)) {
        fail("what was taken can't be put", e.text);
    }
}

static const struct outgoing *find(const struct outbox *o, struct slice key)
{
    for (size_t i = 0; i < o->n; i++) {
        if (slice_eq(o->records[i].key, key)) {
            return &o->records[i];
        }
    }
    return NULL;
}

static void compare_again(struct world *w, struct holding *h)
{
    struct outbox first;
    struct outbox again;
    struct err e = ERR_INIT;
    struct holding *other = holding_make(w);
    outbox_init(&first, OUTBOX_BYTES);
    outbox_init(&again, OUTBOX_BYTES);
    put_all(h, &first);
    for (size_t i = 0; i < first.n; i++) {
        if (!take(w, other, first.records[i].key, first.records[i].value, &e)) {
            fail("what was put is refused", e.text);
        }
    }
    finish(other);
    check(other);
    put_all(other, &again);
    for (size_t i = 0; i < first.n; i++) {
        const struct outgoing *r = find(&again, first.records[i].key);
        if (first.records[i].value.ptr != NULL &&
            (r == NULL || r->value.len != first.records[i].value.len)) {
            fail("read back it is another", "");
        }
    }
    outbox_fini(&first);
    outbox_fini(&again);
    holding_free(other);
}

/* The record alone; then once more, since a later record replaces an earlier one; then gone. */
static void use(struct slice value)
{
    static const char key[] = "t/000000000000004d";
    struct world *w = world();
    struct err e = ERR_INIT;
    struct holding *h = holding_make(w);
    if (take(w, h, slice_str(key), value, &e) && take(w, h, slice_str(key), value, &e)) {
        check(h);
        finish(h);
        check(h);
        compare_again(w, h);
        if (!take(w, h, slice_str(key), SLICE_NONE, &e)) {
            fail("a tombstone is refused", e.text);
        }
        finish(h);
        check(h);
    }
    holding_free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const heads[] = {LIMIT_SOURCE_HEAD, LIMIT_PARTITION_HEAD, LIMIT_LEASE_HEAD,
                                        LIMIT_GRANTS_HEAD};
    struct world *w = world();
    struct err e = ERR_INIT;
    use(slice_of(data, size));
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct buf headed;
        buf_init(&headed, size + AVRO_HEAD_BYTES);
        buf_put(&headed, heads[i], AVRO_HEAD_BYTES);
        buf_put(&headed, data, size);
        use(buf_slice(&headed));
        buf_fini(&headed);
    }
    struct holding *h = holding_make(w);
    (void)take(w, h, slice_of(data, size), SLICE_NONE, &e); /* any key */
    holding_free(h);
    return 0;
}
