#include <stdlib.h>

#include "stream.h"

static void slots_mark(const struct known_shape *k, bool *is_used)
{
    for (uint32_t i = 0; i < k->n_series; i++) {
        is_used[k->slots[i]] = true;
    }
}

/* New numbers for the slots that stay; those that go are freed. */
static uint32_t slots_renumber(struct stream *s, const bool *is_used, int64_t min_row_ms,
                               uint32_t *number)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_slots; i++) {
        struct slot *slot = &s->slots[i];
        if (is_used[i] || slot->row_ms >= min_row_ms) {
            number[i] = n;
            s->slots[n++] = *slot;
            continue;
        }
        number[i] = UINT32_MAX;
        if (slot_is_packed(slot)) {
            s->n_bytes -= (size_t)slot->n_total_bytes + slot->n_last_bytes;
            free(slot->packed);
        }
        shape_unref(s, slot->shape);
    }
    return n;
}

static void shape_renumber(struct known_shape *k, const uint32_t *number)
{
    for (uint32_t i = 0; i < k->n_series; i++) {
        uint32_t to = number[k->slots[i]];
        k->is_stale |= to == UINT32_MAX;
        k->slots[i] = to;
    }
}

static void shape_list(struct known_shape *k, struct known_shape **list, uint32_t *n)
{
    if (k != NULL && !k->is_listed && !k->is_stale) {
        k->is_listed = true;
        list[(*n)++] = k;
    }
}

/* Each shape that slots, the recent ones and the 5 m row refer to, once. */
static uint32_t shapes_list(const struct stream *s, struct known_shape **list)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_slots; i++) {
        shape_list(s->slots[i].shape, list, &n);
    }
    for (uint32_t i = 0; i < s->n_recent; i++) {
        shape_list(s->recent[i], list, &n);
    }
    shape_list(s->five_shape, list, &n);
    for (uint32_t i = 0; i < n; i++) {
        list[i]->is_listed = false;
    }
    return n;
}

static void stream_renumber(struct stream *s, int64_t min_row_ms, bool *is_used, uint32_t *number,
                            struct known_shape **list)
{
    for (uint32_t w = 0; w < s->n_windows; w++) {
        for (uint32_t i = 0; i < s->windows[w].n_scrapes; i++) {
            slots_mark(s->windows[w].scrapes[i]->shape, is_used);
        }
    }
    for (uint32_t i = 0; i < s->late.n; i++) {
        is_used[s->late.points[i].slot] = true;
    }
    uint32_t n_shapes = shapes_list(s, list);
    for (uint32_t i = 0; i < n_shapes;
         i++) { /* windows' shapes are among them: windows_are_listed */
        shape_ref(list[i]);
    }
    uint32_t n = slots_renumber(s, is_used, min_row_ms, number);
    for (uint32_t i = 0; i < n_shapes; i++) {
        shape_renumber(list[i], number);
        shape_unref(s, list[i]);
    }
    for (uint32_t i = 0; i < s->late.n; i++) {
        s->late.points[i].slot = number[s->late.points[i].slot];
    }
    s->n_slots = n;
    memset(s->index, 0, s->n_index * sizeof *s->index);
    for (uint32_t i = 0; i < n; i++) {
        stream_index_put(s, i);
    }
}

/* All shapes of open windows must be among slots' and recent ones. */
static bool windows_are_listed(const struct stream *s)
{
    for (uint32_t w = 0; w < s->n_windows; w++) {
        for (uint32_t i = 0; i < s->windows[w].n_scrapes; i++) {
            const struct known_shape *k = s->windows[w].scrapes[i]->shape;
            bool found = false;
            for (uint32_t j = 0; !found && j < s->n_recent; j++) {
                found = s->recent[j] == k;
            }
            if (!found) {
                return false;
            }
        }
    }
    return true;
}

void stream_sweep(struct stream *s, int64_t min_row_ms)
{
    uint32_t n_old = 0;
    for (uint32_t i = 0; i < s->n_slots; i++) {
        n_old += s->slots[i].row_ms < min_row_ms;
    }
    if (n_old <= s->n_slots / 4 || !windows_are_listed(s)) {
        return;
    }
    bool *is_used = calloc(s->n_slots, sizeof *is_used);
    uint32_t *number = calloc(s->n_slots, sizeof *number);
    struct known_shape **list = calloc((size_t)s->n_slots + s->n_recent + 1, sizeof *list);
    if (is_used != NULL && number != NULL && list != NULL) { /* without memory: another time */
        stream_renumber(s, min_row_ms, is_used, number, list);
    }
    free(is_used);
    free(number);
    free(list);
}
