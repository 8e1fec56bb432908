#include "hour.h"

#include <stdlib.h>

#include "stream.h"

enum { DECODE_BYTES = 192 << 20 };

/* The rows of a window so far, merged. */
struct hour_window {
    int64_t start_ms;
    int64_t since_ms;
    struct place first;
    struct rollup *row; /* owned, with its shape */
    size_t n_bytes;
};

struct hour_stream {
    struct deadline deadline; /* first */
    struct hash128 key;
    struct slice tenant; /* owned, behind the struct */
    enum batch_class class;
    uint64_t source;
    int64_t closed_end_ms;
    int64_t closed_at;
    int64_t row_ms;
    struct history history;
    int64_t watermark_ms;
    int64_t last_log_ms;
    struct hour_window *windows; /* owned, by start */
    uint32_t n_windows;
    uint32_t cap;
    struct hour_window late; /* row NULL: nothing is late */
    uint8_t name[];
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

static void stream_end(void *value)
{
    struct hour_stream *s = value;
    for (uint32_t i = 0; i < s->n_windows; i++) {
        free(s->windows[i].row);
    }
    free(s->late.row);
    free(s->windows);
    free(s);
}

bool hour_new(const struct rules *rules, const struct row_sink *sink, struct hour **out,
              struct err *e)
{
    struct hour *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return no_memory(e);
    }
    h->rules = *rules;
    h->sink = *sink;
    h->log_ms = NEVER;
    table_init(&h->streams, 0, stream_end);
    arena_init(&h->arena, DECODE_BYTES);
    increase_init(&h->increase);
    merger_init(&h->merger, &h->increase);
    *out = h;
    return true;
}

void hour_free(struct hour *h)
{
    if (h == NULL) {
        return;
    }
    table_fini(&h->streams);
    deadlines_fini(&h->deadlines);
    arena_fini(&h->arena);
    increase_fini(&h->increase);
    merger_fini(&h->merger);
    free(h);
}

static struct hour_stream *stream_get(struct hour *h, const struct rollup *row)
{
    struct hash128 key = stream_key(row->tenant, row->class, row->source);
    struct hour_stream *s = table_find(&h->streams, key);
    if (s != NULL) {
        return s;
    }
    s = calloc(1, sizeof *s + row->tenant.len);
    if (s == NULL) {
        return NULL;
    }
    s->key = key;
    s->class = row->class;
    s->source = row->source;
    if (row->tenant.len > 0) {
        memcpy(s->name, row->tenant.ptr, row->tenant.len);
    }
    s->tenant = slice_of(s->name, row->tenant.len);
    s->closed_end_ms = s->row_ms = s->watermark_ms = s->last_log_ms = NEVER;
    s->closed_at = -1;
    if (!table_put(&h->streams, key, s, sizeof *s + row->tenant.len)) {
        free(s);
        return NULL;
    }
    return s;
}

/* ---- windows ---- */

/* w's row becomes w's row and this one. */
static bool window_merge(struct hour *h, const struct hour_stream *s, struct hour_window *w,
                         const struct rollup *row, bool is_late, struct err *e)
{
    struct rollup merged;
    struct rollup before;
    if (w->row != NULL) {
        before = *w->row;
        before.tenant = s->tenant;
    }
    if (!rows_merge(&h->merger, w->row == NULL ? NULL : &before, row, is_late, NULL, &merged, e)) {
        return err_wrap(e, "1 h row");
    }
    struct rollup *copy = rollup_copy(&merged, true, &w->n_bytes);
    if (copy == NULL) {
        return no_memory(e);
    }
    free(w->row);
    w->row = copy;
    return true;
}

