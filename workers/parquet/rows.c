#include "sorted_rows.h"

#include "batch/histogram.h"
#include "key.h"
#include "objects.h"
#include "rows_inside.h"

/* What the arena may take more than is asked of it, and every piece's rounding. */
enum { ARENA_SLACK = 4 << 20, PIECE_SLACK = 32, SCRATCH_BYTES = 64 << 20 };
enum {
    LEAST_ENTRIES = 2,
    MOST_ENTRIES = 32,
    ENTRIES_BYTES = sizeof(struct entries) + MOST_ENTRIES * sizeof(struct entry)
};

/* Attached to a shape. */
struct sheets {
    const uint32_t *columns; /* of each series: its place among the scalars, or in packed_at */
    struct sheet *first;
};

/* A batch that is being taken. */
struct intake {
    const struct batch *batch;
    int64_t offset;
    struct cached_shape *cached;
    int64_t *times; /* scratch's; NULL: all the base */
    size_t n_slots; /* at most */
};

void rows_init(struct rows *r, int hours, size_t max_bytes)
{
    *r = (struct rows){.hours = hours, .max_bytes = max_bytes};
    shape_cache_init(&r->shapes, 0, &shape_default_caps, NULL);
    arena_init(&r->arena, SIZE_MAX / 2);
    arena_init(&r->scratch, SCRATCH_BYTES);
}

void rows_fini(struct rows *r)
{
    shape_cache_fini(&r->shapes);
    arena_fini(&r->arena);
    arena_fini(&r->scratch);
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
    return r->arena.held_bytes + r->scratch.held_bytes + r->shapes.scratch.held_bytes +
           r->shapes.table.cost_bytes + sorting_bytes(r->n_strands, r->n_rows, r->n_entries);
}

/* --- taking a batch --- */

/* The packed column's places go to at, from n_before bytes on; it was checked to be whole. */
static void exp_places(struct slice column, uint32_t n, uint32_t *at)
{
    struct cursor c = cursor_of(column);
    for (uint32_t i = 0; i < n; i++) {
        at[i] = (uint32_t)cursor_at(&c);
        (void)exp_histogram_skip(&c);
    }
}

static void classic_places(struct slice column, const struct shape *s, uint32_t before,
                           uint32_t *at)
{
    struct cursor c = cursor_of(column);
    for (uint32_t i = 0; i < s->n_series; i++) {
        if (s->series[i].kind == SERIES_CLASSIC_HISTOGRAM) {
            *at++ = before + (uint32_t)cursor_at(&c);
            (void)classic_histogram_skip(&c, s->series[i].n_bounds);
        }
    }
    *at = before + (uint32_t)column.len;
}

/* So that no row fails when it is written, long after its record. */
static bool histograms_check(struct rows *r, const struct batch *b, const struct shape *s,
                             struct err *e)
{
    struct cursor c = cursor_of(b->exp);
    for (uint32_t i = 0; i < s->n_exp; i++) {
        struct exp_histogram h;
        arena_reset(&r->scratch);
        if (!exp_histogram_decode(&c, HISTOGRAM_MAX_BYTES, &r->scratch, &h, e)) {
            return err_wrap(e, "exponential histogram %u", i);
        }
    }
    return true;
}

static bool times_take(struct rows *r, struct intake *in, struct err *e)
{
    const struct shape *s = &in->cached->shape;
    in->n_slots = 1;
    if (in->batch->times.n_deltas == 0) {
        return true;
    }
    arena_reset(&r->scratch);
    in->times = ARENA_ARRAY(&r->scratch, int64_t, s->n_series);
    if (in->times == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for a batch's times");
    }
    if (!batch_times_decode(&in->batch->times, s->n_series, in->times, e)) {
        return false;
    }
    for (uint32_t i = 1; i < s->n_series; i++) {
        in->n_slots += key_slot(in->times[i], r->hours) != key_slot(in->times[i - 1], r->hours);
    }
    return true;
}

