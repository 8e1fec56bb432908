#include "base/arena.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_PIECEWISE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_PIECEWISE 1
#endif
#endif
#ifndef ARENA_PIECEWISE
#define ARENA_PIECEWISE 0
#endif

enum { ALIGN = 16, FIRST_CHUNK = 64 * 1024, LARGEST_STEP = 4 * 1024 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t cap;
    size_t used;
    size_t pad;
    uint8_t bytes[];
};

_Static_assert(sizeof(struct arena_chunk) % ALIGN == 0, "pieces must start aligned");

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){.max_bytes = max_bytes};
}

static void chunk_free_from(struct arena *a, struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        a->held_bytes -= chunk->cap + sizeof *chunk;
        free(chunk);
        chunk = next;
    }
}

void arena_fini(struct arena *a)
{
    chunk_free_from(a, a->chunks);
    a->chunks = NULL;
    a->used_bytes = 0;
}

void arena_reset(struct arena *a)
{
    a->used_bytes = 0;
    if (a->chunks == NULL) {
        return;
    }
    if (ARENA_PIECEWISE || a->chunks->cap > LARGEST_STEP) {
        chunk_free_from(a, a->chunks);
        a->chunks = NULL;
        return;
    }
    chunk_free_from(a, a->chunks->next);
    a->chunks->next = NULL;
    a->chunks->used = 0;
}

static struct arena_chunk *chunk_add(struct arena *a, size_t n_bytes)
{
    size_t cap = a->chunks == NULL ? FIRST_CHUNK : a->chunks->cap * 2;
    if (cap > LARGEST_STEP) {
        cap = LARGEST_STEP;
    }
    if (cap < n_bytes || ARENA_PIECEWISE) {
        cap = n_bytes;
    }
    size_t left = a->max_bytes > a->held_bytes ? a->max_bytes - a->held_bytes : 0;
    if (cap + sizeof(struct arena_chunk) > left) {
        cap = n_bytes; /* the last bit before the ceiling */
    }
    if (n_bytes > SIZE_MAX / 2 || cap + sizeof(struct arena_chunk) > left) {
        return NULL;
    }
    struct arena_chunk *chunk = malloc(sizeof *chunk + cap);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->next = a->chunks;
    chunk->cap = cap;
    chunk->used = 0;
    a->chunks = chunk;
    a->held_bytes += sizeof *chunk + cap;
    return chunk;
}

void *arena_alloc(struct arena *a, size_t n_bytes)
{
    size_t want = ARENA_PIECEWISE ? n_bytes : (n_bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (want < n_bytes) {
        return NULL;
    }
    struct arena_chunk *chunk = a->chunks;
    if (ARENA_PIECEWISE || chunk == NULL || want > chunk->cap - chunk->used) {
        chunk = chunk_add(a, want);
        if (chunk == NULL) {
            return NULL;
        }
    }
    void *p = chunk->bytes + chunk->used;
    chunk->used += want;
    a->used_bytes += want;
    return p;
}

void *arena_calloc(struct arena *a, size_t n, size_t item_bytes)
{
    size_t n_bytes;
    if (__builtin_mul_overflow(n, item_bytes, &n_bytes)) {
        return NULL;
    }
    void *p = arena_alloc(a, n_bytes);
    if (p != NULL) {
        memset(p, 0, n_bytes);
    }
    return p;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    uint8_t *p = arena_alloc(a, s.len);
    if (p == NULL) {
        return SLICE_NONE;
    }
    if (s.len > 0) {
        memcpy(p, s.ptr, s.len);
    }
    return slice_of(p, s.len);
}
