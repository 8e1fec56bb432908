#include "edge/skeleton.h"

#include "edge/pass.h"
#include "wire/protobuf.h"

enum {
    HOLE = 8,
    TAG_START = PB_TAG(2, PB_I64),
    TAG_TIME = PB_TAG(3, PB_I64),
    MAX_METRIC_BYTES = 1 << 18
};

struct mould {
    uint32_t n_bytes;
    uint32_t n_points;
    const uint8_t *bytes; /* the holes are zero */
    const struct mould_point *points; /* in order */
};

struct slot {
    const struct mould *mould; /* NULL = not learned */
    struct stream *stream;
    struct slot *next; /* what came behind it last time; NULL = not known */
    uint32_t n_cold;   /* misses since the last hit */
    uint32_t cap;
    const struct entry *entries[];
};

struct sheet {
    struct slice attributes;
    struct slice scope_name;
    struct slot *first;
    uint64_t key;
};

void skeletons_init(struct skeletons *s, size_t max_bytes)
{
    *s = (struct skeletons){.max_bytes = max_bytes};
    table_init(&s->sheets, 0, NULL);
    table_init(&s->slots, 0, NULL);
    table_init(&s->moulds, 0, NULL);
    arena_init(&s->arena, SIZE_MAX);
    buf_init(&s->lesson.space, MAX_METRIC_BYTES);
}

void skeletons_clear(struct skeletons *s)
{
    table_fini(&s->sheets);
    table_fini(&s->slots);
    table_fini(&s->moulds);
    arena_reset(&s->arena);
    s->fullness = (struct fullness){.is_full = false};
    s->sheet = NULL;
    s->last = NULL;
    skeleton_spoil(s);
}

void skeletons_fini(struct skeletons *s)
{
    skeletons_clear(s);
    arena_fini(&s->arena);
    buf_fini(&s->lesson.space);
}

size_t skeletons_bytes(const struct skeletons *s)
{
    return s->sheets.cost_bytes + s->slots.cost_bytes + s->moulds.cost_bytes + s->arena.used_bytes;
}

void skeletons_begin(struct skeletons *s)
{
    if (fullness_look(&s->fullness, skeletons_bytes(s) > s->max_bytes, s->n_hits, s->n_misses)) {
        skeletons_clear(s);
    }
    s->sheet = NULL;
    s->last = NULL;
    skeleton_spoil(s);
}

/* ---- whose metrics ---- */

static struct sheet *sheet_new(struct skeletons *s, const struct otlp_resource *r,
                               struct hash128 key)
{
    struct sheet *sheet = arena_calloc(&s->arena, 1, sizeof *sheet);
    if (sheet == NULL) {
        return NULL;
    }
    sheet->key = key.lo;
    sheet->attributes = arena_copy(&s->arena, r->attributes);
    sheet->scope_name = arena_copy(&s->arena, r->scope_name);
    bool ok = sheet->attributes.ptr != NULL && sheet->scope_name.ptr != NULL &&
              table_put(&s->sheets, key, sheet, 0);
    return ok ? sheet : NULL;
}

void skeleton_scope(struct skeletons *s, const struct otlp_resource *r, uint64_t salt)
{
    struct hash128 key = {r->key ^ salt, salt};
    s->last = NULL;
    s->sheet = s->max_bytes == 0 ? NULL : table_find(&s->sheets, key);
    if (s->sheet != NULL) {
        bool is_it = slice_eq(s->sheet->attributes, r->attributes) &&
                     slice_eq(s->sheet->scope_name, r->scope_name);
        s->sheet = is_it ? s->sheet : NULL; /* one hash, two resources: walked */
    } else if (s->max_bytes != 0 && !s->fullness.is_full) {
        s->sheet = sheet_new(s, r, key);
    }
}

static struct hash128 slot_key(const struct sheet *sheet, uint64_t metric_key)
{
    return (struct hash128){metric_key ^ sheet->key, (uint64_t)(uintptr_t)sheet};
}

static void chain(struct skeletons *s, struct slot *slot)
{
    struct slot **at = s->last == NULL ? &s->sheet->first : &s->last->next;
    *at = slot;
    s->last = slot;
}

/* ---- reading ---- */

static inline uint64_t load64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline uint64_t value_bits(const uint8_t *at, uint16_t tag)
{
    uint64_t bits = load64(at);
    if (tag == PB_TAG(6, PB_I64)) {
        double v = (double)(int64_t)bits;
        memcpy(&bits, &v, sizeof bits);
    }
    return bits;
}

