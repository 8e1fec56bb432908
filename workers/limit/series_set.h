/* One source's active series: an exact set of 128-bit ids, 24 bytes each, open addressing with
 * linear probing. An index into it stays valid until `version` changes. */
#pragma once

#include "base/err.h"
#include "base/hash.h"

enum { SERIES_NONE = UINT32_MAX, MAX_WEIGHT = 2047, MAX_METRICS = 1 << 19 };

/* A lapsed series no longer counts in its tenant's and metric's budgets, since their time (ticks)
 * says that it is idle; by the log time of its partition it is still its source's. */
enum { SLOT_LAPSED = 1 << 15, SLOT_STEPS = SLOT_LAPSED - 1 };

/* Which budget in shadow mode would have refused a series. */
enum over { OVER_NONE, OVER_SOURCE, OVER_METRIC, OVER_TENANT };

struct series_slot {
    struct hash128 id;
    uint32_t what; /* metric's index 19 bits, weight 11, over 2; 0 = empty (a weight is never 0) */
    uint16_t seen; /* last, in steps of an eighth of active_ms, modulo 2^15; and SLOT_LAPSED */
    uint16_t minute; /* last seen, in minutes of log time, modulo 2^16 */
};

struct series_set {
    struct series_slot *slots; /* owned */
    uint32_t n_slots;
    uint32_t n;
    uint64_t version;
};

static inline uint32_t slot_metric(const struct series_slot *s)
{
    return s->what & (MAX_METRICS - 1);
}

static inline uint32_t slot_weight(const struct series_slot *s)
{
    return (s->what >> 19) & MAX_WEIGHT;
}

static inline enum over slot_over(const struct series_slot *s)
{
    return (enum over)(s->what >> 30);
}

static inline bool slot_lapsed(const struct series_slot *s)
{
    return (s->seen & SLOT_LAPSED) != 0;
}

/* How many steps before `step` it was last seen. */
static inline int64_t slot_steps_ago(const struct series_slot *s, int64_t step)
{
    return (int64_t)((uint64_t)(step - s->seen) & SLOT_STEPS);
}

static inline bool slot_used(const struct series_slot *s)
{
    return s->what != 0;
}

/* weight 1 … MAX_WEIGHT. */
static inline uint32_t slot_what(uint32_t metric, uint32_t weight, enum over over)
{
    return metric | weight << 19 | (uint32_t)over << 30;
}

void series_set_fini(struct series_set *s);
/* SERIES_NONE when absent. */
uint32_t series_set_find(const struct series_set *s, struct hash128 id);
/* Adds an id that is absent; its index, or SERIES_NONE when out of memory. version: the next
 * version's number, used when the slots move. */
uint32_t series_set_add(struct series_set *s, const struct series_slot *slot, uint64_t version);
/* Gives back slots that adding allotted and did not need; without memory it does not. */
void series_set_fit(struct series_set *s, uint64_t version);
/* Takes an id off; slots may move without the version telling. Its weight, 0 when it is absent. */
uint32_t series_set_remove(struct series_set *s, struct hash128 id);
/* Keeps those that `keep` says; the rest is gone. False: out of memory, nothing has changed but
 * what keep did. */
bool series_set_filter(struct series_set *s,
                       bool (*keep)(void *ctx, const struct series_slot *slot), void *ctx,
                       uint32_t n_kept, uint64_t version);
