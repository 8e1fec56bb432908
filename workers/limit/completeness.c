#include "completeness.h"

#include <stdlib.h>

#include "base/json_text.h"

/* A tenant over all partitions of the process. */
struct sum {
    struct tenant *tenant;
    struct slice name; /* a tenant_use's */
    uint64_t n_active;
    uint64_t n_seen;
    uint64_t n_silent;
};

struct look {
    struct table sums;
    struct buf silent; /* JSON */
    uint32_t n_listed;
    uint32_t max_listed;
};

static struct sum *sum_of(struct look *l, const struct tenant_use *t)
{
    struct hash128 key = hash128_seeded(t->name, 0);
    struct sum *sum = table_find(&l->sums, key);
    if (sum == NULL) {
        sum = calloc(1, sizeof *sum);
        if (sum != NULL && !table_put(&l->sums, key, sum, sizeof *sum)) {
            free(sum);
            sum = NULL;
        }
        if (sum != NULL) {
            sum->tenant = t->tenant;
            sum->name = t->name;
        }
    }
    return sum;
}

/* A partition at its end has no batches that move its log time: there it is the clock's. */
static uint64_t seen_of(const struct holding *h, const struct source *s)
{
    int64_t time_ms = h->end_ms > h->time_ms ? h->end_ms : h->time_ms;
    uint16_t minute = (uint16_t)(time_ms / MINUTE_MS);
    uint64_t n = 0;
    for (uint32_t i = 0; i < s->set.n_slots; i++) {
        const struct series_slot *slot = &s->set.slots[i];
        if (slot_used(slot) && (uint16_t)(minute - slot->minute) <= COMPLETE_MINUTES) {
            n += slot_weight(slot);
        }
    }
    return n;
}

static void silent_print(struct look *l, const struct source *s)
{
    if (l->n_listed >= l->max_listed) {
        return;
    }
    buf_printf(&l->silent, "%s{\"tenant\":", l->n_listed == 0 ? "" : ",");
    json_slice(&l->silent, s->tenant->name);
    buf_printf(&l->silent, ",\"source\":");
    json_slice(&l->silent, s->name);
    buf_printf(&l->silent, ",\"active_series\":%lld,\"last_seen_ms\":%lld}", (long long)s->n_active,
               (long long)s->last_ms);
    l->n_listed++;
}

static void holding_look(struct look *l, const struct holding *h)
{
    const struct source *s;
    for (size_t at = 0; (s = table_next(&h->sources, &at)) != NULL;) {
        struct sum *sum = sum_of(l, s->tenant);
        if (sum == NULL || s->n_active == 0) {
            continue;
        }
        uint64_t n_seen = seen_of(h, s);
        sum->n_active += (uint64_t)s->n_active;
        sum->n_seen += n_seen;
        if (n_seen == 0) {
            sum->n_silent++;
            silent_print(l, s);
        }
    }
}

static double ratio(const struct sum *s)
{
    return s->n_active == 0 ? 1 : (double)s->n_seen / (double)s->n_active;
}

static void tenants_show(struct look *l, struct tenants *tenants)
{
    for (struct tenant *t = tenants->items; t->label.ptr != NULL; t++) {
        const struct sum *s = table_find(&l->sums, hash128_seeded(t->label, 0));
        cell_set(t->active, s == NULL ? 0 : (double)s->n_active);
        cell_set(t->completeness, s == NULL ? 1 : ratio(s));
        cell_set(t->silent, s == NULL ? 0 : (double)s->n_silent);
    }
}

void completeness_look(struct holding *h, struct tenants *tenants, uint32_t max_silent,
                       struct buf *out)
{
    struct look l = {.max_listed = max_silent};
    table_init(&l.sums, 0, free);
    buf_init(&l.silent, 8 << 20);
    for (; h != NULL; h = h->next) {
        holding_look(&l, h);
    }
    tenants_show(&l, tenants);
    buf_printf(out, "{\"minutes\":%d,\"tenants\":[", COMPLETE_MINUTES);
    const struct sum *s;
    bool is_first = true;
    for (size_t at = 0; (s = table_next(&l.sums, &at)) != NULL; is_first = false) {
        buf_printf(out, "%s{\"tenant\":", is_first ? "" : ",");
        json_slice(out, s->name);
        buf_printf(
            out,
            ",\"active_series\":%llu,\"seen\":%llu,\"completeness\":%.6f,\"silent_sources\":%llu}",
            (unsigned long long)s->n_active, (unsigned long long)s->n_seen, ratio(s),
            (unsigned long long)s->n_silent);
    }
    buf_printf(out, "],\"silent_sources\":[");
    buf_put_slice(out, buf_slice(&l.silent));
    buf_printf(out, "]}\n");
    buf_fini(&l.silent);
    table_fini(&l.sums);
}
