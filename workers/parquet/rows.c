#include "sorted_rows.h"

#include <assert.h>

#include "key.h"
#include "rows_inside.h"

/* What the arena may take more than is asked of it, and every piece's rounding. */
enum { ARENA_SLACK = 4 << 20, PIECE_SLACK = 32, SCRATCH_BYTES = 64 << 20, PACKED_BYTES = 96 << 20 };
enum {
    LEAST_ENTRIES = 2,
    MOST_ENTRIES = 32,
    ENTRIES_BYTES = sizeof(struct entries) + MOST_ENTRIES * sizeof(struct entry)
};

void rows_init(struct rows *r, int hours, size_t max_bytes)
{
    *r = (struct rows){.hours = hours, .max_bytes = max_bytes};
    shape_cache_init(&r->shapes, 0, &shape_default_caps, NULL);
    arena_init(&r->arena, SIZE_MAX / 2);
    arena_init(&r->scratch, SCRATCH_BYTES);
    arena_init(&r->record, SCRATCH_BYTES);
    buf_init(&r->packed, PACKED_BYTES);
    buf_init(&r->places, PACKED_BYTES);
}

void rows_fini(struct rows *r)
{
    shape_cache_fini(&r->shapes);
    arena_fini(&r->arena);
    arena_fini(&r->scratch);
    arena_fini(&r->record);
    buf_fini(&r->packed);
    buf_fini(&r->places);
}

void rows_reset(struct rows *r)
{
    table_clear(&r->shapes.table);
    arena_fini(&r->arena);
    r->sheets = NULL;
    r->n_sheets = r->n_strands = r->n_entries = 0;
    r->n_rows = 0;
}

/* The strands that have rows, twice since qsort may take as much, and a row's reference per line,
 * in a buf that doubles. */
static size_t sorting_bytes(size_t n_strands, uint64_t n_rows, size_t n_entries)
{
    n_strands = n_strands < n_rows ? n_strands : (size_t)n_rows;
    return n_strands * 2 * sizeof(struct strand) + n_entries * 96;
}

size_t rows_held_bytes(const struct rows *r)
{
    return r->arena.held_bytes + r->scratch.held_bytes + r->record.held_bytes + r->packed.cap +
           r->places.cap + r->shapes.scratch.held_bytes + r->shapes.table.cost_bytes +
           sorting_bytes(r->n_strands, r->n_rows, r->n_entries);
}

/* --- taking a line --- */

size_t intake_bytes(const struct intake *in)
{
    const struct shape *s = &in->cached->shape;
    size_t n = sizeof(struct scrape) + in->values.len + in->packed[0].len + in->packed[1].len +
               in->n_places * sizeof(uint32_t) +
               (in->times == NULL ? 0 : s->n_series * sizeof(int64_t)) + (size_t)8 * PIECE_SLACK;
    n += in->n_slots * (sizeof(struct sheet) + in->tenant.len + ENTRIES_BYTES +
                        in->n_lines * sizeof(struct entry) + (size_t)3 * PIECE_SLACK);
    n += in->cached->attached == NULL ? sizeof(struct sheets) + s->n_series * sizeof(uint32_t) : 0;
    return n + sorting_bytes(s->n_series, s->n_series, in->n_slots);
}

bool rows_are_full(const struct rows *r, size_t n_bytes)
{
    return r->n_entries > 0 && rows_held_bytes(r) + n_bytes + ARENA_SLACK > r->max_bytes;
}

bool rows_shape(struct rows *r, struct slice tenant, struct slice bytes, struct cached_shape **out,
                struct err *e)
{
    if (!shape_cache_get(&r->shapes, tenant, bytes, out, e)) {
        e->kind = e->kind == ERR_FATAL ? ERR_RETRY : e->kind; /* no memory */
        return false;
    }
    return true;
}

static struct sheets *sheets_new(struct rows *r, const struct shape *s)
{
    struct sheets *new = arena_calloc(&r->arena, 1, sizeof *new);
    uint32_t *columns = ARENA_ARRAY(&r->arena, uint32_t, s->n_series);
    if (new == NULL || columns == NULL) {
        return NULL;
    }
    uint32_t n_scalars = 0;
    uint32_t n_exp = 0;
    uint32_t n_classic = s->n_exp;
    for (uint32_t i = 0; i < s->n_series; i++) {
        enum series_kind kind = s->series[i].kind;
        columns[i] = kind == SERIES_EXP_HISTOGRAM       ? n_exp++
                     : kind == SERIES_CLASSIC_HISTOGRAM ? n_classic++
                                                        : n_scalars++;
    }
    new->columns = columns;
    return new;
}

static uint8_t *packed_copy(struct arena *a, const struct slice packed[2])
{
    uint8_t *copy = arena_alloc(a, packed[0].len + packed[1].len);
    uint8_t *to = copy;
    for (int i = 0; i < 2 && copy != NULL; i++) {
        if (packed[i].len > 0) {
            memcpy(to, packed[i].ptr, packed[i].len);
        }
        to += packed[i].len;
    }
    return copy;
}

