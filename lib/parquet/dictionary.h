/* The distinct values of a column in a row group, numbered as they come: Parquet's dictionary page.
 * Fixed-width values are told apart by their bits, so that NaN payloads and -0.0 survive. */
#pragma once

#include "base/buf.h"

#define DICTIONARY_NONE UINT32_MAX

enum { N_RECENT = 256 };

/* Where a value's bytes lie in a buf that may move. */
struct text_ref {
    uint32_t at;
    uint32_t len;
};

struct dictionary_slot {
    uint32_t hash;
    uint32_t id_1; /* id + 1; 0 = empty */
};

/* A value lately seen, by its address: within one append the same bytes lie there. */
struct dictionary_recent {
    const uint8_t *ptr; /* borrowed: until dictionary_forget_addresses */
    size_t len;
    uint32_t id;
};

struct dictionary {
    unsigned width; /* 0: each value has a length of 4 bytes in front */
    bool utf8;      /* new values are checked */
    bool bad_text;  /* one failed the check */
    bool failed;    /* no room */
    uint32_t n;
    struct buf values; /* the page's body */
    struct buf refs;   /* struct text_ref of each id */
    struct dictionary_slot *slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t max_slots;
    struct dictionary_recent recent[N_RECENT];
};

/* max_bytes: of each of the values, their references and the slots. */
void dictionary_init(struct dictionary *d, unsigned width, bool utf8, size_t max_bytes);
void dictionary_fini(struct dictionary *d);
/* Empties it, keeps the memory. */
void dictionary_reset(struct dictionary *d);
void dictionary_forget_addresses(struct dictionary *d);
size_t dictionary_held_bytes(const struct dictionary *d);
/* What it takes more when all that is half full doubles. */
size_t dictionary_growth_bytes(const struct dictionary *d);

/* The id of a value, which is added if it is new; DICTIONARY_NONE when it is bad or there is no
 * room, which is sticky. */
uint32_t dictionary_lookup(struct dictionary *d, struct slice value);

static inline uint32_t dictionary_id(struct dictionary *d, struct slice value)
{
    size_t k = (size_t)((uint64_t)(uintptr_t)value.ptr * UINT64_C(0x9e3779b97f4a7c15) >> 56);
    struct dictionary_recent *recent = &d->recent[k];
    if (recent->ptr == value.ptr && recent->len == value.len) {
        return recent->id;
    }
    uint32_t id = dictionary_lookup(d, value);
    if (id != DICTIONARY_NONE) {
        *recent = (struct dictionary_recent){value.ptr, value.len, id};
    }
    return id;
}

static inline struct text_ref dictionary_ref(const struct dictionary *d, uint32_t id)
{
    struct text_ref ref;
    memcpy(&ref, d->refs.ptr + (size_t)id * sizeof ref, sizeof ref);
    return ref;
}
