#include <stdlib.h>

#include "stream.h"

static size_t scrape_cost(const struct scrape *x)
{
    const struct known_shape *k = x->shape;
    size_t n_times = (x->times == NULL ? 0u : 1u) + (x->starts == NULL ? 0u : 1u);
    uint32_t n_packed = k->n_exp + k->n_classic;
    return sizeof *x + n_times * k->n_series * sizeof(int64_t) +
           (size_t)k->n_scalars * sizeof(double) +
           (n_packed == 0 ? 0 : (n_packed + 1) * sizeof(uint32_t) + x->at[n_packed]);
}

static void *part_take(uint8_t **at, const void *bytes, size_t n_bytes)
{
    void *part = *at;
    if (n_bytes > 0) {
        memcpy(part, bytes, n_bytes);
    }
    *at += n_bytes;
    return part;
}

struct scrape *scrape_new(struct stream *s, struct known_shape *k, const struct batch *b,
                          const int64_t *times, const int64_t *starts, const uint32_t *at)
{
    uint32_t n_packed = k->n_exp + k->n_classic;
    size_t n_times_bytes = k->n_series * sizeof *times;
    size_t n_at_bytes = n_packed == 0 ? 0 : (n_packed + 1) * sizeof *at;
    size_t n_packed_bytes = b->exp.len + b->classic.len;
    struct scrape *x =
        malloc(sizeof *x + (times == NULL ? 0 : n_times_bytes) +
               (starts == NULL ? 0 : n_times_bytes) + b->values.len + n_at_bytes + n_packed_bytes);
    if (x == NULL) {
        return NULL;
    }
    *x = (struct scrape){
        .shape = k, .time_ms = b->times.base_ms, .start_ms = b->starts.base_ms, .n_refs = 1};
    uint8_t *p = x->data;
    x->times = times == NULL ? NULL : part_take(&p, times, n_times_bytes);
    x->starts = starts == NULL ? NULL : part_take(&p, starts, n_times_bytes);
    x->values = part_take(&p, b->values.ptr, b->values.len);
    x->at = part_take(&p, at, n_at_bytes);
    x->packed = part_take(&p, b->exp.ptr, b->exp.len);
    (void)part_take(&p, b->classic.ptr, b->classic.len);
    shape_ref(k);
    s->n_bytes += scrape_cost(x);
    return x;
}

void scrape_unref(struct stream *s, struct scrape *x)
{
    if (--x->n_refs == 0) {
        s->n_bytes -= scrape_cost(x);
        shape_unref(s, x->shape);
        free(x);
    }
}

static void *array_room(void *items, uint32_t n, uint32_t *cap, uint32_t first, size_t item_bytes)
{
    if (n < *cap) {
        return items;
    }
    uint32_t want = *cap == 0 ? first : *cap * 2;
    void *grown = reallocarray(items, want, item_bytes);
    if (grown != NULL) {
        *cap = want;
    }
    return grown;
}

struct window *stream_window(struct stream *s, int64_t start_ms, bool *is_new)
{
    uint32_t at = s->n_windows;
    while (at > 0 && s->windows[at - 1].start_ms > start_ms) {
        at--;
    }
    *is_new = at == 0 || s->windows[at - 1].start_ms != start_ms;
    if (!*is_new) {
        return &s->windows[at - 1];
    }
    struct window *windows =
        array_room(s->windows, s->n_windows, &s->cap_windows, 2, sizeof *windows);
    if (windows == NULL) {
        return NULL;
    }
    s->windows = windows;
    memmove(windows + at + 1, windows + at, (s->n_windows - at) * sizeof *windows);
    windows[at] = (struct window){.start_ms = start_ms};
    s->n_windows++;
    return &windows[at];
}

bool window_add(struct window *w, struct scrape *x)
{
    struct scrape **scrapes = array_room(w->scrapes, w->n_scrapes, &w->cap, 8, sizeof *scrapes);
    if (scrapes == NULL) {
        return false;
    }
    w->scrapes = scrapes;
    w->scrapes[w->n_scrapes++] = x;
    x->n_refs++;
    return true;
}

void stream_window_drop(struct stream *s)
{
    struct window *w = &s->windows[0];
    for (uint32_t i = 0; i < w->n_scrapes; i++) {
        scrape_unref(s, w->scrapes[i]);
    }
    free(w->scrapes);
    s->n_windows--;
    memmove(s->windows, s->windows + 1, s->n_windows * sizeof *s->windows);
}
