#include "edge/lines.h"

#include <stdlib.h>

#include "edge/pass.h"
#include "wire/protobuf.h"

enum {
    HOLE = 8,
    TAG_VALUE = PB_TAG(1, PB_I64),
    TAG_TIME = PB_TAG(2, PB_VARINT),
    MAX_LINE_BYTES = UINT16_MAX,
    MAX_TIME_BYTES = 8, /* 56 bits: two million years */
    FIRST_LINES = 1024,
    AHEAD_BYTES = 1024
};

/* The head of a series, up to its value: others that look alike share its bytes. */
struct mould {
    struct mould *next; /* of the series behind it; NULL = not known */
    uint32_t n_bytes;
    uint8_t bytes[];
};

struct line {
    struct mould *mould;
    const struct entry *entry;
    struct stream *stream; /* the entry's, which then need not be read */
    struct line *next;     /* what came behind it last time; NULL = not known */
    struct hash128 symbols;
    int64_t start_ms;
    uint32_t n_cold; /* misses since the last hit */
    uint16_t n_bytes;
    uint16_t time;   /* where the holes are */
    uint16_t prefix; /* the head's first bytes are the mould's first, */
    uint16_t suffix; /* and its last the mould's last ones */
    uint8_t n_time;
    bool has_value; /* 9 bytes before the time; without it the value is 0 */
    uint16_t cap;
    uint8_t own[]; /* the head's bytes between, then those behind the time */
};

void lines_init(struct lines *l, size_t max_bytes)
{
    *l = (struct lines){.max_bytes = max_bytes};
    table_init(&l->moulds, 0, NULL);
    arena_init(&l->arena, SIZE_MAX);
}