/* Is raw the mould's metric? Its points are in out then, all with good times. Both have n_bytes. */
static bool mould_read(const struct mould *m, const uint8_t *raw, struct pass *p,
                       struct skeleton_columns *out)
{
    uint32_t from = 0;
    for (uint32_t i = 0; i < m->n_points; i++) {
        const struct mould_point *point = &m->points[i];
        uint32_t at = point->hole;
        uint64_t start_ns = 0;
        if (memcmp(raw + from, m->bytes + from, at - from) != 0) {
            return false;
        }
        if (point->has_start) {
            start_ns = load64(raw + at);
            at += HOLE + 1;
            if (raw[at - 1] != TAG_TIME) {
                return false;
            }
        }
        if (raw[at + HOLE] != point->value_tag) {
            return false;
        }
        int64_t time_ms = pass_ms_of(p, load64(raw + at));
        int64_t start_ms = (int64_t)(start_ns / NS_PER_MS);
        if (!pass_times_ok(p, time_ms, start_ms)) {
            return false;
        }
        out->times_ms[i] = time_ms;
        out->starts_ms[i] = start_ms;
        out->values[i] = value_bits(raw + at + HOLE + 1, point->value_tag);
        from = at + HOLE + 1 + HOLE;
    }
    return memcmp(raw + from, m->bytes + from, m->n_bytes - from) == 0;
}

static bool slot_take(struct skeletons *s, struct pass *p, struct slot *slot, struct slice raw)
{
    const struct mould *m = slot->mould;
    if (m == NULL || m->n_bytes != raw.len || !mould_read(m, raw.ptr, p, &s->columns)) {
        return false;
    }
    const struct group_columns c = {s->columns.times_ms, s->columns.starts_ms, s->columns.values};
    if (!group_add_all(p->groups, slot->stream, m->n_points, slot->entries, &c)) {
        return false; /* no memory: the walk meets the same end */
    }
    p->n_in += m->n_points;
    series_cache_expect(p->series, slot->entries[m->n_points - 1]);
    return true;
}

static bool is_number(const struct otlp_metric *m)
{
    return m->kind == OTLP_GAUGE || m->kind == OTLP_SUM;
}

uint32_t skeleton_take(struct skeletons *s, struct pass *p, const struct otlp_metric *m)
{
    if (s->sheet == NULL || (m->key != 0 && !is_number(m))) {
        return 0;
    }
    struct slot *next = s->last == NULL ? s->sheet->first : s->last->next;
    struct slot *slot = m->key == 0 ? next : table_find(&s->slots, slot_key(s->sheet, m->key));
    if (slot == NULL || (m->key != 0 && slot == next) || !slot_take(s, p, slot, m->raw)) {
        return 0;
    }
    chain(s, slot);
    slot->n_cold = 0;
    s->n_hits += slot->mould->n_points;
    return slot->mould->n_points;
}

/* ---- learning ---- */

void skeleton_learn(struct skeletons *s, const struct otlp_metric *m)
{
    s->lesson.raw = s->sheet != NULL && is_number(m) && m->raw.len <= MAX_METRIC_BYTES ? m->raw : SLICE_NONE;
    s->lesson.key = m->key;
    s->lesson.n = 0;
}

/* Behind its value nothing may stand that counts instead: of a field that comes twice the last one does. */
static bool rest_is_plain(struct slice rest)
{
    static const struct pb_type anything = {"", {0}};
    struct cursor c = cursor_of(rest);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        uint32_t number = tag >> 3;
        if (number == 2 || number == 3 || number == 4 || number == 6) {
            return false;
        }
        pb_skip(&c, tag, &anything);
    }
    return cursor_ok(&c);
}

/* Where the holes of a point at `at` are; false when time, start and value stand otherwise. */
static bool holes_find(struct slice raw, size_t at, struct mould_point *out)
{
    bool has_start = raw.len > 0 && raw.ptr[0] == TAG_START;
    size_t time = has_start ? 1 + HOLE : 0;
    size_t value = time + 1 + HOLE;
    size_t end = value + 1 + HOLE;
    if (raw.len < end || raw.ptr[time] != TAG_TIME) {
        return false;
    }
    *out = (struct mould_point){(uint32_t)at + 1, has_start, raw.ptr[value]};
    return (raw.ptr[value] == PB_TAG(4, PB_I64) || raw.ptr[value] == PB_TAG(6, PB_I64)) &&
           rest_is_plain(slice_of(raw.ptr + end, raw.len - end));
}

