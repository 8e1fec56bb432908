#include "base/table.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { FIRST_SLOTS = 64, HUGE_PAGE_BYTES = 2 << 20 };

void table_init(struct table *t, size_t max_bytes, void (*free_value)(void *value))
{
    *t = (struct table){.max_bytes = max_bytes, .free_value = free_value};
}

static void slot_free(const struct table *t, struct table_slot *slot)
{
    if (t->free_value != NULL && slot->value != NULL) {
        t->free_value(slot->value);
    }
    slot->value = NULL;
}

void table_clear(struct table *t)
{
    for (size_t i = 0; i < t->n_slots; i++) {
        slot_free(t, &t->slots[i]);
    }
    t->n = 0;
    t->hand = 0;
    t->cost_bytes = t->n_slots * sizeof *t->slots;
}

void table_fini(struct table *t)
{
    table_clear(t);
    free(t->slots);
    *t = (struct table){.max_bytes = t->max_bytes, .free_value = t->free_value};
}

static size_t slot_home(const struct table *t, struct hash128 key)
{
    return (size_t)key.lo & (t->n_slots - 1);
}

/* The slot that holds the key, or the empty one where it would go. */
static struct table_slot *slot_seek(const struct table *t, struct hash128 key)
{
    size_t i = slot_home(t, key);
    while (t->slots[i].value != NULL && !hash128_eq(t->slots[i].key, key)) {
        i = (i + 1) & (t->n_slots - 1);
    }
    return &t->slots[i];
}

void *table_find(struct table *t, struct hash128 key)
{
    if (t->n == 0) {
        return NULL;
    }
    struct table_slot *slot = slot_seek(t, key);
    if (slot->value != NULL && slot->used == 0) { /* don't write to memory what is there */
        slot->used = 1;
    }
    return slot->value;
}

/* Cleared. Large ones ask for huge pages: half of a random access's time is the page table's. */
static struct table_slot *slots_new(size_t n_slots)
{
    size_t n_bytes = n_slots * sizeof(struct table_slot);
    if (n_bytes < HUGE_PAGE_BYTES || n_bytes % HUGE_PAGE_BYTES != 0) {
        return calloc(n_slots, sizeof(struct table_slot));
    }
    struct table_slot *slots = aligned_alloc(HUGE_PAGE_BYTES, n_bytes);
    if (slots != NULL) {
        (void)madvise(slots, n_bytes, MADV_HUGEPAGE);
        memset(slots, 0, n_bytes);
    }
    return slots;
}

static bool table_rehash(struct table *t, size_t n_slots)
{
    struct table_slot *slots = slots_new(n_slots);
    if (slots == NULL) {
        return false;
    }
    struct table_slot *old = t->slots;
    size_t n_old = t->n_slots;
    t->slots = slots;
    t->n_slots = n_slots;
    t->hand = 0;
    t->cost_bytes += (n_slots - n_old) * sizeof *slots;
    for (size_t i = 0; i < n_old; i++) {
        if (old[i].value != NULL) {
            *slot_seek(t, old[i].key) = old[i];
        }
    }
    free(old);
    return true;
}

/* Empties slot i and closes the gap, so that no probe sequence is cut (Knuth 6.4, algorithm R). */
static void slot_remove(struct table *t, size_t i)
{
    size_t mask = t->n_slots - 1;
    t->cost_bytes -= t->slots[i].cost_bytes;
    slot_free(t, &t->slots[i]);
    t->n--;
    size_t gap = i;
    for (size_t j = (gap + 1) & mask; t->slots[j].value != NULL; j = (j + 1) & mask) {
        size_t home = slot_home(t, t->slots[j].key);
        if (((j - home) & mask) >= ((j - gap) & mask)) {
            t->slots[gap] = t->slots[j];
            t->slots[j].value = NULL;
            gap = j;
        }
    }
}

static void table_evict(struct table *t, struct hash128 keep)
{
    while (t->n > 1 && t->cost_bytes > t->max_bytes) {
        struct table_slot *slot = &t->slots[t->hand];
        if (slot->value == NULL || slot->used != 0 || hash128_eq(slot->key, keep)) {
            slot->used = 0;
            t->hand = (t->hand + 1) & (t->n_slots - 1);
            continue;
        }
        slot_remove(t, t->hand); /* another entry may have moved here: the hand stays */
        t->n_evicted++;
    }
}

bool table_put(struct table *t, struct hash128 key, void *value, size_t cost_bytes)
{
    if ((t->n + 1) * 4 > t->n_slots * 3) {
        if (!table_rehash(t, t->n_slots == 0 ? FIRST_SLOTS : t->n_slots * 2)) {
            return false;
        }
    }
    struct table_slot *slot = slot_seek(t, key);
    if (slot->value != NULL) {
        t->cost_bytes -= slot->cost_bytes;
        slot_free(t, slot);
        t->n--;
    }
    *slot = (struct table_slot){key, value, (uint32_t)cost_bytes, 1};
    t->n++;
    t->cost_bytes += cost_bytes;
    if (t->max_bytes != 0) {
        table_evict(t, key);
    }
    return true;
}

void table_recost(struct table *t, struct hash128 key, size_t cost_bytes)
{
    struct table_slot *slot = slot_seek(t, key);
    assert(slot->value != NULL);
    t->cost_bytes += cost_bytes - slot->cost_bytes;
    slot->cost_bytes = (uint32_t)cost_bytes;
    if (t->max_bytes != 0) {
        table_evict(t, key);
    }
}

bool table_remove(struct table *t, struct hash128 key)
{
    if (t->n == 0) {
        return false;
    }
    struct table_slot *slot = slot_seek(t, key);
    if (slot->value == NULL) {
        return false;
    }
    slot_remove(t, (size_t)(slot - t->slots));
    return true;
}

void *table_next(const struct table *t, size_t *at)
{
    while (*at < t->n_slots) {
        void *value = t->slots[(*at)++].value;
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