void lines_clear(struct lines *l)
{
    free(l->by_entry);
    l->by_entry = NULL;
    l->n_by_entry = 0;
    table_fini(&l->moulds);
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
    return l->arena.used_bytes + l->moulds.cost_bytes + l->n_by_entry * sizeof(struct line *);
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

/* The n bytes before `end`, HOLE of which can be read; false: they are not a varint of this length. */
static inline bool time_read(const uint8_t *end, uint32_t n, int64_t *out)
{
    const uint64_t more = UINT64_C(0x8080808080808080);
    uint64_t v;
    memcpy(&v, end - HOLE, HOLE);
    v >>= 64 - n * 8;
    bool ok = (v & more) == (more >> (64 - n * 8) >> 8);
    v &= ~more;
    v = (v & UINT64_C(0x007f007f007f007f)) | (v & UINT64_C(0x7f007f007f007f00)) >> 1;
    v = (v & UINT64_C(0x00003fff00003fff)) | (v & UINT64_C(0x3fff00003fff0000)) >> 2;
    *out = (int64_t)((v & UINT64_C(0x000000000fffffff)) | (v & UINT64_C(0x0fffffff00000000)) >> 4);
    return ok;
}

/* Where the bytes in front of the holes end. */
static inline uint32_t head_bytes(const struct line *line)
{
    return line->has_value ? line->time - 1U - HOLE : line->time;
}

/* The bytes around the holes. raw has the line's length. */
static bool is_same(const struct line *line, const uint8_t *raw)
{
    const struct mould *m = line->mould;
    uint32_t head = head_bytes(line);
    uint32_t tail = line->time + (uint32_t)line->n_time;
    uint32_t n_between = head - line->prefix - line->suffix;
    return (!line->has_value || raw[line->time - 1] == TAG_TIME) &&
           memcmp(raw, m->bytes, line->prefix) == 0 &&
           memcmp(raw + line->prefix, line->own, n_between) == 0 &&
           memcmp(raw + head - line->suffix, m->bytes + m->n_bytes - line->suffix, line->suffix) == 0 &&
           (tail == line->n_bytes || memcmp(raw + tail, line->own + n_between, line->n_bytes - tail) == 0);
}

static bool is_line(const struct lines *l, const struct line *line, struct slice raw)
{
    return line->n_bytes == raw.len && hash128_eq(line->symbols, l->symbols) && is_same(line, raw.ptr);
}

/* A source's lines lie in memory as they were learned, one behind the other. */
static inline void lines_fetch_ahead(const struct line *line)
{
    __builtin_prefetch((const void *)((uintptr_t)line + AHEAD_BYTES));
    __builtin_prefetch((const void *)((uintptr_t)line + AHEAD_BYTES + PB_CACHE_LINE_BYTES));
}

bool line_take(struct lines *l, struct pass *p, struct slice raw)
{
    struct line *line = l->last == NULL ? NULL : l->last->next;
    int64_t time_ms;
    uint64_t value = 0;
    if (line == NULL || !is_line(l, line, raw) ||
        !time_read(raw.ptr + line->time + line->n_time, line->n_time, &time_ms) ||
        !pass_times_ok(p, time_ms, line->start_ms)) {
        return false;
    }
    if (line->has_value) {
        memcpy(&value, raw.ptr + line->time - 1 - HOLE, HOLE);
    }
    struct group *group = group_of(p->groups, line->stream);
    if (group == NULL) {
        return false; /* no memory: the walk meets the same end */
    }
    group_add(group, line->entry, time_ms, line->start_ms, value);
    p->n_in++;
    series_cache_expect(p->series, line->entry);
    if (line->n_cold != 0) { /* a write would cost the way back to memory */
        line->n_cold = 0;
    }
    lines_fetch_ahead(line);
    l->last = line;
    l->n_hits++;
    return true;
}

/* ---- learning ---- */

void line_learn(struct lines *l, const struct remote_write_series *s)
{
    bool can_learn = !l->is_off && s->raw.len <= MAX_LINE_BYTES;
    l->lesson = (struct line_lesson){.raw = can_learn ? s->raw : SLICE_NONE, .metric = s->metric};
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
    *out = (struct line){.entry = lesson->entry,
                         .stream = lesson->entry->stream,
                         .start_ms = lesson->start_ms,
                         .n_bytes = (uint16_t)lesson->raw.len};
    out->has_value = sample.ptr[0] == TAG_VALUE;
    size_t time = out->has_value ? 1 + HOLE + 1 : 1;
    if (sample.len <= time || sample.len - time > MAX_TIME_BYTES || sample.ptr[time - 1] != TAG_TIME) {
        return false;
    }
    out->n_time = (uint8_t)(sample.len - time);
    out->time = (uint16_t)((size_t)(sample.ptr - lesson->raw.ptr) + time);
    return out->time >= HOLE && time_read(sample.ptr + sample.len, out->n_time, &time_ms);
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

/* What a head has in common with a mould, into the line: is it worth sharing? */
static bool is_alike(const struct mould *m, struct slice head, struct line *line)
{
    uint32_t n = m == NULL ? 0 : m->n_bytes < head.len ? m->n_bytes : (uint32_t)head.len;
    uint32_t prefix = 0;
    uint32_t suffix = 0;
    while (prefix < n && head.ptr[prefix] == m->bytes[prefix]) {
        prefix++;
    }
    while (suffix < n - prefix && head.ptr[head.len - 1 - suffix] == m->bytes[m->n_bytes - 1 - suffix]) {
        suffix++;
    }
    line->prefix = (uint16_t)prefix;
    line->suffix = (uint16_t)suffix;
    return m != NULL && (prefix + suffix) * 2 >= head.len;
}

static struct mould *mould_new(struct lines *l, struct slice head, struct hash128 key)
{
    struct mould *m = arena_alloc(&l->arena, sizeof *m + head.len);
    if (m == NULL || !table_put(&l->moulds, key, m, 0)) {
        return NULL;
    }
    m->next = NULL;
    m->n_bytes = (uint32_t)head.len;
    memcpy(m->bytes, head.ptr, head.len);
    return m;
}

/* Another source's series, most likely: what stands behind the mould of the series before this one, or has the metric. */
static bool mould_find(struct lines *l, struct line *line)
{
    const struct line_lesson *lesson = &l->lesson;
    struct slice head = slice_of(lesson->raw.ptr, head_bytes(line));
    struct mould **next = l->last == NULL ? NULL : &l->last->mould->next;
    struct mould *m = next == NULL ? NULL : *next;
    if (!is_alike(m, head, line)) {
        struct hash128 key = hash128_seeded(lesson->metric, 0);
        m = table_find(&l->moulds, key);
        if (!is_alike(m, head, line)) {
            m = mould_new(l, head, key);
            line->prefix = (uint16_t)head.len;
            line->suffix = 0;
        }
        if (m != NULL && next != NULL) {
            *next = m;
        }
    }
    line->mould = m;
    return m != NULL;
}

/* The line itself: known (NULL = not yet) when it has the room. NULL: no memory. */
static struct line *line_put(struct lines *l, struct line *known, const struct line *made)
{
    const uint8_t *raw = l->lesson.raw.ptr;
    uint32_t tail = made->time + (uint32_t)made->n_time;
    uint32_t n_between = head_bytes(made) - made->prefix - made->suffix;
    uint32_t n_own = n_between + made->n_bytes - tail;
    bool has_room = known != NULL && known->cap >= n_own;
    struct line *line = has_room ? known : arena_alloc(&l->arena, sizeof *line + n_own);
    if (line == NULL) {
        return NULL;
    }
    uint16_t cap = has_room ? known->cap : (uint16_t)n_own;
    struct line *next = known == NULL ? NULL : known->next;
    uint32_t n_cold = known == NULL ? 0 : known->n_cold;
    *line = *made;
    line->cap = cap;
    line->next = next;
    line->n_cold = n_cold;
    memcpy(line->own, raw + made->prefix, n_between);
    memcpy(line->own + n_between, raw + tail, made->n_bytes - tail);
    return line;
}

/* What differs each time is learned ever more rarely. */
static bool is_worth_another(struct line *line)
{
    line->n_cold++;
    return (line->n_cold & (line->n_cold - 1)) == 0;
}

/* The lesson's line, learned or known already; NULL: none. */
static struct line *line_for(struct lines *l)
{
    const struct line_lesson *lesson = &l->lesson;
    struct line made;
    bool has_place = !l->fullness.is_full || lesson->entry->index < l->n_by_entry;
    struct line **place = has_place ? place_of(l, lesson->entry->index) : NULL;
    if (place == NULL || !holes_find(lesson, &made)) {
        return NULL;
    }
    if (*place != NULL && is_line(l, *place, lesson->raw)) {
        return *place;
    }
    if (l->fullness.is_full || (*place != NULL && !is_worth_another(*place)) || !mould_find(l, &made)) {
        return NULL;
    }
    made.symbols = l->symbols;
    struct line *line = line_put(l, *place, &made);
    if (line != NULL) {
        l->fullness.n_learned++;
        *place = line;
    }
    return line;
}

void line_keep_lesson(struct lines *l)
{
    struct line *line = l->lesson.sample.ptr == NULL ? NULL : line_for(l);
    if (line != NULL) {
        if (l->last != NULL) {
            l->last->next = line;
        }
        l->last = line;
    }
    line_spoil(l);
}
