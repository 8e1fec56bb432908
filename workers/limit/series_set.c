#include "series_set.h"

#include <stdlib.h>

enum { FEWEST_SLOTS = 8 };

void series_set_fini(struct series_set *s)
{
    free(s->slots);
    *s = (struct series_set){0};
}

/* The slot that holds id, or the empty one where it belongs. */
static uint32_t slot_of(const struct series_slot *slots, uint32_t n_slots, struct hash128 id)
{
    uint32_t i = (uint32_t)id.lo & (n_slots - 1);
    while (slot_used(&slots[i]) && !hash128_eq(slots[i].id, id)) {
        i = (i + 1) & (n_slots - 1);
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

/* At most seven eighths full. */
static uint32_t slots_for(uint32_t n)
{
    uint32_t n_slots = FEWEST_SLOTS;
    while (n_slots / 8 * 7 < n) {
        n_slots *= 2;
    }
    return n_slots;
}

static bool keep_all(void *ctx, const struct series_slot *slot)
{
    (void)ctx;
    (void)slot;
    return true;
}

bool series_set_filter(struct series_set *s,
                       bool (*keep)(void *ctx, const struct series_slot *slot), void *ctx,
                       uint32_t n_kept, uint64_t version)
{
    uint32_t n_slots = slots_for(n_kept);
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

uint32_t series_set_add(struct series_set *s, const struct series_slot *slot, uint64_t version)
{
    if (s->n >= s->n_slots / 8 * 7 && !series_set_filter(s, keep_all, NULL, s->n + 1, version)) {
        return SERIES_NONE;
    }
    uint32_t i = slot_of(s->slots, s->n_slots, slot->id);
    s->slots[i] = *slot;
    s->n++;
    return i;
}

uint32_t series_set_remove(struct series_set *s, struct hash128 id)
{
    uint32_t hole = series_set_find(s, id);
    if (hole == SERIES_NONE) {
        return 0;
    }
    uint32_t weight = slot_weight(&s->slots[hole]);
    uint32_t mask = s->n_slots - 1;
    /* Those behind it move up, so that no search meets the hole before it has met them. */
    for (uint32_t i = (hole + 1) & mask; slot_used(&s->slots[i]); i = (i + 1) & mask) {
        uint32_t home = (uint32_t)s->slots[i].id.lo & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            s->slots[hole] = s->slots[i];
            hole = i;
        }
    }
    s->slots[hole] = (struct series_slot){0};
    s->n--;
    return weight;
}
