#include "edge/lines.h"

#include <stdlib.h>

#include "edge/pass.h"
#include "wire/protobuf.h"

enum {
    HOLE = 8,
    TAG_VALUE = PB_TAG(1, PB_I64),
    TAG_TIME = PB_TAG(2, PB_VARINT),
    MAX_LINE_BYTES = 1 << 16,
    MAX_TIME_BYTES = 9, /* 63 bits: no time before 1970 */
    FIRST_LINES = 1024
};

struct line {
    uint8_t *raw;
    uint32_t n_bytes;
    uint32_t cap;
    uint32_t time; /* where the holes are */
    uint8_t n_time;
    bool has_value; /* 9 bytes before the time; without it the value is 0 */
    uint32_t n_cold; /* misses since the last hit */
    const struct entry *entry;
    struct line *next; /* what came behind it last time; NULL = not known */
    struct hash128 symbols;
    int64_t start_ms;
};

void lines_init(struct lines *l, size_t max_bytes)
{
    *l = (struct lines){.max_bytes = max_bytes};
    arena_init(&l->arena, SIZE_MAX);
}

void lines_clear(struct lines *l)
{
    free(l->by_entry);
    l->by_entry = NULL;
    l->n_by_entry = 0;
    arena_reset(&l->arena);
    l->fullness = (struct fullness){.is_full = false};
    l->last = NULL;
    line_spoil(l);
}

void lines_fini(struct lines *l)
{
    lines_clear(l);
    arena_fini(&l->arena);
}

size_t lines_bytes(const struct lines *l)
{
    return l->arena.used_bytes + l->n_by_entry * sizeof(struct line *);
}

void lines_begin(struct lines *l, struct hash128 symbols, bool says_all)
{
    if (fullness_look(&l->fullness, lines_bytes(l) > l->max_bytes, l->n_hits, l->n_misses)) {
        lines_clear(l);
    }
    l->symbols = symbols;
    l->is_off = !says_all;
    l->last = NULL;
    line_spoil(l);
}

/* ---- reading ---- */

/* False: not a varint of exactly n bytes. */
static inline bool time_read(const uint8_t *at, uint32_t n, int64_t *out)
{
    uint64_t v = 0;
    uint8_t all = 0x80;
    for (uint32_t i = 0; i + 1 < n; i++) {
        all &= at[i];
        v |= (uint64_t)(at[i] & 0x7f) << (i * 7);
    }
    v |= (uint64_t)at[n - 1] << ((n - 1) * 7);
    *out = (int64_t)v;
    return all == 0x80 && at[n - 1] < 0x80;
}

/* The bytes around the holes. */
static bool is_same(const struct line *line, const uint8_t *raw)
{
    uint32_t head = line->has_value ? line->time - 1 - HOLE : line->time;
    uint32_t tail = line->time + line->n_time;
    return (!line->has_value || raw[line->time - 1] == TAG_TIME) && memcmp(raw, line->raw, head) == 0 &&
           memcmp(raw + tail, line->raw + tail, line->n_bytes - tail) == 0;
}

static bool is_line(const struct lines *l, const struct line *line, struct slice raw)
{
    return line->n_bytes == raw.len && hash128_eq(line->symbols, l->symbols) && is_same(line, raw.ptr);
}

bool line_take(struct lines *l, struct pass *p, struct slice raw)
{
    struct line *line = l->last == NULL ? NULL : l->last->next;
    int64_t time_ms;
    uint64_t value = 0;
    struct err e = ERR_INIT;
    if (line == NULL || !is_line(l, line, raw) ||
        !time_read(raw.ptr + line->time, line->n_time, &time_ms) ||
        !pass_times_ok(p, time_ms, line->start_ms)) {
        return false;
    }
    if (line->has_value) {
        memcpy(&value, raw.ptr + line->time - 1 - HOLE, HOLE);
    }
    if (!pass_add(p, line->entry, time_ms, line->start_ms, value, &e)) {
        return false; /* no memory: the walk meets the same end */
    }
    p->n_in++;
    series_cache_expect(p->series, line->entry);
    line->n_cold = 0;
    l->last = line;
    l->n_hits++;
    return true;
}

/* ---- learning ---- */

