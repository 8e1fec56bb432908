#include "stage/tracker.h"

#include <assert.h>
#include <stdlib.h>

void tracker_init(struct tracker *t)
{
    *t = (struct tracker){.position = -1, .end = -1};
}

void tracker_fini(struct tracker *t)
{
    free(t->ring);
    *t = (struct tracker){.position = -1, .end = -1};
}

static struct tracker_entry *entry_at(const struct tracker *t, size_t i)
{
    return &t->ring[(t->head + i) & (t->cap - 1)];
}

static bool tracker_grow(struct tracker *t)
{
    size_t cap = t->cap == 0 ? 64 : t->cap * 2;
    struct tracker_entry *ring = calloc(cap, sizeof *ring);
    if (ring == NULL) {
        return false;
    }
    for (size_t i = 0; i < t->n; i++) {
        ring[i] = *entry_at(t, i);
    }
    free(t->ring);
    t->ring = ring;
    t->cap = cap;
    t->head = 0;
    return true;
}

static void skip_to_end(struct tracker *t)
{
    if (t->n == 0 && t->end > t->position) {
        t->position = t->end;
    }
}

bool tracker_open(struct tracker *t, int64_t offset)
{
    if (t->n == t->cap && !tracker_grow(t)) {
        return false;
    }
    if (t->n == 0) {
        t->position = offset;
    }
    *entry_at(t, t->n) = (struct tracker_entry){offset, 1};
    t->n++;
    t->n_holds++;
    return true;
}

/* Binary search: offsets rise through the ring. NULL when the record is done already. */
static struct tracker_entry *entry_find(const struct tracker *t, int64_t offset)
{
    size_t low = 0;
    size_t high = t->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (entry_at(t, mid)->offset < offset) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    struct tracker_entry *entry = low < t->n ? entry_at(t, low) : NULL;
    return entry != NULL && entry->offset == offset ? entry : NULL;
}

void tracker_hold(struct tracker *t, int64_t offset)
{
    struct tracker_entry *entry = entry_find(t, offset);
    assert(entry != NULL && entry->holds > 0);
    entry->holds++;
    t->n_holds++;
}

void tracker_release(struct tracker *t, int64_t offset)
{
    struct tracker_entry *entry = entry_find(t, offset);
    assert(entry != NULL && entry->holds > 0);
    entry->holds--;
    t->n_holds--;
    while (t->n > 0 && entry_at(t, 0)->holds == 0) {
        t->position = entry_at(t, 0)->offset + 1;
        t->head = (t->head + 1) & (t->cap - 1);
        t->n--;
    }
    if (t->n > 0) {
        t->position = entry_at(t, 0)->offset;
    }
    skip_to_end(t);
}

void tracker_skip(struct tracker *t, int64_t offset)
{
    t->end = offset;
    skip_to_end(t);
}