static struct scrape *scrape_new(struct rows *r, const struct intake *in)
{
    struct arena *a = &r->arena;
    struct scrape *new = arena_alloc(a, sizeof *new);
    uint8_t *packed = packed_copy(a, in->packed);
    struct slice at = arena_copy(a, slice_of(in->packed_at, in->n_places * sizeof(uint32_t)));
    struct slice values = arena_copy(a, in->values);
    size_t n_times = in->times == NULL ? 0 : in->cached->shape.n_series;
    struct slice times = in->times == NULL
                             ? SLICE_NONE
                             : arena_copy(a, slice_of(in->times, n_times * sizeof(int64_t)));
    if (new == NULL || packed == NULL || at.ptr == NULL || values.ptr == NULL ||
        (in->times != NULL && times.ptr == NULL)) {
        return NULL;
    }
    *new = (struct scrape){.offset = in->offset,
                           .base_ms = in->base_ms,
                           .times = (const int64_t *)(const void *)times.ptr,
                           .values = values.ptr,
                           .packed = packed,
                           .packed_at = (const uint32_t *)(const void *)at.ptr};
    return new;
}

static struct sheet *sheet_new(struct rows *r, const struct intake *in, int64_t slot)
{
    struct sheets *of_shape = in->cached->attached;
    struct sheet *new = arena_calloc(&r->arena, 1, sizeof *new);
    struct slice tenant = arena_copy(&r->arena, in->tenant);
    if (new == NULL || tenant.ptr == NULL) {
        return NULL;
    }
    *new = (struct sheet){.next = r->sheets,
                          .next_of_shape = of_shape->first,
                          .shape = &in->cached->shape,
                          .columns = of_shape->columns,
                          .tenant = tenant,
                          .class = in->class,
                          .table = in->table,
                          .slot = slot};
    of_shape->first = r->sheets = new;
    r->n_sheets++;
    r->n_strands += new->shape->n_series;
    return new;
}

static struct sheet *sheet_get(struct rows *r, const struct intake *in, int64_t slot)
{
    const struct sheets *of_shape = in->cached->attached;
    for (struct sheet *s = of_shape->first; s != NULL; s = s->next_of_shape) {
        if (s->slot == slot && s->class == in->class && s->table == in->table) {
            return s;
        }
    }
    return sheet_new(r, in, slot);
}

/* Room for so many entries more in its last block. */
static bool sheet_prepare(struct rows *r, struct sheet *s, size_t n)
{
    if (s->last != NULL && s->last->room - s->last->n >= n) {
        return true;
    }
    uint32_t room = s->last == NULL ? LEAST_ENTRIES : s->last->room * 2;
    room = room > MOST_ENTRIES ? MOST_ENTRIES : room;
    room = room < n ? (uint32_t)n : room;
    struct entries *new = arena_alloc(&r->arena, sizeof *new + room * sizeof new->entry[0]);
    if (new == NULL) {
        return false;
    }
    *new = (struct entries){.room = room};
    if (s->last == NULL) {
        s->first = new;
    } else {
        s->last->next = new;
    }
    s->last = new;
    return true;
}

static void sheet_append(struct rows *r, struct sheet *s, const struct scrape *scrape)
{
    if (s->newest == scrape) {
        return;
    }
    s->newest = scrape;
    assert(s->last->n < s->last->room); /* sheet_prepare saw to it */
    s->last->entry[s->last->n++] =
        (struct entry){scrape->offset, scrape->base_ms, scrape->values, scrape};
    s->n_entries++;
    s->any_times = s->any_times || scrape->times != NULL;
    r->n_entries++;
}

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_RETRY, "out of memory for rows");
}

static uint32_t n_times(const struct intake *in)
{
    return in->times == NULL ? 1 : in->cached->shape.n_series;
}

static int64_t time_of(const struct intake *in, uint32_t i)
{
    return in->times == NULL ? in->base_ms : in->times[i];
}

/* Of rollups that of the samples: a window's end is the next one's time. */
static int64_t slot_of(const struct rows *r, const struct intake *in, uint32_t i)
{
    int64_t ts = time_of(in, i);
    return key_slot(in->table == TABLE_SAMPLES || ts == INT64_MIN ? ts : ts - 1, r->hours);
}

static bool slots_prepare(struct rows *r, const struct intake *in, struct objects *objects,
                          struct err *e)
{
    for (uint32_t i = 0; i < n_times(in); i++) {
        int64_t slot = slot_of(r, in, i);
        struct sheet *sheet = sheet_get(r, in, slot);
        if (sheet == NULL || !sheet_prepare(r, sheet, in->n_lines) ||
            objects_get(objects, in->table, slot, in->tenant) == NULL) {
            return no_memory(e);
        }
    }
    return true;
}

static void slots_fill(struct rows *r, const struct intake *in, const struct scrape *scrape)
{
    for (uint32_t i = 0; i < n_times(in); i++) {
        sheet_append(r, sheet_get(r, in, slot_of(r, in, i)), scrape);
    }
}

static void objects_note(const struct rows *r, const struct intake *in, struct objects *objects)
{
    uint32_t n_each = in->times == NULL ? in->cached->shape.n_series : 1;
    for (uint32_t i = 0; i < n_times(in); i++) {
        object_note(objects_get(objects, in->table, slot_of(r, in, i), in->tenant), time_of(in, i),
                    n_each);
    }
}

bool intake_prepare(struct rows *r, struct intake *in, struct objects *objects, struct err *e)
{
    if (in->cached->attached == NULL) {
        in->cached->attached = sheets_new(r, &in->cached->shape);
    }
    in->scrape = in->cached->attached == NULL ? NULL : scrape_new(r, in);
    if (in->scrape == NULL) {
        return no_memory(e);
    }
    return slots_prepare(r, in, objects, e);
}

void intake_keep(struct rows *r, const struct intake *in, struct objects *objects)
{
    slots_fill(r, in, in->scrape);
    objects_note(r, in, objects);
    r->n_rows += in->cached->shape.n_series;
    r->n_packed_bytes += in->packed[0].len + in->packed[1].len;
}
