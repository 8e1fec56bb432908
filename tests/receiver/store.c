#include "store.h"

#include <stdlib.h>

enum { FIRST_POINTS = 4, FIRST_LIST = 256 };

void store_init(struct store *s, bool keep_histograms, size_t max_refusals)
{
    *s = (struct store){.keep_histograms = keep_histograms, .max_refusals = max_refusals};
    table_init(&s->by_key, 0, NULL);
}

static void series_free(struct series *series)
{
    for (int kind = 0; kind < N_TRACKS; kind++) {
        struct track *track = &series->tracks[kind];
        for (uint32_t i = 0; track->kept != NULL && i < track->n; i++) {
            free((void *)(uintptr_t)track->kept[i].ptr);
        }
        free(track->kept);
        free(track->points);
    }
    free(series->key);
    free(series);
}

void store_fini(struct store *s)
{
    table_fini(&s->by_key);
    for (uint32_t i = 0; i < s->n_series; i++) {
        series_free(s->list[i]);
    }
    free(s->list);
    free(s->refusals);
}

void store_reset(struct store *s)
{
    bool keep_histograms = s->keep_histograms;
    size_t max_refusals = s->max_refusals;
    store_fini(s);
    store_init(s, keep_histograms, max_refusals);
}

static struct series *series_new(struct slice key)
{
    struct series *series = calloc(1, sizeof *series);
    if (series == NULL) {
        return NULL;
    }
    series->key = malloc(key.len + 1);
    if (series->key == NULL) {
        free(series);
        return NULL;
    }
    if (key.len > 0) {
        memcpy(series->key, key.ptr, key.len);
    }
    series->key_len = (uint32_t)key.len;
    return series;
}

static bool list_grow(struct store *s)
{
    if (s->n_series < s->cap_series) {
        return true;
    }
    uint32_t cap = s->cap_series == 0 ? FIRST_LIST : s->cap_series * 2;
    struct series **list = realloc(s->list, cap * sizeof *list);
    if (list == NULL) {
        return false;
    }
    s->list = list;
    s->cap_series = cap;
    return true;
}

struct series *store_series(struct store *s, struct slice key)
{
    struct hash128 hash = hash128(key);
    struct series *series = table_find(&s->by_key, hash);
    if (series != NULL) {
        return series;
    }
    if (!list_grow(s)) {
        return NULL;
    }
    series = series_new(key);
    if (series == NULL || !table_put(&s->by_key, hash, series, sizeof *series)) {
        if (series != NULL) {
            series_free(series);
        }
        return NULL;
    }
    series->at = s->n_series;
    s->list[s->n_series++] = series;
    return series;
}

bool series_newest(const struct series *series, int64_t *t_ms, enum track_kind *kind,
                   uint64_t *bits)
{
    bool any = false;
    for (int i = 0; i < N_TRACKS; i++) {
        const struct track *track = &series->tracks[i];
        if (track->n == 0) {
            continue;
        }
        const struct point *last = &track->points[track->n - 1];
        if (!any || last->t_ms > *t_ms) {
            *t_ms = last->t_ms;
            *kind = (enum track_kind)i;
            *bits = last->bits;
            any = true;
        }
    }
    return any;
}

/* The first point that is not before t_ms. */
static uint32_t track_at(const struct track *track, int64_t t_ms)
{
    uint32_t low = 0;
    uint32_t high = track->n;
    if (high > 0 && track->points[high - 1].t_ms < t_ms) {
        return high;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (track->points[middle].t_ms < t_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct point *track_find(const struct track *track, int64_t t_ms)
{
    uint32_t at = track_at(track, t_ms);
    return at < track->n && track->points[at].t_ms == t_ms ? &track->points[at] : NULL;
}

static bool track_grow(struct track *track, bool keep)
{
    if (track->n < track->cap) {
        return true;
    }
    uint32_t cap = track->cap == 0 ? FIRST_POINTS : track->cap + track->cap / 2;
    struct point *points = realloc(track->points, cap * sizeof *points);
    if (points == NULL) {
        return false;
    }
    track->points = points;
    if (keep) {
        struct slice *kept = realloc(track->kept, cap * sizeof *kept);
        if (kept == NULL) {
            return false;
        }
        track->kept = kept;
    }
    track->cap = cap;
    return true;
}

static bool track_insert(struct track *track, const struct point *p, const struct slice *content)
{
    uint8_t *copy = NULL;
    if (content != NULL) {
        copy = malloc(content->len + 1);
        if (copy == NULL) {
            return false;
        }
        memcpy(copy, content->ptr, content->len);
    }
    if (!track_grow(track, content != NULL)) {
        free(copy);
        return false;
    }
    uint32_t at = track_at(track, p->t_ms);
    size_t n_after = track->n - at;
    memmove(track->points + at + 1, track->points + at, n_after * sizeof *track->points);
    track->points[at] = *p;
    if (content != NULL) {
        memmove(track->kept + at + 1, track->kept + at, n_after * sizeof *track->kept);
        track->kept[at] = slice_of(copy, content->len);
    }
    track->n += 1;
    return true;
}

static enum store_put point_again(struct store *s, struct point *there, uint64_t bits)
{
    if (there->bits != bits) {
        s->n_hidden += 1;
        return STORE_HIDDEN;
    }
    if (there->n_times < UINT16_MAX) {
        there->n_times += 1;
    }
    s->n_repeated += 1;
    return STORE_REPEATED;
}

enum store_put store_point(struct store *s, struct series *series, enum track_kind kind,
                           const struct point *p, struct slice content)
{
    struct track *track = &series->tracks[kind];
    int64_t newest_ms = 0;
    uint64_t newest_bits = 0;
    enum track_kind newest_kind = TRACK_SCALAR;
    bool any = series_newest(series, &newest_ms, &newest_kind, &newest_bits);
    if (any && p->t_ms <= newest_ms) {
        struct point *there = track_find(track, p->t_ms);
        if (there != NULL) {
            return point_again(s, there, p->bits);
        }
        if (track_find(&series->tracks[N_TRACKS - 1 - kind], p->t_ms) != NULL) {
            s->n_hidden += 1;
            return STORE_HIDDEN;
        }
        series->n_late += 1;
        s->n_late += 1;
    }
    bool keep = kind == TRACK_HISTOGRAM && s->keep_histograms;
    if (!track_insert(track, p, keep ? &content : NULL)) {
        return STORE_NO_MEMORY;
    }
    s->n_active += any ? 0 : 1;
    s->n_points[kind] += 1;
    if (!s->any || p->t_ms > s->max_t_ms) {
        s->any = true;
        s->max_t_ms = p->t_ms;
    }
    return STORE_NEW;
}

void store_refusal(struct store *s, const struct refusal *r)
{
    if (s->n_refusals == s->cap_refusals) {
        size_t cap = s->cap_refusals == 0 ? FIRST_LIST : s->cap_refusals * 2;
        struct refusal *list =
            s->n_refusals >= s->max_refusals ? NULL : realloc(s->refusals, cap * sizeof *list);
        if (list == NULL) {
            return;
        }
        s->refusals = list;
        s->cap_refusals = cap;
    }
    if (s->n_refusals < s->max_refusals) {
        s->refusals[s->n_refusals++] = *r;
    }
}
