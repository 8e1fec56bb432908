#include "key.h"
#include "rollup_row.h"
#include "rows_inside.h"

enum {
    KEPT_BYTES = 1 << 20, /* what is left of a large record's buffers */
    MAX_AMENDS = 1 << 16  /* a week of minutes has a sixth of it */
};

/* A window of the record: the one that closed, or one of late amounts. */
struct window {
    struct intake intake;
    size_t packed_from; /* in the buffers, which move while they grow */
    size_t packed_to;
    size_t places_from;
};

static bool table_of(int64_t window_ms, enum table_id *out, struct err *e)
{
    switch (window_ms) {
    case 60000:
        *out = TABLE_ROLLUP_1M;
        return true;
    case 300000:
        *out = TABLE_ROLLUP_5M;
        return true;
    case 3600000:
        *out = TABLE_ROLLUP_1H;
        return true;
    default:
        return err_set(e, ERR_BAD_INPUT, "rollup: there is no table of windows of %lld ms",
                       (long long)window_ms);
    }
}

static void window_begin(const struct rows *r, struct window *w, int64_t end_ms,
                         struct cached_shape *cached)
{
    w->intake.base_ms = end_ms;
    w->intake.cached = cached;
    w->intake.n_slots = 1;
    w->intake.n_places = cached->shape.n_series + 1;
    w->packed_from = r->packed.len;
    w->places_from = r->places.len;
}

/* All is packed: the buffers stay where they are. */
static void windows_settle(const struct rows *r, struct window *windows, size_t n, int64_t offset)
{
    for (size_t i = 0; i < n; i++) {
        struct window *w = &windows[i];
        w->intake.offset = offset;
        w->intake.packed[0] =
            slice_of(r->packed.ptr + w->packed_from, w->packed_to - w->packed_from);
        w->intake.packed_at = (const uint32_t *)(const void *)(r->places.ptr + w->places_from);
    }
}

static bool row_window(struct rows *r, const struct rollup *rollup, struct window *w, struct err *e)
{
    struct cached_shape *cached;
    if (!rows_shape(r, rollup->tenant, rollup->shape, &cached, e)) {
        return false;
    }
    window_begin(r, w, rollup->end_ms, cached);
    bool ok = rollup_rows_pack(rollup, &cached->shape, &r->scratch, &r->packed, &r->places, e);
    w->packed_to = r->packed.len;
    return ok;
}

/* closed_at is not known in a part that others follow. */
static int64_t revision_of(const struct rollup *rollup)
{
    return rollup->closed_at < 0 ? 1 : rollup->closed_at + 1;
}

static bool amend_window(struct rows *r, const struct rollup *rollup, const struct rollup_amend *m,
                         struct window *w, struct err *e)
{
    struct rollup_amend_columns columns;
    struct cached_shape *cached;
    if (!rollup_amend_decode(m, &r->record, &columns, e) ||
        !rows_shape(r, rollup->tenant, m->shape, &cached, e)) {
        return false;
    }
    window_begin(r, w, m->end_ms, cached);
    bool ok = rollup_amends_pack(&columns, &cached->shape, revision_of(rollup), &r->scratch,
                                 &r->packed, &r->places, e);
    w->packed_to = r->packed.len;
    return ok;
}

/* An amend record's own columns say nothing new: its delta is all late, and its amends are what. */
static bool windows_pack(struct rows *r, const struct rollup *rollup, struct window *windows,
                         size_t *n, struct err *e)
{
    struct window empty = {.intake = {.tenant = rollup->tenant, .class = rollup->class}};
    if (!table_of(rollup->window_ms, &empty.intake.table, e)) {
        return false;
    }
    if (rollup->kind == ROLLUP_ROW && rollup->shape.len > 0) {
        windows[*n] = empty;
        if (!row_window(r, rollup, &windows[(*n)++], e)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < rollup->n_amends; i++) {
        windows[*n] = empty;
        if (!amend_window(r, rollup, &rollup->amends[i], &windows[(*n)++], e)) {
            return err_wrap(e, "amend %u", i);
        }
    }
    return true;
}

static bool windows_keep(struct rows *r, struct window *windows, size_t n, struct objects *objects,
                         struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (!intake_prepare(r, &windows[i].intake, objects, e)) {
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        intake_keep(r, &windows[i].intake, objects);
    }
    return true;
}

static int64_t window_slot(const struct rows *r, const struct window *w)
{
    return key_slot(w->intake.base_ms == INT64_MIN ? INT64_MIN : w->intake.base_ms - 1, r->hours);
}

/* Amends ascend, so those of a slot stand together; and the row's window may be of it, too. */
static void lines_count(const struct rows *r, struct window *windows, size_t n)
{
    size_t to;
    for (size_t from = 0; from < n; from = to) {
        int64_t slot = window_slot(r, &windows[from]);
        for (to = from + 1; to < n && window_slot(r, &windows[to]) == slot; to++) {
        }
        for (size_t i = from; i < to; i++) {
            windows[i].intake.n_lines = to - from + 1;
        }
    }
}

static bool windows_add(struct rows *r, struct window *windows, size_t n, struct objects *objects,
                        bool *full, struct err *e)
{
    size_t need = 0;
    lines_count(r, windows, n);
    for (size_t i = 0; i < n; i++) {
        need += intake_bytes(&windows[i].intake);
    }
    *full = rows_are_full(r, need);
    return *full || windows_keep(r, windows, n, objects, e);
}

static void buf_trim(struct buf *b)
{
    if (b->cap > KEPT_BYTES) {
        size_t max_bytes = b->max_bytes;
        buf_fini(b);
        buf_init(b, max_bytes);
    }
    buf_reset(b);
}

bool rows_add_rollup(struct rows *r, const struct rollup *rollup, int64_t offset,
                     struct objects *objects, bool *full, struct err *e)
{
    size_t n = 0;
    *full = false;
    if (rollup->kind == ROLLUP_HEARTBEAT) {
        return true;
    }
    if (rollup->n_amends > MAX_AMENDS) {
        return err_set(e, ERR_BAD_INPUT, "rollup: %u late windows, more than %d",
                       rollup->n_amends, MAX_AMENDS);
    }
    arena_reset(&r->record);
    struct window *windows = ARENA_ARRAY(&r->record, struct window, (size_t)rollup->n_amends + 1);
    if (windows == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for a rollup's windows");
    }
    bool ok = windows_pack(r, rollup, windows, &n, e);
    if (ok) {
        windows_settle(r, windows, n, offset);
        ok = windows_add(r, windows, n, objects, full, e);
    }
    buf_trim(&r->packed);
    buf_trim(&r->places);
    return ok;
}
