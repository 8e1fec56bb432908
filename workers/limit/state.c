#include "state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "allocator.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "limit_partition_avsc.h"
#include "limit_source_avsc.h"
#include "wire/avro_blocks.h"

enum { MAX_KEY_BYTES = 256, MAX_TOMBSTONES = 1000, FEWEST_GROUP_BYTES = 6 };

static const char partition_key[] = "partition";

/* --- writing --- */

static struct slice source_key(const struct source *s, char out[MAX_KEY_BYTES])
{
    int n = snprintf(out, MAX_KEY_BYTES, "%.*s/%016" PRIx64, SLICE_ARG(s->tenant->name), s->id);
    return slice_of(out, (size_t)(n < MAX_KEY_BYTES ? n : MAX_KEY_BYTES - 1));
}

static int slot_order(const void *x, const void *y)
{
    const struct series_slot *a = *(const struct series_slot *const *)x;
    const struct series_slot *b = *(const struct series_slot *const *)y;
    if (a->what != b->what) {
        return a->what < b->what ? -1 : 1;
    }
    if (a->seen != b->seen) {
        return a->seen < b->seen ? -1 : 1;
    }
    return (a->id.lo > b->id.lo) - (a->id.lo < b->id.lo);
}

static int64_t step_of(const struct holding *h, const struct series_slot *slot)
{
    return h->step - slot_steps_ago(slot, h->step);
}

static void group_put(const struct holding *h, const struct series_slot *const *slots, uint32_t n,
                      struct buf *out)
{
    const struct metric_use *m = h->usage.metrics[slot_metric(slots[0])];
    buf_zigzag_bytes(out, m->name);
    buf_zigzag(out, slot_weight(slots[0]));
    buf_zigzag(out, (int64_t)slot_over(slots[0]));
    buf_zigzag(out, slot_lapsed(slots[0]));
    buf_zigzag(out, step_of(h, slots[0]) * h->step_ms);
    buf_zigzag(out, (int64_t)n * (int64_t)sizeof(struct hash128));
    for (uint32_t i = 0; i < n; i++) {
        buf_le64(out, slots[i]->id.lo);
        buf_le64(out, slots[i]->id.hi);
    }
}

static uint32_t group_length(const struct series_slot *const *slots, uint32_t n)
{
    uint32_t i = 1;
    while (i < n && slots[i]->what == slots[0]->what && slots[i]->seen == slots[0]->seen) {
        i++;
    }
    return i;
}

static bool source_encode(const struct holding *h, const struct source *s, struct buf *out)
{
    const struct series_slot **slots = calloc(s->set.n + 1, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->set.n_slots; i++) {
        if (slot_used(&s->set.slots[i])) {
            slots[n++] = &s->set.slots[i];
        }
    }
    qsort(slots, n, sizeof *slots, slot_order);
    buf_put(out, LIMIT_SOURCE_HEAD, AVRO_HEAD_BYTES);
    buf_zigzag_bytes(out, s->tenant->name);
    buf_zigzag(out, (int64_t)s->id);
    buf_zigzag_bytes(out, s->name);
    for (uint32_t i = 0; i < n;) { /* each group is a block of its own */
        uint32_t length = group_length(slots + i, n - i);
        buf_zigzag(out, 1);
        group_put(h, slots + i, length, out);
        i += length;
    }
    buf_zigzag(out, 0);
    free(slots);
    return buf_ok(out);
}

static bool record_put(const struct holding *h, int output, struct slice key, struct slice value,
                       struct outbox *out, struct err *e)
{
    const struct outgoing r = {
        .output = output, .partition = (int32_t)h->number, .key = key, .value = value};
    return outbox_put(out, &r, e);
}

