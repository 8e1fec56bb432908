#include "stream.h"

#include <math.h>
#include <stdlib.h>

enum { FIRST_SLOTS = 8 };

static struct slice slice_dup(struct slice s)
{
    uint8_t *p = malloc(s.len + 1);
    if (p != NULL && s.len > 0) {
        memcpy(p, s.ptr, s.len);
    }
    return slice_of(p, s.len);
}

static void slice_free(struct slice s)
{
    free((void *)(uintptr_t)s.ptr);
}

struct hash128 stream_key(struct slice tenant, enum batch_class class, uint64_t source)
{
    return (struct hash128){source ^ ((uint64_t) class << 62), hash64(tenant) + (uint64_t) class};
}

struct stream *stream_new(struct hash128 key, struct slice tenant, enum batch_class class,
                          uint64_t source, struct slice source_name)
{
    struct stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->key = key;
    s->class = class;
    s->source = source;
    s->tenant = slice_dup(tenant);
    s->source_name = slice_dup(source_name);
    s->closed_end_ms = s->row_ms = s->watermark_ms = s->last_log_ms = NEVER;
    s->closed_at = -1;
    s->n_bytes = sizeof *s + tenant.len + source_name.len + 2;
    if (s->tenant.ptr == NULL || s->source_name.ptr == NULL) {
        stream_free(s);
        return NULL;
    }
    return s;
}

void stream_name(struct stream *s, struct slice source_name)
{
    struct slice name = slice_dup(source_name);
    if (name.ptr != NULL) {
        slice_free(s->source_name);
        s->source_name = name;
    }
}

void stream_free(struct stream *s)
{
    if (s == NULL) {
        return;
    }
    while (s->n_windows > 0) {
        stream_window_drop(s);
    }
    if (s->five_shape != NULL) {
        shape_unref(s, s->five_shape);
    }
    for (uint32_t i = 0; i < s->n_slots; i++) {
        if (slot_is_packed(&s->slots[i])) {
            free(s->slots[i].packed);
        }
        shape_unref(s, s->slots[i].shape);
    }
    for (uint32_t i = 0; i < s->n_recent; i++) {
        shape_unref(s, s->recent[i]);
    }
    late_fini(&s->late);
    free(s->five);
    free(s->windows);
    free(s->slots);
    free(s->index);
    slice_free(s->tenant);
    slice_free(s->source_name);
    free(s);
}

/* ---- shapes ---- */

static size_t shape_cost(const struct known_shape *k)
{
    return sizeof *k + k->bytes.len +
           (k->ordinals == NULL ? 1 : 2) * (size_t)k->n_series * sizeof *k->slots;
}

void shape_ref(struct known_shape *k)
{
    k->n_refs++;
}

void shape_unref(struct stream *s, struct known_shape *k)
{
    if (--k->n_refs > 0) {
        return;
    }
    s->n_bytes -= shape_cost(k);
    slice_free(k->bytes);
    free(k->slots);
    free(k);
}

static void recent_put(struct stream *s, struct known_shape *k, uint32_t from)
{
    memmove(s->recent + 1, s->recent, from * sizeof *s->recent);
    s->recent[0] = k;
}

struct known_shape *stream_shape_find(struct stream *s, struct slice bytes)
{
    for (uint32_t i = 0; i < s->n_recent; i++) {
        struct known_shape *k = s->recent[i];
        if (!k->is_stale && slice_eq(k->bytes, bytes)) {
            recent_put(s, k, i);
            return k;
        }
    }
    return NULL;
}

static void recent_add(struct stream *s, struct known_shape *k)
{
    shape_ref(k);
    if (s->n_recent == MAX_RECENT_SHAPES) {
        shape_unref(s, s->recent[--s->n_recent]);
    }
    recent_put(s, k, s->n_recent++);
}

static struct known_shape *known_new(const struct shape *shape)
{
    struct known_shape *k = calloc(1, sizeof *k);
    bool is_plain = shape->n_exp + shape->n_classic == 0;
    if (k == NULL) {
        return NULL;
    }
    k->bytes = slice_dup(shape->bytes);
    k->slots = calloc((size_t)shape->n_series * (is_plain ? 1 : 2) + 1, sizeof *k->slots);
    if (k->bytes.ptr == NULL || k->slots == NULL) {
        slice_free(k->bytes);
        free(k->slots);
        free(k);
        return NULL;
    }
    k->n_series = shape->n_series;
    k->n_scalars = shape->n_scalars;
    k->n_exp = shape->n_exp;
    k->n_classic = shape->n_classic;
    k->ordinals = is_plain ? NULL : k->slots + shape->n_series;
    return k;
}

/* ---- slots ---- */

static struct hash128 series_key(const struct series *r)
{
    struct hash128 key = r->id;
    struct hash128 more = hash128(slice_of(r->bounds, r->n_bounds * sizeof *r->bounds));
    uint64_t unit = hash64(r->unit) + (uint64_t)r->kind * 2 + r->delta;
    key.lo ^= more.lo + unit * UINT64_C(0x9e3779b97f4a7c15);
    key.hi ^= more.hi ^ unit;
    return key;
}

