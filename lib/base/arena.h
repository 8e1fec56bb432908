/* Memory that is given back all at once: one arena per batch, reset when its records are done.
 * At the ceiling arena_alloc gives NULL and the caller sheds or retries. Under AddressSanitizer
 * each piece is a malloc of its own, so that an overrun shows. */
#pragma once

#include "base/slice.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first; the first one is being filled */
    size_t used_bytes;          /* handed out since the last reset */
    size_t held_bytes;          /* taken from the system */
    size_t max_bytes;           /* ceiling of held_bytes */
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_fini(struct arena *a);
/* All pieces end here; keeps one chunk for the next round. */
void arena_reset(struct arena *a);
/* 16-byte aligned, not cleared; NULL at the ceiling. A request of 0 bytes gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t n_bytes);
/* Cleared; NULL at the ceiling or when the product overflows. */
void *arena_calloc(struct arena *a, size_t n, size_t item_bytes);
/* A copy; ptr NULL at the ceiling. */
struct slice arena_copy(struct arena *a, struct slice s);

#define ARENA_ARRAY(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type)))