static bool sources_put(struct holding *h, int output, struct buf *scratch, struct outbox *out,
                        struct err *e)
{
    char key[MAX_KEY_BYTES];
    while (h->dirty != NULL) {
        struct source *s = h->dirty;
        buf_reset(scratch);
        if (!source_encode(h, s, scratch)) {
            return err_set(e, ERR_FATAL, "the state of a source takes more than %d bytes",
                           MAX_STATE_BYTES);
        }
        if (!record_put(h, output, source_key(s, key), buf_slice(scratch), out, e)) {
            return false;
        }
        h->dirty = s->next_dirty;
        s->is_dirty = false;
    }
    return true;
}

static void dead_free(struct source *s)
{
    free((void *)(uintptr_t)s->name.ptr);
    series_set_fini(&s->set);
    free(s);
}

/* A few at a time: what is left is dead after a restore as well. */
static bool tombstones_put(struct holding *h, int output, struct outbox *out, struct err *e)
{
    char key[MAX_KEY_BYTES];
    for (int i = 0; i < MAX_TOMBSTONES && h->n_dead > 0; i++) {
        struct source *s = h->dead[h->n_dead - 1];
        bool is_back = holding_source(h, s->id, s->tenant->name) != NULL;
        if (!is_back && !record_put(h, output, source_key(s, key), SLICE_NONE, out, e)) {
            return false;
        }
        dead_free(s);
        h->n_dead--;
    }
    return true;
}

/* By topic, then partition. */
static int high_order(const void *x, const void *y)
{
    const struct origin *a = &(*(const struct high *const *)x)->origin;
    const struct origin *b = &(*(const struct high *const *)y)->origin;
    size_t n = a->topic.len < b->topic.len ? a->topic.len : b->topic.len;
    int order = n == 0 ? 0 : memcmp(a->topic.ptr, b->topic.ptr, n);
    if (order == 0 && a->topic.len != b->topic.len) {
        order = a->topic.len < b->topic.len ? -1 : 1;
    }
    order = order != 0 ? order : memcmp(a->topic_id, b->topic_id, TOPIC_ID_BYTES);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static bool is_same_topic(const struct origin *a, const struct origin *b)
{
    return slice_eq(a->topic, b->topic) && memcmp(a->topic_id, b->topic_id, TOPIC_ID_BYTES) == 0;
}

/* Each block has one item, as everywhere here. */
static void highs_encode(const struct high *const *highs, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct origin *o = &highs[i]->origin;
        if (i == 0 || !is_same_topic(&highs[i - 1]->origin, o)) {
            buf_zigzag(out, 1);
            buf_zigzag_bytes(out, o->topic);
            buf_put(out, o->topic_id, TOPIC_ID_BYTES);
        }
        buf_zigzag(out, 1);
        buf_zigzag(out, o->partition);
        buf_zigzag(out, o->offset);
        buf_zigzag(out, o->index);
        if (i + 1 == n || !is_same_topic(o, &highs[i + 1]->origin)) {
            buf_zigzag(out, 0);
        }
    }
    buf_zigzag(out, 0);
}

static bool partition_encode(const struct holding *h, struct buf *out)
{
    const struct high **highs = calloc(h->highs.table.n + 1, sizeof *highs);
    const struct high *high;
    size_t n = 0;
    if (highs == NULL) {
        return false;
    }
    for (size_t at = 0; (high = table_next(&h->highs.table, &at)) != NULL;) {
        highs[n++] = high;
    }
    qsort(highs, n, sizeof *highs, high_order);
    buf_put(out, LIMIT_PARTITION_HEAD, AVRO_HEAD_BYTES);
    buf_zigzag(out, h->time_ms);
    buf_zigzag(out, h->appended_ms);
    highs_encode(highs, n, out);
    free(highs);
    return buf_ok(out);
}

bool state_put(struct holding *h, int output, struct outbox *out, struct err *e)
{
    struct buf scratch;
    buf_init(&scratch, MAX_STATE_BYTES);
    bool ok = tombstones_put(h, output, out, e) && sources_put(h, output, &scratch, out, e);
    if (ok) {
        buf_reset(&scratch);
        ok = partition_encode(h, &scratch)
                 ? record_put(h, output, slice_str(partition_key), buf_slice(&scratch), out, e)
                 : err_set(e, ERR_FATAL, "out of memory");
    }
    buf_fini(&scratch);
    return ok;
}

