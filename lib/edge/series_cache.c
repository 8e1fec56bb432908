#include "edge/series_cache.h"

#include <stdlib.h>

enum { CHUNK_ENTRIES = 1024 };

struct entry_chunk {
    struct entry_chunk *next;
    struct entry entries[CHUNK_ENTRIES + 1]; /* the last one stays empty */
};

void series_cache_init(struct series_cache *c, size_t max_bytes)
{
    *c = (struct series_cache){.max_bytes = max_bytes};
    table_init(&c->by_key, 0, NULL);
    table_init(&c->symbols, 0, NULL);
    table_init(&c->streams, 0, NULL);
    arena_init(&c->arena, SIZE_MAX);
}

static void chunks_free(struct series_cache *c)
{
    while (c->chunks != NULL) {
        struct entry_chunk *next = c->chunks->next;
        free(c->chunks);
        c->chunks = next;
    }
    c->chunk_bytes = 0;
    c->n_free = 0;
    c->n = 0;
    c->last = NULL;
}

/* Gives all memory back: what stayed would count against the ceiling. */
void series_cache_clear(struct series_cache *c)
{
    chunks_free(c);
    table_fini(&c->by_key);
    table_fini(&c->symbols);
    table_fini(&c->streams);
    arena_reset(&c->arena);
    free(c->symbol_texts);
    c->symbol_texts = NULL;
    c->n_symbols = 0;
    c->cap_symbols = 0;
}

void series_cache_fini(struct series_cache *c)
{
    series_cache_clear(c);
    arena_fini(&c->arena);
}

size_t series_cache_bytes(const struct series_cache *c)
{
    return c->chunk_bytes + c->by_key.cost_bytes + c->symbols.cost_bytes + c->streams.cost_bytes +
           c->arena.used_bytes + c->cap_symbols * sizeof *c->symbol_texts;
}

struct entry *series_cache_seek(struct series_cache *c, struct hash128 key)
{
    struct entry *entry = table_find(&c->by_key, key);
    if (entry == NULL) {
        c->n_misses++;
        return NULL;
    }
    c->n_hits++;
    c->last = entry;
    return entry;
}

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

static struct entry *entry_new(struct series_cache *c)
{
    if (c->n_free == 0) {
        struct entry_chunk *chunk = calloc(1, sizeof *chunk);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->next = c->chunks;
        c->chunks = chunk;
        c->chunk_bytes += sizeof *chunk;
        c->free_entry = chunk->entries;
        c->n_free = CHUNK_ENTRIES;
    }
    c->n_free--;
    struct entry *entry = c->free_entry++;
    entry->index = c->n++;
    return entry;
}

/* The text's number, plus one in the table, since that holds no zero. */
static bool symbol_of(struct series_cache *c, struct slice text, uint32_t *out)
{
    struct hash128 key = hash128_seeded(text, 1);
    uintptr_t found = (uintptr_t)table_find(&c->symbols, key);
    if (found != 0) {
        *out = (uint32_t)(found - 1);
        return true;
    }
    if (c->n_symbols == c->cap_symbols) {
        uint32_t cap = c->cap_symbols == 0 ? 1024 : c->cap_symbols * 2;
        struct slice *texts = reallocarray(c->symbol_texts, cap, sizeof *texts);
        if (texts == NULL) {
            return false;
        }
        c->symbol_texts = texts;
        c->cap_symbols = cap;
    }
    struct slice copy = arena_copy(&c->arena, text);
    uint32_t number = c->n_symbols;
    if (copy.ptr == NULL || !table_put(&c->symbols, key, (void *)((uintptr_t)number + 1), 0)) {
        return false;
    }
    c->symbol_texts[number] = copy;
    c->n_symbols++;
    *out = number;
    return true;
}

static bool interned(struct series_cache *c, struct slice text, struct slice *out)
{
    uint32_t number;
    if (!symbol_of(c, text, &number)) {
        return false;
    }
    *out = c->symbol_texts[number];
    return true;
}