static size_t intake_bytes(const struct intake *in)
{
    const struct batch *b = in->batch;
    const struct shape *s = &in->cached->shape;
    size_t n = sizeof(struct scrape) + b->values.len + b->exp.len + b->classic.len +
               ((size_t)s->n_exp + s->n_classic + 1) * sizeof(uint32_t) +
               (in->times == NULL ? 0 : s->n_series * sizeof(int64_t)) + (size_t)8 * PIECE_SLACK;
    n += in->n_slots *
         (sizeof(struct sheet) + b->tenant.len + ENTRIES_BYTES + (size_t)3 * PIECE_SLACK);
    n += in->cached->attached == NULL ? sizeof(struct sheets) + s->n_series * sizeof(uint32_t) : 0;
    return n + sorting_bytes(s->n_series, s->n_series, in->n_slots);
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

static struct scrape *scrape_new(struct rows *r, const struct intake *in)
{
    const struct batch *b = in->batch;
    const struct shape *s = &in->cached->shape;
    struct arena *a = &r->arena;
    struct scrape *new = arena_alloc(a, sizeof *new);
    uint8_t *packed = arena_alloc(a, b->exp.len + b->classic.len);
    uint32_t *at = arena_alloc(a, ((size_t)s->n_exp + s->n_classic + 1) * sizeof *at);
    struct slice values = arena_copy(a, b->values);
    struct slice times = slice_of(in->times, in->times == NULL ? 0 : s->n_series * sizeof(int64_t));
    times = in->times == NULL ? SLICE_NONE : arena_copy(a, times);
    if (new == NULL || packed == NULL || at == NULL || values.ptr == NULL ||
        (in->times != NULL && times.ptr == NULL)) {
        return NULL;
    }
    if (b->exp.len > 0) {
        memcpy(packed, b->exp.ptr, b->exp.len);
    }
    if (b->classic.len > 0) {
        memcpy(packed + b->exp.len, b->classic.ptr, b->classic.len);
    }
    exp_places(b->exp, s->n_exp, at);
    classic_places(b->classic, s, (uint32_t)b->exp.len, at + s->n_exp);
    *new = (struct scrape){.offset = in->offset,
                           .base_ms = b->times.base_ms,
                           .times = (const int64_t *)(const void *)times.ptr,
                           .values = values.ptr,
                           .packed = packed,
                           .packed_at = at};
    return new;
}

static struct sheet *sheet_new(struct rows *r, const struct intake *in, int64_t slot)
{
    struct sheets *of_shape = in->cached->attached;
    struct sheet *new = arena_calloc(&r->arena, 1, sizeof *new);
    struct slice tenant = arena_copy(&r->arena, in->batch->tenant);
    if (new == NULL || tenant.ptr == NULL) {
        return NULL;
    }
    *new = (struct sheet){.next = r->sheets,
                          .next_of_shape = of_shape->first,
                          .shape = &in->cached->shape,
                          .columns = of_shape->columns,
                          .tenant = tenant,
                          .class = in->batch->class,
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
        if (s->slot == slot && s->class == in->batch->class) {
            return s;
        }
    }
    return sheet_new(r, in, slot);
}

/* Room for an entry more. */
static bool sheet_prepare(struct rows *r, struct sheet *s)
{
    if (s->last != NULL && s->last->n < s->last->room) {
        return true;
    }
    uint32_t room = s->last == NULL ? LEAST_ENTRIES : s->last->room * 2;
    room = room > MOST_ENTRIES ? MOST_ENTRIES : room;
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

/* All memory first: what was begun when it ends is without rows. */
static bool slots_prepare(struct rows *r, const struct intake *in, struct objects *objects,
                          struct err *e)
{
    uint32_t n = in->times == NULL ? 1 : in->cached->shape.n_series;
    for (uint32_t i = 0; i < n; i++) {
        int64_t ts = in->times == NULL ? in->batch->times.base_ms : in->times[i];
        int64_t slot = key_slot(ts, r->hours);
        struct sheet *sheet = sheet_get(r, in, slot);
        if (sheet == NULL || !sheet_prepare(r, sheet) ||
            objects_get(objects, slot, in->batch->tenant) == NULL) {
            return no_memory(e);
        }
    }
    return true;
}

static void slots_fill(struct rows *r, const struct intake *in, const struct scrape *scrape)
{
    uint32_t n = in->times == NULL ? 1 : in->cached->shape.n_series;
    for (uint32_t i = 0; i < n; i++) {
        int64_t ts = in->times == NULL ? in->batch->times.base_ms : in->times[i];
        sheet_append(r, sheet_get(r, in, key_slot(ts, r->hours)), scrape);
    }
}

static void objects_note(const struct rows *r, const struct intake *in, struct objects *objects)
{
    uint32_t n_series = in->cached->shape.n_series;
    uint32_t n = in->times == NULL ? 1 : n_series;
    for (uint32_t i = 0; i < n; i++) {
        int64_t ts = in->times == NULL ? in->batch->times.base_ms : in->times[i];
        object_note(objects_get(objects, key_slot(ts, r->hours), in->batch->tenant), ts,
                    in->times == NULL ? n_series : 1);
    }
}

static bool intake_keep(struct rows *r, const struct intake *in, struct objects *objects,
                        struct err *e)
{
    if (in->cached->attached == NULL) {
        in->cached->attached = sheets_new(r, &in->cached->shape);
    }
    struct scrape *scrape = in->cached->attached == NULL ? NULL : scrape_new(r, in);
    if (scrape == NULL) {
        return no_memory(e);
    }
    if (!slots_prepare(r, in, objects, e)) {
        return false;
    }
    slots_fill(r, in, scrape);
    objects_note(r, in, objects);
    r->n_rows += in->cached->shape.n_series;
    r->n_packed_bytes += in->batch->exp.len + in->batch->classic.len;
    return true;
}

bool rows_add(struct rows *r, const struct batch *b, int64_t offset, struct objects *objects,
              bool *full, struct err *e)
{
    struct intake in = {.batch = b, .offset = offset};
    *full = false;
    if (b->shape.len == 0) {
        return true;
    }
    if (!shape_cache_get(&r->shapes, b->tenant, b->shape, &in.cached, e)) {
        e->kind = e->kind == ERR_FATAL ? ERR_RETRY : e->kind; /* no memory */
        return false;
    }
    const struct shape *s = &in.cached->shape;
    if (s->n_series == 0) {
        return true;
    }
    if (!batch_check_shape(b, s, e) || !histograms_check(r, b, s, e) || !times_take(r, &in, e)) {
        return false;
    }
    size_t need = rows_held_bytes(r) + intake_bytes(&in) + ARENA_SLACK;
    *full = r->n_entries > 0 && need > r->max_bytes;
    return *full || intake_keep(r, &in, objects, e);
}