/* --- reading --- */

static bool malformed(const struct cursor *c, struct err *e)
{
    return err_set(e, ERR_FATAL, "a state record can't be read at byte %zu", cursor_at(c));
}

static bool topic_highs_take(struct holding *h, struct cursor *c, struct err *e)
{
    struct origin o = {.topic = cursor_zigzag_bytes(c)};
    struct slice id = cursor_take(c, TOPIC_ID_BYTES);
    if (id.ptr != NULL) {
        memcpy(o.topic_id, id.ptr, TOPIC_ID_BYTES);
    }
    for (struct blocks b = {0}; blocks_next(c, &b, 3);) {
        o.partition = avro_int(c);
        o.offset = cursor_zigzag(c);
        o.index = avro_int(c);
        if (cursor_ok(c) && !highs_raise(&h->highs, &o)) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
    }
    return true;
}

static bool partition_take(struct holding *h, struct cursor *c, struct err *e)
{
    int64_t time_ms = cursor_zigzag(c);
    int64_t appended_ms = cursor_zigzag(c);
    for (struct blocks b = {0}; blocks_next(c, &b, TOPIC_ID_BYTES + 2);) {
        if (!topic_highs_take(h, c, e)) {
            return false;
        }
    }
    if (!cursor_ok(c) || cursor_more(c) || time_ms < 0 || appended_ms < 0) {
        return malformed(c, e);
    }
    h->appended_ms = appended_ms > h->appended_ms ? appended_ms : h->appended_ms;
    if (time_ms > h->time_ms) {
        h->time_ms = time_ms;
    }
    if (time_ms / h->step_ms > h->step) {
        h->step = time_ms / h->step_ms;
    }
    return true;
}

struct group {
    struct slice metric;
    int32_t weight;
    int32_t over;
    int32_t lapsed;
    int64_t step;
    struct slice ids;
};

static bool group_read(const struct holding *h, struct cursor *c, struct group *g)
{
    g->metric = cursor_zigzag_bytes(c);
    g->weight = avro_int(c);
    g->over = avro_int(c);
    g->lapsed = avro_int(c);
    int64_t seen_ms = cursor_zigzag(c);
    g->step = seen_ms / h->step_ms;
    g->ids = cursor_zigzag_bytes(c);
    return cursor_ok(c) && g->weight >= 1 && g->weight <= MAX_WEIGHT && g->over >= 0 &&
           g->over <= OVER_TENANT && (g->lapsed == 0 || g->lapsed == 1) && seen_ms >= 0 &&
           g->ids.len > 0 && g->ids.len % sizeof(struct hash128) == 0;
}

static bool group_take(struct holding *h, struct source *s, const struct group *g, struct err *e)
{
    struct cursor c = cursor_of(g->ids);
    while (cursor_more(&c)) {
        struct hash128 id = {.lo = cursor_le64(&c)};
        id.hi = cursor_le64(&c);
        struct metric_use *m = usage_metric(&h->usage, s->tenant, g->metric);
        if (m != NULL && series_set_find(&s->set, id) != SERIES_NONE) {
            return err_set(e, ERR_FATAL, "a state record names a series twice");
        }
        uint32_t slot =
            m == NULL ? SERIES_NONE
                      : holding_add(h, s, id, m, (uint32_t)g->weight, (enum over)g->over, g->step);
        if (slot == SERIES_NONE) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
        if (g->lapsed == 1) {
            s->set.slots[slot].seen |= SLOT_LAPSED;
            usage_move(&h->usage, m, -(int64_t)g->weight, 0);
        }
    }
    if (g->step > h->step) {
        h->step = g->step;
        h->time_ms = g->step * h->step_ms;
    }
    return true;
}