static struct hour_window *window_get(struct hour *h, struct hour_stream *s, int64_t start_ms)
{
    uint32_t at = s->n_windows;
    while (at > 0 && s->windows[at - 1].start_ms > start_ms) {
        at--;
    }
    if (at > 0 && s->windows[at - 1].start_ms == start_ms) {
        return &s->windows[at - 1];
    }
    if (s->n_windows == s->cap) {
        uint32_t cap = s->cap == 0 ? 2 : s->cap * 2;
        struct hour_window *windows = reallocarray(s->windows, cap, sizeof *windows);
        if (windows == NULL) {
            return NULL;
        }
        s->windows = windows;
        s->cap = cap;
    }
    memmove(s->windows + at + 1, s->windows + at, (s->n_windows - at) * sizeof *s->windows);
    s->windows[at] =
        (struct hour_window){.start_ms = start_ms, .since_ms = h->log_ms, .first = h->record};
    s->n_windows++;
    h->counts.opened++;
    return &s->windows[at];
}

static bool row_emit(struct hour *h, struct hour_stream *s, enum rollup_kind kind, int64_t end_ms,
                     int64_t closed_at, const struct hour_window *w, struct err *e)
{
    struct rollup row = *w->row;
    row.kind = kind;
    row.tenant = s->tenant;
    row.window_ms = h->rules.window_ms;
    row.end_ms = end_ms;
    row.closed_at = closed_at;
    row.part = 0;
    const struct leaving l = {
        .row = &row, .log_ms = h->log_ms, .needs = place_first(h->record, w->first)};
    h->counts.rows++;
    s->closed_at = closed_at;
    s->row_ms = h->log_ms;
    return h->sink.put(h->sink.ctx, &l, e);
}

static void late_end(struct hour_stream *s)
{
    free(s->late.row);
    s->late = (struct hour_window){0};
}

static bool hour_close(struct hour *h, struct hour_stream *s, int64_t closed_at, struct err *e)
{
    struct hour_window *w = &s->windows[0];
    int64_t end_ms = w->start_ms + h->rules.window_ms;
    if (s->late.row != NULL) {
        struct rollup row = *w->row;
        row.tenant = s->tenant;
        s->late.first = place_first(s->late.first, w->first);
        if (!window_merge(h, s, &s->late, &row, false, e)) {
            return false;
        }
    }
    if (!row_emit(h, s, ROLLUP_ROW, end_ms, closed_at, s->late.row != NULL ? &s->late : w, e)) {
        return false;
    }
    s->closed_end_ms = end_ms;
    history_add(&s->history, end_ms, h->rules.window_ms);
    late_end(s);
    free(w->row);
    s->n_windows--;
    memmove(s->windows, s->windows + 1, s->n_windows * sizeof *s->windows);
    return true;
}

static bool close_until(struct hour *h, struct hour_stream *s, int64_t until_ms, int64_t closed_at,
                        uint64_t *count, struct err *e)
{
    while (s->n_windows > 0 && s->windows[0].start_ms + h->rules.window_ms <= until_ms) {
        (*count)++;
        if (!hour_close(h, s, closed_at, e)) {
            return false;
        }
    }
    return true;
}

/* ---- deadlines ---- */

static bool deadlines_of(struct hour *h, struct hour_stream *s, int64_t closed_at, struct err *e)
{
    int64_t max_open_ms = rules_max_open_ms(&h->rules, h->rules.window_ms);
    if (s->n_windows > 0 && h->log_ms - s->last_log_ms > h->rules.idle_ms &&
        !close_until(h, s, INT64_MAX, closed_at, &h->counts.closed_by_idle, e)) {
        return false;
    }
    int64_t end_ms = NEVER;
    for (uint32_t i = 0; i < s->n_windows; i++) {
        if (h->log_ms - s->windows[i].since_ms > max_open_ms) {
            end_ms = s->windows[i].start_ms + h->rules.window_ms;
        }
    }
    if (end_ms != NEVER && !close_until(h, s, end_ms, closed_at, &h->counts.closed_by_age, e)) {
        return false;
    }
    if (s->late.row != NULL && h->log_ms - s->late.since_ms > max_open_ms) {
        h->counts.amends++;
        if (!row_emit(h, s, ROLLUP_AMEND, s->closed_end_ms, closed_at, &s->late, e)) {
            return false;
        }
        late_end(s);
    }
    return true;
}

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_due(const struct hour *h, const struct hour_stream *s)
{
    int64_t max_open_ms = rules_max_open_ms(&h->rules, h->rules.window_ms);
    int64_t due = s->n_windows > 0 ? s->last_log_ms + h->rules.idle_ms : INT64_MAX;
    for (uint32_t i = 0; i < s->n_windows; i++) {
        due = min_ms(due, s->windows[i].since_ms + max_open_ms);
    }
    if (s->late.row != NULL) {
        due = min_ms(due, s->late.since_ms + max_open_ms);
    }
    if (due == INT64_MAX) {
        due = (s->row_ms == NEVER ? s->last_log_ms : s->row_ms) + rules_forget_ms(&h->rules);
    }
    return due;
}