/* Seeded, so that nobody can aim many series at one place. */
static uint32_t slot_home(const struct stream *s, const struct hash128 *key)
{
    return (uint32_t)hash64_seeded(slice_of(key, sizeof *key), 0) & (s->n_index - 1);
}

void stream_index_put(struct stream *s, uint32_t slot)
{
    uint32_t i = slot_home(s, &s->slots[slot].key);
    while (s->index[i] != 0) {
        i = (i + 1) & (s->n_index - 1);
    }
    s->index[i] = slot + 1;
}

static bool index_fit(struct stream *s, uint32_t n_slots)
{
    uint32_t n = s->n_index == 0 ? 2 * FIRST_SLOTS : s->n_index;
    while (n_slots > n / 4 * 3) {
        n *= 2;
    }
    if (n == s->n_index) {
        return true;
    }
    uint32_t *index = calloc(n, sizeof *index);
    if (index == NULL) {
        return false;
    }
    free(s->index);
    s->n_bytes += (n - s->n_index) * sizeof *index;
    s->index = index;
    s->n_index = n;
    for (uint32_t i = 0; i < s->n_slots; i++) {
        stream_index_put(s, i);
    }
    return true;
}

static bool slots_fit(struct stream *s, uint32_t n)
{
    if (n <= s->cap_slots) {
        return index_fit(s, n);
    }
    uint32_t grown = s->cap_slots + s->cap_slots / 4;
    uint32_t cap = n > grown ? n : grown; /* a stream's first shape is mostly all that it has */
    struct slot *slots = reallocarray(s->slots, cap, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    s->n_bytes += (cap - s->cap_slots) * sizeof *slots;
    s->slots = slots;
    s->cap_slots = cap;
    return index_fit(s, n);
}

static int64_t slot_find(const struct stream *s, struct hash128 key)
{
    if (s->n_index == 0) {
        return NO_SLOT;
    }
    for (uint32_t i = slot_home(s, &key); s->index[i] != 0; i = (i + 1) & (s->n_index - 1)) {
        if (hash128_eq(s->slots[s->index[i] - 1].key, key)) {
            return s->index[i] - 1;
        }
    }
    return NO_SLOT;
}

static uint32_t slot_add(struct stream *s, struct hash128 key, const struct series *r)
{
    struct slot *slot = &s->slots[s->n_slots];
    *slot = (struct slot){.key = key,
                          .row_ms = NEVER,
                          .kind = (uint8_t)r->kind,
                          .delta = r->delta,
                          .n_bounds = (uint16_t)r->n_bounds};
    if (!slot_is_packed(slot)) {
        slot->last = (double)NAN;
    }
    stream_index_put(s, s->n_slots);
    return s->n_slots++;
}

static uint32_t new_series(const struct stream *s, const struct shape *shape)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < shape->n_series; i++) {
        n += slot_find(s, series_key(&shape->series[i])) == NO_SLOT;
    }
    return n;
}

struct known_shape *stream_shape_add(struct stream *s, const struct shape *shape)
{
    struct known_shape *k = known_new(shape);
    if (k == NULL || !slots_fit(s, s->n_slots + new_series(s, shape))) {
        if (k != NULL) {
            slice_free(k->bytes);
            free(k->slots);
            free(k);
        }
        return NULL;
    }
    s->n_bytes += shape_cost(k);
    recent_add(s, k);
    uint32_t n_of[3] = {0}; /* scalars, exponential, classic */
    for (uint32_t i = 0; i < shape->n_series; i++) {
        const struct series *r = &shape->series[i];
        struct hash128 key = series_key(r);
        int64_t found = slot_find(s, key);
        uint32_t at = found == NO_SLOT ? slot_add(s, key, r) : (uint32_t)found;
        struct slot *slot = &s->slots[at];
        shape_ref(k);
        if (slot->shape != NULL) {
            shape_unref(s, slot->shape);
        }
        slot->shape = k;
        slot->index = i;
        k->slots[i] = at;
        if (k->ordinals != NULL) {
            int column = r->kind == SERIES_EXP_HISTOGRAM       ? 1
                         : r->kind == SERIES_CLASSIC_HISTOGRAM ? 2
                                                               : 0;
            k->ordinals[i] = n_of[column]++;
        }
    }
    return k;
}

bool slot_set_packed(struct stream *s, struct slot *slot, struct slice total, struct slice last)
{
    size_t n = total.len + last.len;
    size_t had = (size_t)slot->n_total_bytes + slot->n_last_bytes;
    if (n != had || slot->packed == NULL) {
        uint8_t *packed = malloc(n + 1);
        if (packed == NULL) {
            return false;
        }
        free(slot->packed);
        slot->packed = packed;
        s->n_bytes += n - had;
    }
    memcpy(slot->packed, total.ptr, total.len);
    memcpy(slot->packed + total.len, last.ptr, last.len);
    slot->n_total_bytes = (uint32_t)total.len;
    slot->n_last_bytes = (uint32_t)last.len;
    return true;
}
