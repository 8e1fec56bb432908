/* Verdicts per series, found by the key of the series' raw bytes: no policy work for a series that
 * was seen before. Entries lie in the order of a server's message, in which they were learned: the
 * usual look-up is one comparison with the entry behind the last.
 * At its ceiling, and when the policy changes, the cache is emptied as a whole, between two messages:
 * learning anew costs microseconds a series, and the order, which pays, is kept. */
#pragma once

#include "base/arena.h"
#include "base/table.h"
#include "edge/mask.h"
#include "policy/judge.h"

struct group;

/* One source's points of one class. */
struct stream {
    struct slice tenant;
    struct slice name;
    uint64_t source;
    enum batch_class class;
    uint32_t n_last; /* points in its last message */
    uint64_t pass;   /* the message that the group belongs to */
    struct group *group;
};

/* A canonical series in little room: labels by symbol. */
struct known_series {
    struct hash128 id;
    struct slice metric;
    struct slice unit;
    const uint32_t (*labels)[2]; /* symbols of name and value */
    const double *bounds;
    uint64_t stripped;
    uint32_t n_labels;
    uint32_t n_bounds;
    enum series_kind kind;
    bool delta;
};

/* One more label of a refused series that is refused, too. */
struct culprit_label {
    struct slice label;
    enum reason reason;
    uint8_t mask[MASK_BYTES];
    bool is_masked;
};

/* What a refused series' dead letters say. */
struct culprit {
    struct slice label; /* empty = no label is to blame */
    const char *detail; /* a static text that says more than the reason, or NULL */
    uint8_t mask[MASK_BYTES];
    bool is_masked;
    uint32_t n_more; /* VERDICT_MAX_MORE at most */
    const struct culprit_label *more;
};

struct entry {
    struct hash128 key;
    struct stream *stream;            /* NULL when refused */
    const struct known_series *known; /* accepted */
    const struct culprit *culprit;    /* refused */
    uint32_t index;                   /* unique until the cache is emptied */
    uint16_t reason;                  /* enum reason */
    uint16_t kind;                    /* enum series_kind */
};

struct entry_chunk;
struct series_cache {
    struct table by_key;
    struct entry *last; /* found last; NULL after emptying */
    struct entry_chunk *chunks;
    struct entry *free_entry;
    uint32_t n_free, n; /* in the newest chunk; in all */
    struct arena arena; /* series, names, labels, streams */
    struct table symbols;
    struct slice *symbol_texts; /* by number; owned, what they point to is in the arena */
    uint32_t n_symbols;
    uint32_t cap_symbols;
    struct table streams;
    size_t chunk_bytes;
    size_t max_bytes;
    uint64_t n_hits;
    uint64_t n_misses;
};

void series_cache_init(struct series_cache *c, size_t max_bytes);
void series_cache_fini(struct series_cache *c);
void series_cache_clear(struct series_cache *c);
size_t series_cache_bytes(const struct series_cache *c);
struct entry *series_cache_seek(struct series_cache *c, struct hash128 key);

/* NULL = never seen. */
static inline struct entry *series_cache_find(struct series_cache *c, struct hash128 key)
{
    /* Behind a chunk's last entry stands an empty one. */
    if (c->last != NULL && hash128_eq(c->last[1].key, key)) {
        c->n_hits++;
        return ++c->last;
    }
    return series_cache_seek(c, key);
}

/* The look-up goes on behind this entry. */
static inline void series_cache_expect(struct series_cache *c, const struct entry *entry)
{
    c->last = (struct entry *)(uintptr_t)entry;
}

/* Keeps the verdict (copied). *out lives until the cache is emptied. */
bool series_cache_learn(struct series_cache *c, struct hash128 key, struct slice tenant,
                        const struct verdict *v, const struct culprit *culprit, struct entry **out,
                        struct err *e) MUST_CHECK;

/* The series in full; labels are put into space, which holds n_labels. */
void series_cache_unfold(const struct series_cache *c, const struct known_series *k,
                         struct label *space, struct series *out);