static int64_t true_due(const void *hour, const struct deadline *d)
{
    return next_due(hour, (const struct hour_stream *)d);
}

static int stream_order(const void *a, const void *b)
{
    const struct hour_stream *x = *(const struct hour_stream *const *)a;
    const struct hour_stream *y = *(const struct hour_stream *const *)b;
    return stream_cmp(x->source, x->class, x->tenant, y->source, y->class, y->tenant);
}

static bool time_passes(struct hour *h, int64_t offset, int64_t log_ms, struct err *e)
{
    size_t n = 0;
    h->record = (struct place){offset, h->log_ms};
    h->log_ms = log_ms > h->log_ms ? log_ms : h->log_ms;
    if (!deadlines_take(&h->deadlines, h->log_ms, true_due, h,
                        h->rules.fault_any_order ? NULL : stream_order, &n)) {
        return no_memory(e);
    }
    for (size_t i = 0; i < n; i++) {
        struct hour_stream *s = (struct hour_stream *)h->deadlines.due[i];
        if (!deadlines_of(h, s, offset - 1, e)) {
            return false;
        }
        int64_t due = next_due(h, s);
        if (due < h->log_ms) { /* nothing is open, and it is beyond memory */
            (void)table_remove(&h->streams, s->key);
            h->counts.streams_forgotten++;
        } else if (!deadlines_put(&h->deadlines, &s->deadline, due)) {
            return no_memory(e);
        }
    }
    return true;
}

/* ---- rows ---- */

static bool row_late(struct hour *h, struct hour_stream *s, const struct rollup *row, struct err *e)
{
    const uint64_t n_gauges = row->gauges.len / (GAUGE_COLUMNS * sizeof(double));
    bool is_first = s->late.row == NULL;
    h->counts.late_dropped += n_gauges;
    h->counts.late_folded += row->n_series - n_gauges;
    if (!window_merge(h, s, &s->late, row, true, e)) {
        return false;
    }
    if (s->late.row->n_series == 0) {
        late_end(s); /* gauges alone */
    } else if (is_first) {
        s->late.since_ms = h->log_ms;
        s->late.first = h->record;
    }
    return true;
}

static bool row_put(struct hour *h, struct hour_stream *s, const struct rollup *row, struct err *e)
{
    int64_t ms = row->end_ms - 1;
    int64_t start_ms = window_start(ms, h->rules.window_ms);
    s->last_log_ms = h->log_ms;
    if (ms < h->log_ms - h->rules.horizon_ms) {
        h->counts.too_old += row->n_series;
        return true;
    }
    if (start_ms + h->rules.window_ms <= s->closed_end_ms) {
        if (h->record.offset <= s->closed_at && !h->rules.fault_no_closed_at) {
            h->counts.reread += row->n_series;
            return true;
        }
        return row_late(h, s, row, e);
    }
    struct hour_window *w = window_get(h, s, start_ms);
    if (w == NULL) {
        return no_memory(e);
    }
    if (ms - h->rules.lateness_ms > s->watermark_ms) {
        s->watermark_ms = ms - h->rules.lateness_ms;
    }
    return window_merge(h, s, w, row, false, e) &&
           close_until(h, s, s->watermark_ms, h->record.offset, &h->counts.closed_by_watermark, e);
}

