/* A hash table from a 128-bit key to a pointer: open addressing, linear probing. The key is
 * itself a hash (hash.h), so it is the identity and nothing else is compared. With a ceiling in
 * bytes it is a cache: putting more evicts what was not used since the hand last came by (CLOCK).*/
#pragma once

#include "base/hash.h"

struct table_slot {
    struct hash128 key;
    void *value; /* NULL = empty */
    uint32_t cost_bytes;
    uint32_t used; /* CLOCK bit */
};

struct table {
    struct table_slot *slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t n;
    size_t cost_bytes; /* sum over the values, and the slots */
    size_t max_bytes;  /* 0 = no ceiling */
    size_t hand;
    uint64_t n_evicted;
    void (*free_value)(void *value); /* may be NULL */
};

void table_init(struct table *t, size_t max_bytes, void (*free_value)(void *value));
void table_fini(struct table *t);
/* Removes all entries. */
void table_clear(struct table *t);
/* NULL when absent. Marks the entry as used. */
void *table_find(struct table *t, struct hash128 key);
/* A hint that the key will be looked up soon: far larger than the caches, a table costs a trip to
 * memory for each look-up, which this starts ahead of time. */
static inline void table_prefetch(const struct table *t, struct hash128 key)
{
    if (t->n_slots != 0) {
        __builtin_prefetch(&t->slots[(size_t)key.lo & (t->n_slots - 1)]);
    }
}
/* Adds or replaces (an old value is freed); value must not be NULL. cost_bytes is what the value
 * holds. At the ceiling others are evicted first, never the one put. False: out of memory, the
 * value stays the caller's. */
bool table_put(struct table *t, struct hash128 key, void *value, size_t cost_bytes);
/* The value of that key, which is there, now holds so much; at the ceiling others go. */
void table_recost(struct table *t, struct hash128 key, size_t cost_bytes);
/* Removes and frees; false when absent. */
bool table_remove(struct table *t, struct hash128 key);
/* The next value from position *at on (start with 0), in no order; NULL at the end. Nothing may
 * be put or removed in between. */
void *table_next(const struct table *t, size_t *at);
