#include "parquet/dictionary.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/utf8.h"

enum { FIRST_SLOTS = 64 };

void dictionary_forget_addresses(struct dictionary *d)
{
    for (size_t i = 0; i < N_RECENT; i++) {
        d->recent[i] = (struct dictionary_recent){NULL, SIZE_MAX, 0};
    }
}

void dictionary_init(struct dictionary *d, unsigned width, bool utf8, size_t max_bytes)
{
    *d = (struct dictionary){.width = width, .utf8 = utf8};
    d->max_slots = max_bytes / sizeof *d->slots;
    buf_init(&d->values, max_bytes);
    buf_init(&d->refs, max_bytes);
    dictionary_forget_addresses(d);
}

void dictionary_fini(struct dictionary *d)
{
    buf_fini(&d->values);
    buf_fini(&d->refs);
    free(d->slots);
    d->slots = NULL;
    d->n_slots = 0;
}

void dictionary_reset(struct dictionary *d)
{
    d->n = 0;
    d->bad_text = d->failed = false;
    buf_reset(&d->values);
    buf_reset(&d->refs);
    if (d->slots != NULL) {
        memset(d->slots, 0, d->n_slots * sizeof *d->slots);
    }
    dictionary_forget_addresses(d);
}

size_t dictionary_held_bytes(const struct dictionary *d)
{
    return d->values.cap + d->refs.cap + d->n_slots * sizeof *d->slots;
}

size_t dictionary_growth_bytes(const struct dictionary *d)
{
    size_t n_bytes = d->values.len > d->values.cap / 2 ? d->values.cap : 0;
    n_bytes += d->refs.len > d->refs.cap / 2 ? d->refs.cap : 0;
    /* While the slots move to twice the room, the old ones are there, too. */
    return n_bytes + (d->n > d->n_slots / 4 ? 2 * d->n_slots * sizeof *d->slots : 0);
}

static bool slots_grow(struct dictionary *d)
{
    size_t n = d->n_slots == 0 ? FIRST_SLOTS : d->n_slots * 2;
    struct dictionary_slot *slots = n > d->max_slots ? NULL : calloc(n, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < d->n_slots; i++) {
        if (d->slots[i].id_1 != 0) {
            size_t k = d->slots[i].hash & (n - 1);
            while (slots[k].id_1 != 0) {
                k = (k + 1) & (n - 1);
            }
            slots[k] = d->slots[i];
        }
    }
    free(d->slots);
    d->slots = slots;
    d->n_slots = n;
    return true;
}

static uint32_t hash_of(const struct dictionary *d, struct slice value)
{
    if (d->width == 0) {
        return (uint32_t)hash64_seeded(value, 0);
    }
    uint64_t v = 0;
    memcpy(&v, value.ptr, d->width);
    v = (v ^ v >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(v >> 32);
}

static uint32_t add(struct dictionary *d, struct slice value, struct dictionary_slot *slot,
                    uint32_t hash)
{
    if (d->utf8 && !utf8_valid(value)) {
        d->bad_text = true;
        return DICTIONARY_NONE;
    }
    if (value.len > UINT32_MAX / 2) {
        d->failed = true;
        return DICTIONARY_NONE;
    }
    if (d->width == 0) {
        buf_le32(&d->values, (uint32_t)value.len);
    }
    struct text_ref ref = {(uint32_t)d->values.len, (uint32_t)value.len};
    buf_put_slice(&d->values, value);
    buf_put(&d->refs, &ref, sizeof ref);
    if (!buf_ok(&d->values) || !buf_ok(&d->refs)) {
        d->failed = true;
        return DICTIONARY_NONE;
    }
    *slot = (struct dictionary_slot){hash, ++d->n};
    return d->n - 1;
}

uint32_t dictionary_lookup(struct dictionary *d, struct slice value)
{
    if (d->failed || (d->n >= d->n_slots / 2 && !slots_grow(d))) {
        d->failed = true;
        return DICTIONARY_NONE;
    }
    uint32_t hash = hash_of(d, value);
    for (size_t k = hash & (d->n_slots - 1);; k = (k + 1) & (d->n_slots - 1)) {
        struct dictionary_slot *slot = &d->slots[k];
        if (slot->id_1 == 0) {
            return add(d, value, slot, hash);
        }
        if (slot->hash == hash) {
            struct text_ref ref = dictionary_ref(d, slot->id_1 - 1);
            if (slice_eq(slice_of(d->values.ptr + ref.at, ref.len), value)) {
                return slot->id_1 - 1;
            }
        }
    }
}