/* A record replaces what an earlier one said. */
static void source_forget(struct holding *h, struct source *s)
{
    for (uint32_t i = 0; i < s->set.n_slots; i++) {
        const struct series_slot *slot = &s->set.slots[i];
        if (slot_used(slot)) {
            int64_t weight = slot_weight(slot);
            usage_move(&h->usage, h->usage.metrics[slot_metric(slot)],
                       slot_lapsed(slot) ? 0 : -weight, -weight);
        }
    }
    h->n_set_bytes -= s->set.n_slots * sizeof *s->set.slots;
    series_set_fini(&s->set);
    s->set.version = ++*h->draw;
    s->n_active = 0;
    s->n_state_bytes = 0;
}

static bool source_take(struct holding *h, struct tenants *tenants, struct cursor *c, struct err *e)
{
    struct slice tenant_name = cursor_zigzag_bytes(c);
    uint64_t id = (uint64_t)cursor_zigzag(c);
    struct slice name = cursor_zigzag_bytes(c);
    if (!cursor_ok(c)) {
        return malformed(c, e);
    }
    struct source *s = holding_source(h, id, tenant_name);
    if (s != NULL) {
        source_forget(h, s);
    } else {
        struct tenant_use *tenant = usage_tenant(&h->usage, tenant_name, tenants);
        s = tenant == NULL ? NULL : holding_source_add(h, id, tenant, name);
        if (s == NULL) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
    }
    for (struct blocks b = {0}; blocks_next(c, &b, FEWEST_GROUP_BYTES);) {
        struct group g;
        if (!group_read(h, c, &g)) {
            return malformed(c, e);
        }
        if (!group_take(h, s, &g, e)) {
            return false;
        }
    }
    holding_fit(h, s);
    return (cursor_ok(c) && !cursor_more(c)) || malformed(c, e);
}

/* Tombstones: the key's tenant and id. */
static void source_gone(struct holding *h, struct slice key)
{
    char digits[17] = {0};
    if (key.len < 18) {
        return;
    }
    memcpy(digits, key.ptr + key.len - 16, 16);
    struct source *s =
        holding_source(h, strtoull(digits, NULL, 16), slice_of(key.ptr, key.len - 17));
    if (s != NULL) {
        source_forget(h, s); /* without series it is buried by the sweep */
    }
}

static bool lease_take(struct holding *h, struct slice value, struct err *e)
{
    struct lease_record r;
    bool ok = lease_record_read(value, &r, e) && leases_restore(&h->usage.leases, &r, e);
    e->kind = ok ? e->kind : ERR_FATAL; /* state must not be guessed at */
    return ok;
}

static bool grants_take(struct holding *h, struct slice value, struct err *e)
{
    int64_t granted[MAX_LEASE_PARTITIONS];
    struct grants_record r;
    if (h->allocator == NULL) {
        return err_set(e, ERR_FATAL, "grants outside partition 0");
    }
    bool ok = grants_record_read(value, granted, &r, e) && allocator_restore(h->allocator, &r, e);
    e->kind = ok ? e->kind : ERR_FATAL;
    return ok;
}

bool state_take(struct holding *h, struct tenants *tenants, const struct record *r, struct err *e)
{
    if (r->value.ptr == NULL) {
        source_gone(h, r->key);
        return true;
    }
    struct cursor c = cursor_of(r->value);
    struct slice head = cursor_take(&c, AVRO_HEAD_BYTES);
    if (slice_eq(head, slice_of(LIMIT_SOURCE_HEAD, AVRO_HEAD_BYTES))) {
        return source_take(h, tenants, &c, e);
    }
    if (slice_eq(head, slice_of(LIMIT_PARTITION_HEAD, AVRO_HEAD_BYTES))) {
        return partition_take(h, &c, e);
    }
    if (lease_record_kind(r->value) == RECORD_LEASE) {
        return lease_take(h, r->value, e);
    }
    if (lease_record_kind(r->value) == RECORD_GRANTS) {
        return grants_take(h, r->value, e);
    }
    return err_set(e, ERR_FATAL, "a state record has a schema that this version does not know");
}
