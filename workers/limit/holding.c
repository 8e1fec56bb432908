#include "holding.h"

#include <stdlib.h>

#include "allocator.h"

/* Of a state record besides its names. */
enum { SOURCE_BYTES = 64, GROUP_BYTES = 40 };

/* Who is scraped every ten seconds is heard of within it; a partition that was silent for longer
 * wants nothing, and holds no room for what it was refused. */
enum { QUIET_MS = 15000 };

static void source_free(struct source *s)
{
    series_set_fini(&s->set);
    free((void *)(uintptr_t)s->name.ptr);
    free(s);
}

static void source_free_value(void *value)
{
    source_free(value);
}

bool holding_new(const struct holding_options *o, struct holding **out, struct err *e)
{
    struct holding *h = calloc(1, sizeof *h);
    struct allocator *a = o->number == 0 ? calloc(1, sizeof *a) : NULL;
    if (h == NULL || (o->number == 0 && a == NULL)) {
        free(h);
        free(a);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    h->step_ms = o->active_ms / STEPS_ACTIVE;
    h->draw = o->draw;
    h->epoch = ++*o->draw;
    h->number = o->number;
    table_init(&h->sources, 0, source_free_value);
    usage_init(&h->usage, o->board, o->number, o->n_partitions);
    highs_init(&h->highs);
    h->allocator = a;
    if (a != NULL) {
        allocator_init(a, o->n_partitions);
    }
    *out = h;
    return true;
}

static void dead_forget(struct holding *h)
{
    for (size_t i = 0; i < h->n_dead; i++) {
        source_free(h->dead[i]);
    }
    h->n_dead = 0;
}

void holding_free(struct holding *h)
{
    if (h == NULL) {
        return;
    }
    dead_forget(h);
    free(h->dead);
    table_fini(&h->sources);
    highs_fini(&h->highs);
    usage_fini(&h->usage);
    if (h->allocator != NULL) {
        allocator_fini(h->allocator);
        free(h->allocator);
    }
    free(h);
}

static struct hash128 source_key(uint64_t id, struct slice tenant)
{
    return (struct hash128){id, hash64_seeded(tenant, 2)};
}

struct source *holding_source(const struct holding *h, uint64_t id, struct slice tenant)
{
    return table_find(&((struct holding *)(uintptr_t)h)->sources, source_key(id, tenant));
}

struct source *holding_source_add(struct holding *h, uint64_t id, struct tenant_use *tenant,
                                  struct slice name)
{
    struct source *s = calloc(1, sizeof *s);
    uint8_t *copy = malloc(name.len + 1);
    if (s == NULL || copy == NULL) {
        free(s);
        free(copy);
        return NULL;
    }
    if (name.len > 0) {
        memcpy(copy, name.ptr, name.len);
    }
    s->id = id;
    s->tenant = tenant;
    s->name = (struct slice){copy, name.len};
    s->set.version = ++*h->draw;
    if (!table_put(&h->sources, source_key(id, tenant->name), s, sizeof *s)) {
        source_free(s);
        return NULL;
    }
    return s;
}

static size_t set_bytes(const struct source *s)
{
    return s->set.n_slots * sizeof *s->set.slots;
}

/* In the state: at worst each is a group of its own. */
static size_t series_bytes(struct slice metric)
{
    return metric.len + GROUP_BYTES;
}

uint32_t holding_add(struct holding *h, struct source *s, struct hash128 id, struct metric_use *m,
                     uint32_t weight, enum over over, int64_t step)
{
    const struct series_slot slot = {id, slot_what(m->index, weight, over),
                                     (uint16_t)(step & SLOT_STEPS), holding_minute(h)};
    size_t before = set_bytes(s);
    uint32_t i = series_set_add(&s->set, &slot, ++*h->draw);
    if (i != SERIES_NONE) {
        h->n_set_bytes += set_bytes(s) - before;
        s->n_active += weight;
        s->n_state_bytes += series_bytes(m->name);
        usage_move(&h->usage, m, weight, weight);
    }
    return i;
}

void holding_fit(struct holding *h, struct source *s)
{
    size_t before = set_bytes(s);
    series_set_fit(&s->set, ++*h->draw);
    h->n_set_bytes -= before - set_bytes(s);
}

void holding_touch(struct holding *h, struct source *s)
{
    if (!s->is_dirty) {
        s->is_dirty = true;
        s->next_dirty = h->dirty;
        h->dirty = s;
    }
}

size_t holding_source_bytes(const struct source *s)
{
    return s->name.len + s->tenant->name.len + SOURCE_BYTES + s->n_state_bytes;
}

bool holding_source_fits(const struct source *s, struct slice metric)
{
    return holding_source_bytes(s) + series_bytes(metric) <= MAX_STATE_BYTES;
}

/* --- leaving --- */

struct leaving {
    struct holding *h;
    struct source *s;
    uint32_t n_kept;
};

static bool is_active(const struct holding *h, const struct series_slot *slot)
{
    return slot_steps_ago(slot, h->step) <= STEPS_ACTIVE;
}

static bool keep_active(void *ctx, const struct series_slot *slot)
{
    const struct leaving *l = ctx;
    return is_active(l->h, slot);
}

static void count_leaving(struct leaving *l)
{
    struct holding *h = l->h;
    for (uint32_t i = 0; i < l->s->set.n_slots; i++) {
        const struct series_slot *slot = &l->s->set.slots[i];
        if (slot_used(slot) && !is_active(h, slot)) {
            struct metric_use *m = h->usage.metrics[slot_metric(slot)];
            int64_t weight = slot_weight(slot);
            cell_add(m->tenant->tenant->expired, (double)weight);
            l->s->n_active -= weight;
            l->s->n_state_bytes -= series_bytes(m->name);
            usage_move(&h->usage, m, slot_lapsed(slot) ? 0 : -weight, -weight);
            h->n_expired++;
        }
    }
}

static bool source_sweep(struct holding *h, struct source *s, struct err *e)
{
    struct leaving l = {h, s, 0};
    for (uint32_t i = 0; i < s->set.n_slots; i++) {
        l.n_kept += slot_used(&s->set.slots[i]) && is_active(h, &s->set.slots[i]);
    }
    if (l.n_kept == s->set.n) {
        return true;
    }
    size_t before = set_bytes(s);
    count_leaving(&l);
    if (!series_set_filter(&s->set, keep_active, &l, l.n_kept, ++*h->draw)) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    h->n_set_bytes -= before - set_bytes(s);
    return true;
}

static bool dead_add(struct holding *h, struct source *s, struct err *e)
{
    if (h->n_dead == h->cap_dead) {
        size_t cap = h->cap_dead == 0 ? 64 : h->cap_dead * 2;
        struct source **grown = reallocarray(h->dead, cap, sizeof(struct source *));
        if (grown == NULL) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
        h->dead = grown;
        h->cap_dead = cap;
    }
    h->dead[h->n_dead++] = s;
    return true;
}

static bool sources_bury(struct holding *h, size_t first, struct err *e)
{
    for (size_t i = first; i < h->n_dead; i++) {
        struct source *s = h->dead[i];
        struct source *copy = malloc(sizeof *copy);
        if (copy == NULL) {
            h->n_dead = i;
            return err_set(e, ERR_FATAL, "out of memory");
        }
        h->n_set_bytes -= set_bytes(s);
        *copy = *s; /* the table frees its own */
        s->set = (struct series_set){0};
        s->name = SLICE_NONE;
        h->dead[i] = copy;
        (void)table_remove(&h->sources, source_key(copy->id, copy->tenant->name));
    }
    return true;
}

/* At the latest moment that it can have been, so that nobody is called silent for our restart. */
static int64_t seen_ms_of(const struct holding *h, const struct series_slot *slot)
{
    int64_t begin_ms = (h->step - slot_steps_ago(slot, h->step)) * h->step_ms;
    return begin_ms < h->time_ms - h->step_ms ? begin_ms + h->step_ms - 1 : h->time_ms;
}

void holding_restored(struct holding *h)
{
    struct source *s;
    for (size_t at = 0; (s = table_next(&h->sources, &at)) != NULL;) {
        for (uint32_t i = 0; i < s->set.n_slots; i++) {
            struct series_slot *slot = &s->set.slots[i];
            if (slot_used(slot)) {
                int64_t seen_ms = seen_ms_of(h, slot);
                slot->minute = (uint16_t)(seen_ms / MINUTE_MS);
                s->last_ms = seen_ms > s->last_ms ? seen_ms : s->last_ms;
            }
        }
    }
}

bool holding_sweep(struct holding *h, struct err *e)
{
    size_t first_dead = h->n_dead;
    struct source *s;
    h->n_expired = 0;
    h->epoch = ++*h->draw;
    leases_forget(&h->usage.leases, holding_minute(h));
    for (size_t at = 0; (s = table_next(&h->sources, &at)) != NULL;) {
        if (!source_sweep(h, s, e)) {
            return false;
        }
        /* One that is to be written is buried by a later sweep. */
        if (s->set.n == 0 && !s->is_dirty && !dead_add(h, s, e)) {
            return false;
        }
    }
    return sources_bury(h, first_dead, e);
}

bool holding_advance(struct holding *h, int64_t received_ms, int64_t appended_ms, struct err *e)
{
    h->appended_ms = appended_ms > h->appended_ms ? appended_ms : h->appended_ms;
    if (received_ms <= h->time_ms) {
        return true;
    }
    int64_t step = received_ms / h->step_ms;
    bool is_new = step > h->step;
    bool is_far = step - h->step > STEPS_ACTIVE; /* nobody was seen that lately */
    if (is_new && is_far) {
        h->step += STEPS_ACTIVE + 1; /* so that the bits of a step tell who leaves */
        h->time_ms = h->step * h->step_ms;
        if (!holding_sweep(h, e)) {
            return false;
        }
    }
    uint16_t minute_before = holding_minute(h);
    h->time_ms = received_ms;
    if (holding_minute(h) != minute_before) {
        leases_forget(&h->usage.leases, holding_minute(h));
    }
    h->scope_ms = h->scope_ms > received_ms ? h->scope_ms : received_ms;
    h->step = step;
    return !is_new || is_far || holding_sweep(h, e);
}

/* --- lapsing --- */

static void source_lapse(struct holding *h, struct source *s, int64_t step)
{
    bool has_lapsed = false;
    for (uint32_t i = 0; i < s->set.n_slots; i++) {
        struct series_slot *slot = &s->set.slots[i];
        if (slot_used(slot) && !slot_lapsed(slot) &&
            step - h->step + slot_steps_ago(slot, h->step) > STEPS_ACTIVE) {
            usage_move(&h->usage, h->usage.metrics[slot_metric(slot)], -(int64_t)slot_weight(slot),
                       0);
            slot->seen |= SLOT_LAPSED;
            has_lapsed = true;
        }
    }
    if (has_lapsed) {
        s->set.version = ++*h->draw; /* verdicts on it have to ask again */
        holding_touch(h, s);
    }
}

void holding_silence(struct holding *h, int64_t tick_ms)
{
    int64_t silent_ms = h->appended_ms == 0 ? 0 : tick_ms - h->appended_ms;
    if (silent_ms <= 0 || h->time_ms + silent_ms <= h->scope_ms) {
        return;
    }
    h->scope_ms = h->time_ms + silent_ms;
    if (silent_ms > QUIET_MS) {
        leases_forget_all(&h->usage.leases);
    }
    int64_t step = h->scope_ms / h->step_ms;
    if (step == h->lapsed_step) {
        return;
    }
    h->lapsed_step = step;
    struct source *s;
    for (size_t at = 0; (s = table_next(&h->sources, &at)) != NULL;) {
        source_lapse(h, s, step);
    }
}

void holding_revive(struct holding *h, struct source *s, uint32_t slot, uint32_t weight,
                    enum over over)
{
    struct series_slot *x = &s->set.slots[slot];
    int64_t more = (int64_t)weight - slot_weight(x);
    usage_move(&h->usage, h->usage.metrics[slot_metric(x)], slot_lapsed(x) ? weight : more, more);
    s->n_active += more;
    x->what = slot_what(slot_metric(x), weight, slot_over(x) == OVER_NONE ? over : slot_over(x));
    x->seen = (uint16_t)(h->step & SLOT_STEPS);
}