void skeleton_note(struct skeletons *s, const struct otlp_point *p, const struct entry *entry)
{
    struct skeleton_lesson *l = &s->lesson;
    s->n_misses++;
    if (l->raw.ptr == NULL) {
        return;
    }
    uintptr_t begin = (uintptr_t)l->raw.ptr;
    uintptr_t at = (uintptr_t)p->raw.ptr; /* of a metric in pieces it is elsewhere */
    bool is_inside =
        at >= begin && at - begin <= l->raw.len && p->raw.len <= l->raw.len - (at - begin);
    bool is_usual = is_inside && !p->no_value && l->n < SKELETON_MAX_POINTS &&
                    (l->n == 0 || (entry->stream == l->stream && at - begin > l->points[l->n - 1].hole));
    if (!is_usual || !holes_find(p->raw, at - begin, &l->points[l->n])) {
        skeleton_spoil(s);
        return;
    }
    l->stream = entry->stream;
    l->entries[l->n++] = entry;
}

/* The lesson's bytes, the holes zero. */
static bool holes_punch(struct skeleton_lesson *l)
{
    buf_reset(&l->space);
    buf_put_slice(&l->space, l->raw);
    if (!buf_ok(&l->space)) {
        return false;
    }
    for (uint32_t i = 0; i < l->n; i++) {
        uint8_t *at = l->space.ptr + l->points[i].hole;
        for (int hole = 0; hole < 2 + l->points[i].has_start; hole++) {
            memset(at, 0, HOLE);
            at += HOLE + 1;
        }
    }
    return true;
}

/* NULL: no memory. */
static const struct mould *mould_for(struct skeletons *s)
{
    struct skeleton_lesson *l = &s->lesson;
    if (!holes_punch(l)) {
        return NULL;
    }
    struct slice points = slice_of((const uint8_t *)l->points, l->n * sizeof l->points[0]);
    struct hash128 key = hash128_seeded(buf_slice(&l->space), hash64_seeded(points, l->n));
    struct mould *m = table_find(&s->moulds, key);
    if (m != NULL) {
        return m;
    }
    struct slice bytes = arena_copy(&s->arena, buf_slice(&l->space));
    struct slice copy = arena_copy(&s->arena, points);
    m = arena_alloc(&s->arena, sizeof *m);
    if (bytes.ptr == NULL || copy.ptr == NULL || m == NULL) {
        return NULL;
    }
    *m = (struct mould){(uint32_t)bytes.len, l->n, bytes.ptr, (const struct mould_point *)(const void *)copy.ptr};
    return table_put(&s->moulds, key, m, 0) ? m : NULL;
}

/* The slot of the lesson's metric, with room for its entries. NULL: no memory, or not to be learned now. */
static struct slot *slot_for(struct skeletons *s, const struct skeleton_lesson *l)
{
    struct hash128 key = slot_key(s->sheet, l->key);
    struct slot *slot = table_find(&s->slots, key);
    uint32_t n_cold = 0;
    if (slot != NULL) {
        n_cold = ++slot->n_cold; /* what differs each time is learned ever more rarely */
        if ((n_cold & (n_cold - 1)) != 0) {
            return NULL;
        }
    }
    if (slot == NULL || slot->cap < l->n) {
        slot = arena_calloc(&s->arena, 1, sizeof *slot + l->n * sizeof slot->entries[0]);
        if (slot == NULL || !table_put(&s->slots, key, slot, 0)) {
            return NULL;
        }
        slot->cap = l->n;
        slot->n_cold = n_cold;
    }
    return slot;
}

void skeleton_keep(struct skeletons *s)
{
    struct skeleton_lesson *l = &s->lesson;
    if (l->raw.ptr == NULL || l->n == 0) {
        return;
    }
    struct slot *slot = s->fullness.is_full ? NULL : slot_for(s, l);
    const struct mould *m = slot == NULL ? NULL : mould_for(s);
    if (m != NULL) {
        s->fullness.n_learned += l->n;
        slot->mould = m;
        slot->stream = l->stream;
        memcpy(slot->entries, l->entries, l->n * sizeof l->entries[0]);
        chain(s, slot);
    }
    skeleton_spoil(s);
}