static struct stream *stream_of(struct series_cache *c, struct slice tenant,
                                const struct verdict *v)
{
    uint64_t salt = hash64_seeded(tenant, (uint64_t)v->class + 2);
    struct hash128 key = hash128_seeded(v->source_name, salt);
    struct stream *stream = table_find(&c->streams, key);
    if (stream != NULL) {
        return stream;
    }
    stream = arena_calloc(&c->arena, 1, sizeof *stream);
    if (stream == NULL || !interned(c, tenant, &stream->tenant) ||
        !interned(c, v->source_name, &stream->name)) {
        return NULL;
    }
    stream->class = v->class;
    stream->source = source_id(tenant, v->source_name);
    return table_put(&c->streams, key, stream, 0) ? stream : NULL;
}

static const struct known_series *known_new(struct series_cache *c, const struct verdict *v)
{
    const struct series *s = &v->series;
    struct known_series *k = arena_alloc(&c->arena, sizeof *k);
    uint32_t(*labels)[2] = arena_alloc(&c->arena, s->n_labels * sizeof *labels);
    struct slice bounds =
        arena_copy(&c->arena, slice_of(s->bounds, s->n_bounds * sizeof *s->bounds));
    if (k == NULL || labels == NULL || bounds.ptr == NULL) {
        return NULL;
    }
    *k = (struct known_series){.id = s->id,
                               .labels = (const uint32_t(*)[2])labels,
                               .bounds = (const void *)bounds.ptr,
                               .stripped = v->stripped,
                               .n_labels = s->n_labels,
                               .n_bounds = s->n_bounds,
                               .kind = s->kind,
                               .delta = s->delta};
    if (!interned(c, s->metric, &k->metric) || !interned(c, s->unit, &k->unit)) {
        return NULL;
    }
    for (uint32_t i = 0; i < s->n_labels; i++) {
        if (!symbol_of(c, s->labels[i].name, &labels[i][0]) ||
            !symbol_of(c, s->labels[i].value, &labels[i][1])) {
            return NULL;
        }
    }
    return k;
}

static const struct culprit *culprit_new(struct series_cache *c, const struct culprit *from)
{
    struct culprit *culprit = arena_alloc(&c->arena, sizeof *culprit);
    if (culprit == NULL) {
        return NULL;
    }
    *culprit = *from;
    struct culprit_label *more =
        from->n_more == 0 ? NULL : arena_alloc(&c->arena, from->n_more * sizeof *more);
    if (from->n_more > 0 && more == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < from->n_more; i++) {
        more[i] = from->more[i];
        if (!interned(c, from->more[i].label, &more[i].label)) {
            return NULL;
        }
    }
    culprit->more = more;
    return interned(c, from->label, &culprit->label) ? culprit : NULL;
}

bool series_cache_learn(struct series_cache *c, struct hash128 key, struct slice tenant,
                        const struct verdict *v, const struct culprit *culprit, struct entry **out,
                        struct err *e)
{
    struct stream *stream = NULL;
    const struct known_series *known = NULL;
    const struct culprit *kept = NULL;
    if (v->reason == REASON_NONE) {
        stream = stream_of(c, tenant, v);
        known = known_new(c, v);
        if (stream == NULL || known == NULL) {
            return no_memory(e);
        }
    } else if (culprit->label.len > 0 || culprit->detail != NULL) {
        kept = culprit_new(c, culprit);
        if (kept == NULL) {
            return no_memory(e);
        }
    }
    struct entry *entry = entry_new(c);
    if (entry == NULL) {
        return no_memory(e);
    }
    uint32_t index = entry->index;
    *entry = (struct entry){.key = key,
                            .stream = stream,
                            .known = known,
                            .culprit = kept,
                            .index = index,
                            .reason = (uint16_t)v->reason,
                            .kind = (uint16_t)v->series.kind};
    if (!table_put(&c->by_key, key, entry, 0)) {
        return no_memory(e);
    }
    c->last = entry;
    *out = entry;
    return true;
}

void series_cache_unfold(const struct series_cache *c, const struct known_series *k,
                         struct label *space, struct series *out)
{
    for (uint32_t i = 0; i < k->n_labels; i++) {
        space[i] =
            (struct label){c->symbol_texts[k->labels[i][0]], c->symbol_texts[k->labels[i][1]]};
    }
    *out = (struct series){.metric = k->metric,
                           .unit = k->unit,
                           .kind = k->kind,
                           .delta = k->delta,
                           .n_labels = k->n_labels,
                           .n_bounds = k->n_bounds,
                           .labels = space,
                           .bounds = k->bounds,
                           .id = k->id};
}