static bool row_read(struct hour *h, struct slice bytes, struct rollup *row, struct err *e)
{
    struct shape shape = {0};
    arena_reset(&h->arena);
    return rollup_decode(bytes, &h->arena, row, e) &&
           (row->shape.len == 0 ||
            shape_decode(row->shape, row->tenant, &shape_default_caps, &h->arena, &shape, e)) &&
           rollup_check(row, &shape, e);
}

bool hour_take(struct hour *h, int64_t offset, int64_t log_ms, struct slice bytes, struct err *e)
{
    struct rollup row;
    if (!row_read(h, bytes, &row, e)) {
        return false;
    }
    if (row.kind == ROLLUP_ROW && row.window_ms != FIVE_MS) {
        return err_set(e, ERR_BAD_INPUT, "a row of %lld ms, not of 5 m", (long long)row.window_ms);
    }
    if (!time_is_sane(log_ms) || !time_is_sane(row.end_ms)) {
        return err_set(e, ERR_BAD_INPUT, "a row whose times are none");
    }
    if (!time_passes(h, offset, log_ms, e)) {
        return false;
    }
    if (row.kind != ROLLUP_ROW) {
        return true;
    }
    struct hour_stream *s = stream_get(h, &row);
    return s != NULL
               ? row_put(h, s, &row, e) &&
                     (deadlines_put(&h->deadlines, &s->deadline, next_due(h, s)) || no_memory(e))
               : no_memory(e);
}

bool hour_restore(struct hour *h, struct slice bytes, int64_t log_ms, struct err *e)
{
    struct rollup row;
    if (!row_read(h, bytes, &row, e) || row.window_ms != h->rules.window_ms) {
        return err_set(e, ERR_FATAL, "not a row of 1 h");
    }
    struct hour_stream *s = stream_get(h, &row);
    if (s == NULL) {
        return no_memory(e);
    }
    s->row_ms = log_ms;
    if (row.kind == ROLLUP_ROW && row.closed_at >= 0) {
        history_add(&s->history, row.end_ms, h->rules.window_ms);
    }
    s->closed_end_ms = row.kind == ROLLUP_ROW ? row.end_ms : s->closed_end_ms;
    s->closed_at = row.closed_at >= 0 ? row.closed_at : s->closed_at;
    return deadlines_put(&h->deadlines, &s->deadline, next_due(h, s)) || no_memory(e);
}

void hour_restored(struct hour *h, int64_t log_ms)
{
    h->log_ms = log_ms;
    h->counts = (struct rollup_counts){0};
}

struct place hour_needs(const struct hour *h, struct place position)
{
    size_t at = 0;
    for (const struct hour_stream *s; (s = table_next(&h->streams, &at)) != NULL;) {
        for (uint32_t i = 0; i < s->n_windows; i++) {
            position = place_first(position, s->windows[i].first);
        }
        position = s->late.row == NULL ? position : place_first(position, s->late.first);
    }
    return position;
}

void hour_count(const struct hour *h, struct completeness *c)
{
    int64_t settled_ms = h->log_ms - rules_max_open_ms(&h->rules, h->rules.window_ms);
    size_t at = 0;
    for (const struct hour_stream *s; (s = table_next(&h->streams, &at)) != NULL;) {
        completeness_count(c, s->tenant, &s->history, settled_ms, h->rules.window_ms);
    }
}

size_t hour_bytes(const struct hour *h)
{
    size_t n = h->streams.cost_bytes +
               (h->deadlines.cap + h->deadlines.cap_due) * sizeof *h->deadlines.items;
    size_t at = 0;
    for (const struct hour_stream *s; (s = table_next(&h->streams, &at)) != NULL;) {
        n += s->late.n_bytes;
        for (uint32_t i = 0; i < s->n_windows; i++) {
            n += s->windows[i].n_bytes;
        }
    }
    return n;
}
