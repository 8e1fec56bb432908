#include "series_set.h"

#include <stdlib.h>

/* When slots are allotted, 29 of 32 are used: adding may go on to 30. Then a quarter more is
 * allotted, which series_set_fit takes back if it was for nothing. */
enum { FEWEST_SLOTS = 4, EXTRA_SLOTS = 32 };

void series_set_fini(struct series_set *s)
{
    free(s->slots);
    *s = (struct series_set){0};
}

/* Any number of slots will do, so that memory follows the series closely. The product spreads ids
 * that differ in a few bits only. */
static uint32_t home_of(struct hash128 id, uint32_t n_slots)
{
    uint64_t spread = (id.lo * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
    return (uint32_t)((spread * n_slots) >> 32);
}

static uint32_t slot_after(uint32_t i, uint32_t n_slots)
{
    return i + 1 == n_slots ? 0 : i + 1;
}

/* The slot that holds id, or the empty one where it belongs. */
static uint32_t slot_of(const struct series_slot *slots, uint32_t n_slots, struct hash128 id)
{
    uint32_t i = home_of(id, n_slots);
    while (slot_used(&slots[i]) && !hash128_eq(slots[i].id, id)) {
        i = slot_after(i, n_slots);
    }
    return i;
}

uint32_t series_set_find(const struct series_set *s, struct hash128 id)
{
    if (s->n_slots == 0) {
        return SERIES_NONE;
    }
    uint32_t i = slot_of(s->slots, s->n_slots, id);
    return slot_used(&s->slots[i]) ? i : SERIES_NONE;
}

static uint32_t slots_for(uint32_t n)
{
    uint64_t n_slots = (uint64_t)n * 32 / 29 + 1;
    return n_slots < FEWEST_SLOTS     ? FEWEST_SLOTS
           : n_slots > UINT32_MAX / 2 ? UINT32_MAX / 2
                                      : (uint32_t)n_slots;
}

/* How many may be in. */
static uint32_t room_of(uint32_t n_slots)
{
    return (uint32_t)((uint64_t)n_slots * 30 / 32);
}

static bool keep_all(void *ctx, const struct series_slot *slot)
{
    (void)ctx;
    (void)slot;
    return true;
}

/* Moves those that are kept into n_slots new ones. */
static bool slots_move(struct series_set *s,
                       bool (*keep)(void *ctx, const struct series_slot *slot), void *ctx,
                       uint32_t n_slots, uint64_t version)
{
    struct series_slot *slots = calloc(n_slots, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_slots; i++) {
        if (slot_used(&s->slots[i]) && keep(ctx, &s->slots[i])) {
            slots[slot_of(slots, n_slots, s->slots[i].id)] = s->slots[i];
            n++;
        }
    }
    free(s->slots);
    *s = (struct series_set){slots, n_slots, n, version};
    return true;
}

bool series_set_filter(struct series_set *s,
                       bool (*keep)(void *ctx, const struct series_slot *slot), void *ctx,
                       uint32_t n_kept, uint64_t version)
{
    return slots_move(s, keep, ctx, slots_for(n_kept), version);
}

void series_set_fit(struct series_set *s, uint64_t version)
{
    uint32_t n_slots = slots_for(s->n);
    if (room_of(s->n_slots) > n_slots) {
        (void)slots_move(s, keep_all, NULL, n_slots, version);
    }
}

uint32_t series_set_add(struct series_set *s, const struct series_slot *slot, uint64_t version)
{
    uint32_t more = s->n / 4 + EXTRA_SLOTS;
    if (s->n >= room_of(s->n_slots) &&
        !slots_move(s, keep_all, NULL, slots_for(s->n + more), version)) {
        return SERIES_NONE;
    }
    uint32_t i = slot_of(s->slots, s->n_slots, slot->id);
    s->slots[i] = *slot;
    s->n++;
    return i;
}

static uint32_t steps_between(uint32_t from, uint32_t to, uint32_t n_slots)
{
    return to >= from ? to - from : to + n_slots - from;
}

uint32_t series_set_remove(struct series_set *s, struct hash128 id)
{
    uint32_t hole = series_set_find(s, id);
    if (hole == SERIES_NONE) {
        return 0;
    }
    uint32_t weight = slot_weight(&s->slots[hole]);
    /* Those behind it move up, so that no search meets the hole before it has met them. */
    for (uint32_t i = slot_after(hole, s->n_slots); slot_used(&s->slots[i]);
         i = slot_after(i, s->n_slots)) {
        uint32_t home = home_of(s->slots[i].id, s->n_slots);
        if (steps_between(home, i, s->n_slots) >= steps_between(hole, i, s->n_slots)) {
            s->slots[hole] = s->slots[i];
            hole = i;
        }
    }
    s->slots[hole] = (struct series_slot){0};
    s->n--;
    return weight;
}