void line_learn(struct lines *l, const struct remote_write_series *s)
{
    bool can_learn = !l->is_off && s->raw.len <= MAX_LINE_BYTES;
    l->lesson = (struct line_lesson){.raw = can_learn ? s->raw : SLICE_NONE};
}

void line_note(struct lines *l, const struct remote_write_point *p, const struct entry *entry)
{
    struct line_lesson *lesson = &l->lesson;
    l->n_misses++;
    if (lesson->sample.ptr != NULL || p->histogram.ptr != NULL || p->raw.len == 0) {
        line_spoil(l); /* several points, or a histogram */
        return;
    }
    lesson->sample = p->raw;
    lesson->entry = entry;
    lesson->start_ms = p->start_ms;
}

/* Where the sample's holes are; false when it looks otherwise: then it is read by the walk alone. */
static bool holes_find(const struct line_lesson *lesson, struct line *out)
{
    struct slice sample = lesson->sample;
    int64_t time_ms;
    out->has_value = sample.ptr[0] == TAG_VALUE;
    size_t time = out->has_value ? 1 + HOLE + 1 : 1;
    if (sample.len <= time || sample.len - time > MAX_TIME_BYTES || sample.ptr[time - 1] != TAG_TIME) {
        return false;
    }
    out->n_time = (uint8_t)(sample.len - time);
    out->time = (uint32_t)((size_t)(sample.ptr - lesson->raw.ptr) + time);
    return time_read(sample.ptr + time, out->n_time, &time_ms);
}

/* By the entry's index; NULL = no memory. */
static struct line **place_of(struct lines *l, uint32_t index)
{
    if (index >= l->n_by_entry) {
        uint32_t n = l->n_by_entry == 0 ? FIRST_LINES : l->n_by_entry;
        while (n <= index) {
            n *= 2;
        }
        struct line **by_entry = reallocarray(l->by_entry, n, sizeof(struct line *));
        if (by_entry == NULL) {
            return NULL;
        }
        memset(by_entry + l->n_by_entry, 0, (n - l->n_by_entry) * sizeof(struct line *));
        l->by_entry = by_entry;
        l->n_by_entry = n;
    }
    return &l->by_entry[index];
}

/* The bytes of a line, with room for more of them. */
static bool bytes_put(struct lines *l, struct line *line, struct slice raw)
{
    if (line->cap < raw.len) {
        uint8_t *space = arena_alloc(&l->arena, raw.len);
        if (space == NULL) {
            return false;
        }
        line->raw = space;
        line->cap = (uint32_t)raw.len;
    }
    memcpy(line->raw, raw.ptr, raw.len);
    line->n_bytes = (uint32_t)raw.len;
    return true;
}

/* The lesson's line, learned or known already; NULL: none. */
static struct line *line_for(struct lines *l)
{
    const struct line_lesson *lesson = &l->lesson;
    struct line holes;
    bool has_place = !l->fullness.is_full || lesson->entry->index < l->n_by_entry;
    struct line **place = has_place ? place_of(l, lesson->entry->index) : NULL;
    if (place == NULL || !holes_find(lesson, &holes)) {
        return NULL;
    }
    struct line *line = *place;
    if (line != NULL && is_line(l, line, lesson->raw)) {
        return line;
    }
    if (l->fullness.is_full) {
        return NULL;
    }
    /* What differs each time is learned ever more rarely. */
    uint32_t n_cold = line == NULL ? 0 : ++line->n_cold;
    if ((n_cold & (n_cold - 1)) != 0) {
        return NULL;
    }
    if (line == NULL) {
        line = arena_calloc(&l->arena, 1, sizeof *line);
    }
    if (line == NULL || !bytes_put(l, line, lesson->raw)) {
        return NULL;
    }
    line->time = holes.time;
    line->n_time = holes.n_time;
    line->has_value = holes.has_value;
    line->entry = lesson->entry;
    line->symbols = l->symbols;
    line->start_ms = lesson->start_ms;
    l->fullness.n_learned++;
    *place = line;
    return line;
}

void line_keep(struct lines *l)
{
    const struct line_lesson *lesson = &l->lesson;
    if (lesson->raw.ptr == NULL || lesson->sample.ptr == NULL) {
        return;
    }
    struct line *line = line_for(l);
    if (line != NULL) {
        if (l->last != NULL) {
            l->last->next = line;
        }
        l->last = line;
    }
    line_spoil(l);
}
