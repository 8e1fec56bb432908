#include "minute.h"

#include <math.h>
#include <stdlib.h>

#include "batch/histogram_math.h"
#include "inside.h"

enum { DECODE_BYTES = 192 << 20, PLAN_BYTES = 256 << 20, AMENDS_BYTES = 8 << 20 };

static void stream_free_any(void *s)
{
    stream_free(s);
}

bool minute_new(const struct rules *rules, const struct row_sink *sink, struct minute **out,
                struct err *e)
{
    struct minute *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return no_memory(e);
    }
    m->rules = *rules;
    m->sink = *sink;
    m->log_ms = NEVER;
    table_init(&m->streams, 0, stream_free_any);
    arena_init(&m->arena, DECODE_BYTES);
    arena_init(&m->plan, PLAN_BYTES);
    increase_init(&m->increase);
    m->increase.horizon_ms = rules->horizon_ms;
    merger_init(&m->merger, &m->increase);
    columns_init(&m->columns);
    buf_init(&m->amends, AMENDS_BYTES);
    *out = m;
    return true;
}

void minute_free(struct minute *m)
{
    if (m == NULL) {
        return;
    }
    table_fini(&m->streams);
    deadlines_fini(&m->deadlines);
    arena_fini(&m->arena);
    arena_fini(&m->plan);
    increase_fini(&m->increase);
    merger_fini(&m->merger);
    columns_fini(&m->columns);
    buf_fini(&m->amends);
    free(m->points.items);
    free(m);
}

size_t minute_bytes(const struct minute *m)
{
    size_t n = m->streams.cost_bytes + m->deadlines.cap * sizeof *m->deadlines.items;
    size_t at = 0;
    for (const struct stream *s; (s = table_next(&m->streams, &at)) != NULL;) {
        n += s->n_bytes + s->late.cap * sizeof *s->late.points;
    }
    return n;
}

struct place minute_needs(const struct minute *m, struct place position)
{
    struct place needs = position;
    size_t at = 0;
    for (const struct stream *s; (s = table_next(&m->streams, &at)) != NULL;) {
        for (uint32_t i = 0; i < s->n_windows; i++) {
            const struct window *w = &s->windows[i];
            needs = place_first(needs, (struct place){w->offset, w->log_before_ms});
        }
        if (s->late.n > 0) {
            needs = place_first(needs, (struct place){s->late.offset, s->late.log_before_ms});
        }
    }
    return needs;
}

struct stream *minute_stream_add(struct minute *m, struct hash128 key, struct slice tenant,
                                 enum batch_class class, uint64_t source, struct slice source_name)
{
    struct stream *s = stream_new(key, tenant, class, source, source_name);
    if (s == NULL || !table_put(&m->streams, key, s, 0)) {
        stream_free(s);
        return NULL;
    }
    return s;
}

/* ---- deadlines ---- */

static bool close_until(struct minute *m, struct stream *s, int64_t until_ms, int64_t closed_at,
                        uint64_t *count, struct err *e)
{
    while (s->n_windows > 0 && s->windows[0].start_ms + m->rules.window_ms <= until_ms) {
        (*count)++;
        if (!minute_close(m, s, s->windows[0].start_ms + m->rules.window_ms, closed_at, e)) {
            return false;
        }
    }
    return true;
}

static int64_t oldest_end(const struct minute *m, const struct stream *s)
{
    int64_t max_open_ms = rules_max_open_ms(&m->rules, m->rules.window_ms);
    int64_t end_ms = NEVER;
    for (uint32_t i = 0; i < s->n_windows; i++) {
        if (m->log_ms - s->windows[i].since_ms > max_open_ms) {
            end_ms = s->windows[i].start_ms + m->rules.window_ms;
        }
    }
    return end_ms;
}

/* In the model's order (rollup_model.py: deadlines). */
static bool deadlines_of(struct minute *m, struct stream *s, int64_t closed_at, struct err *e)
{
    const struct rules *r = &m->rules;
    if (s->n_windows > 0 && m->log_ms - s->last_log_ms > r->idle_ms &&
        !close_until(m, s, INT64_MAX, closed_at, &m->counts.closed_by_idle, e)) {
        return false;
    }
    int64_t end_ms = oldest_end(m, s);
    if (end_ms != NEVER &&
        !close_until(m, s, end_ms, closed_at, &m->counts.closed_by_age, e)) {
        return false;
    }
    if (s->late.n > 0 && m->log_ms - s->late.since_ms > rules_max_open_ms(r, r->window_ms) &&
        !minute_amend(m, s, closed_at, e)) {
        return false;
    }
    if (s->five == NULL || m->log_ms - s->five_since_ms <= rules_max_open_ms(r, FIVE_MS)) {
        return true;
    }
    int64_t five_end_ms = s->five_end_ms;
    if (!close_until(m, s, five_end_ms, closed_at, &m->counts.closed_by_five, e)) {
        return false;
    }
    if (s->closed_end_ms < five_end_ms) { /* a row, empty if need be, so that closed_at is told */
        m->counts.closed_by_five++;
        return minute_close(m, s, five_end_ms, closed_at, e);
    }
    return true;
}

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The time that must be exceeded for something to happen. */
static int64_t next_due(const struct minute *m, const struct stream *s)
{
    const struct rules *r = &m->rules;
    int64_t due = INT64_MAX;
    if (s->n_windows > 0) {
        due = s->last_log_ms + r->idle_ms;
    }
    for (uint32_t i = 0; i < s->n_windows; i++) {
        due = min_ms(due, s->windows[i].since_ms + rules_max_open_ms(r, r->window_ms));
    }
    if (s->late.n > 0) {
        due = min_ms(due, s->late.since_ms + rules_max_open_ms(r, r->window_ms));
    }
    if (s->five != NULL) {
        due = min_ms(due, s->five_since_ms + rules_max_open_ms(r, FIVE_MS));
    }
    if (due == INT64_MAX) {
        due = (s->row_ms == NEVER ? s->last_log_ms : s->row_ms) + rules_forget_ms(r);
    }
    return due;
}

bool minute_due(struct minute *m, struct stream *s, struct err *e)
{
    return deadlines_put(&m->deadlines, &s->deadline, next_due(m, s)) || no_memory(e);
}

static bool is_forgotten(const struct minute *m, const struct stream *s)
{
    return s->n_windows == 0 && s->late.n == 0 && s->five == NULL && next_due(m, s) < m->log_ms &&
           !m->rules.fault_no_horizon;
}

static void stream_forget(struct minute *m, struct stream *s)
{
    struct hash128 key = s->key;
    deadlines_remove(&m->deadlines, &s->deadline);
    (void)table_remove(&m->streams, key);
    m->counts.streams_forgotten++;
    m->n_closings++;
}

/* Log time is that of the record at hand: what it was the deadline of happens before it. */
static bool deadlines_run(struct minute *m, struct err *e)
{
    struct deadline *d;
    while ((d = deadlines_first(&m->deadlines, m->log_ms)) != NULL) {
        struct stream *s = (struct stream *)d;
        if (!deadlines_of(m, s, m->record.offset - 1, e)) {
            return false;
        }
        if (is_forgotten(m, s)) {
            stream_forget(m, s);
            continue;
        }
        int64_t due = next_due(m, s);
        if (due < m->log_ms) { /* only without the horizon */
            due = m->log_ms + rules_forget_ms(&m->rules);
        }
        if (!deadlines_put(&m->deadlines, d, due)) {
            return no_memory(e);
        }
    }
    return true;
}

static bool time_passes(struct minute *m, int64_t offset, int64_t received_ms, struct err *e)
{
    m->record = (struct place){offset, m->log_ms};
    if (received_ms > m->log_ms) {
        m->log_ms = received_ms;
    }
    return deadlines_run(m, e);
}

/* ---- a batch ---- */

/* The batch at hand, read. */
struct intake {
    const struct batch *b;
    struct known_shape *k;
    const int64_t *times;  /* NULL: all the same */
    const int64_t *starts;
    const uint32_t *at; /* of packed histograms */
    uint32_t n_points;
    uint32_t n_valid;
};

static const struct series *first_series(const struct shape *shape)
{
    return shape->n_series == 0 ? NULL : &shape->series[0];
}

/* Is it what we have seen, but for values? Else the shape is decoded. */
static bool shape_check(struct minute *m, struct stream *s, const struct batch *b,
                        struct known_shape **k, struct shape *shape, struct err *e)
{
    arena_reset(&m->arena);
    *k = s == NULL ? NULL : stream_shape_find(s, b->shape);
    if (*k != NULL) {
        bool fits = b->values.len == (size_t)(*k)->n_scalars * sizeof(double) &&
                    (b->times.n_deltas == 0 || b->times.n_deltas == (*k)->n_series) &&
                    (b->starts.n_deltas == 0 || b->starts.n_deltas == (*k)->n_series);
        return fits || err_set(e, ERR_BAD_INPUT, "batch: other columns than its shape has");
    }
    if (!shape_decode(b->shape, b->tenant, &shape_default_caps, &m->arena, shape, e) ||
        !batch_check_shape(b, shape, e)) {
        return false;
    }
    return first_series(shape) != NULL || err_set(e, ERR_BAD_INPUT, "batch: no series");
}

static bool times_read(struct minute *m, const struct batch_times *t, uint32_t n,
                       const int64_t **out, struct err *e)
{
    *out = NULL;
    if (t->n_deltas == 0) {
        return true;
    }
    int64_t *times = arena_alloc(&m->arena, n * sizeof *times);
    *out = times;
    return times == NULL ? no_memory(e) : batch_times_decode(t, n, times, e);
}

/* Where each packed histogram begins. */
static bool packed_index(struct minute *m, const struct stream *s, struct intake *in, struct err *e)
{
    const struct known_shape *k = in->k;
    uint32_t n = 0;
    if (k->n_exp + k->n_classic == 0) {
        return true;
    }
    uint32_t *at = arena_alloc(&m->arena, (k->n_exp + k->n_classic + 1) * sizeof *at);
    if (at == NULL) {
        return no_memory(e);
    }
    struct cursor exp = cursor_of(in->b->exp);
    struct cursor classic = cursor_of(in->b->classic);
    for (uint32_t i = 0; i < k->n_exp; i++) {
        at[n++] = (uint32_t)cursor_at(&exp);
        (void)exp_histogram_skip(&exp);
    }
    for (uint32_t i = 0; i < k->n_series; i++) {
        const struct slot *slot = &s->slots[k->slots[i]];
        if (slot->kind == SERIES_CLASSIC_HISTOGRAM) {
            at[n++] = (uint32_t)(in->b->exp.len + cursor_at(&classic));
            (void)classic_histogram_skip(&classic, slot->n_bounds);
        }
    }
    at[n] = (uint32_t)(in->b->exp.len + in->b->classic.len);
    in->at = at;
    bool ok = cursor_ok(&exp) && cursor_left(&exp) == 0 && cursor_ok(&classic) &&
              cursor_left(&classic) == 0;
    return ok || err_set(e, ERR_BAD_INPUT, "batch: other histograms than its shape has");
}

static bool values_are_finite(const uint8_t *values, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        double v;
        memcpy(&v, values + i * sizeof v, sizeof v);
        if (!isfinite(v)) {
            return false;
        }
    }
    return true;
}

/* Points whose values say something. */
static uint32_t count_valid(const struct stream *s, const struct intake *in)
{
    if (values_are_finite(in->b->values.ptr, in->k->n_scalars)) {
        return in->n_points;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < in->n_points; i++) {
        const struct slot *slot = &s->slots[in->k->slots[i]];
        uint32_t ordinal = in->k->ordinals == NULL ? i : in->k->ordinals[i];
        n += slot_is_packed(slot) ||
             value_counts((enum series_kind)slot->kind, batch_value(in->b, ordinal));
    }
    return n;
}

static bool packed_counts(struct minute *m, const struct slot *slot, struct slice packed)
{
    struct err why = ERR_INIT;
    struct cursor c = cursor_of(packed);
    arena_reset(&m->increase.arena);
    if (slot->kind == SERIES_EXP_HISTOGRAM) {
        struct exp_histogram h;
        return exp_histogram_decode(&c, UINT16_MAX, &m->increase.arena, &h, &why) &&
               !exp_histogram_is_stale(&h);
    }
    struct classic_histogram h;
    return classic_histogram_decode(&c, slot->n_bounds, &m->increase.arena, &h, &why) && !h.stale;
}

/* A point whose window has closed. */
static bool late_point(struct minute *m, struct stream *s, const struct intake *in, uint32_t i,
                       int64_t end_ms, struct err *e)
{
    uint32_t at = in->k->slots[i];
    const struct slot *slot = &s->slots[at];
    uint32_t ordinal = in->k->ordinals == NULL ? i : in->k->ordinals[i];
    bool is_packed = slot_is_packed(slot);
    if (!slot->delta && slot->kind != SERIES_GAUGE) {
        m->counts.late_dropped++;
        return true;
    }
    struct slice packed = SLICE_NONE;
    double v = 0;
    if (is_packed) {
        uint32_t n = slot->kind == SERIES_CLASSIC_HISTOGRAM ? in->k->n_exp + ordinal : ordinal;
        const uint8_t *column = slot->kind == SERIES_CLASSIC_HISTOGRAM
                                    ? in->b->classic.ptr + (in->at[n] - in->b->exp.len)
                                    : in->b->exp.ptr + in->at[n];
        packed = slice_of(column, in->at[n + 1] - in->at[n]);
    } else {
        v = batch_value(in->b, ordinal);
    }
    if (is_packed ? !packed_counts(m, slot, packed)
                  : !value_counts((enum series_kind)slot->kind, v) || double_is_stale(v)) {
        return true;
    }
    if (s->late.n == 0) {
        s->late.since_ms = m->log_ms;
        s->late.offset = m->record.offset;
        s->late.log_before_ms = m->record.log_before_ms;
    }
    uint64_t *count =
        slot->kind == SERIES_GAUGE ? &m->counts.late_amended : &m->counts.late_folded;
    (*count)++;
    return late_add(&s->late, end_ms, at, v, packed) || no_memory(e);
}

static bool window_take(struct minute *m, struct stream *s, int64_t start_ms, struct scrape *x,
                        struct err *e)
{
    bool is_new;
    struct window *w = stream_window(s, start_ms, &is_new);
    if (w == NULL) {
        return no_memory(e);
    }
    if (is_new) {
        m->counts.opened++;
        w->offset = m->record.offset;
        w->log_before_ms = m->record.log_before_ms;
        w->since_ms = m->log_ms;
    }
    return (w->n_scrapes > 0 && w->scrapes[w->n_scrapes - 1] == x) || window_add(w, x) ||
           no_memory(e);
}

enum fate { FATE_INVALID, FATE_TOO_OLD, FATE_CLOSED, FATE_REREAD, FATE_OPEN };

static enum fate fate_of(const struct minute *m, const struct stream *s, int64_t ms,
                         int64_t *start_ms)
{
    if (!time_is_sane(ms)) {
        return FATE_INVALID;
    }
    *start_ms = window_start(ms, m->rules.window_ms);
    if (ms < m->log_ms - m->rules.horizon_ms && !m->rules.fault_no_horizon) {
        return FATE_TOO_OLD;
    }
    if (*start_ms + m->rules.window_ms > s->closed_end_ms) {
        return FATE_OPEN;
    }
    bool is_there = m->record.offset <= s->closed_at && !m->rules.fault_no_closed_at;
    return is_there ? FATE_REREAD : FATE_CLOSED;
}

static void watermark_move(const struct minute *m, struct stream *s, int64_t ms)
{
    if (ms - m->rules.lateness_ms > s->watermark_ms) {
        s->watermark_ms = ms - m->rules.lateness_ms;
    }
}

static bool scrape_take(struct minute *m, struct stream *s, const struct intake *in,
                        struct scrape **out, struct err *e)
{
    *out = scrape_new(s, in->k, in->b, in->times, in->starts, in->at);
    if (*out == NULL) {
        return no_memory(e);
    }
    (*out)->min_ms = m->rules.fault_no_horizon ? NEVER : m->log_ms - m->rules.horizon_ms;
    (*out)->is_partial = in->times != NULL || in->n_valid < in->n_points;
    return true;
}

/* All points have the same time. */
static bool points_take(struct minute *m, struct stream *s, const struct intake *in, struct err *e)
{
    int64_t start_ms;
    int64_t ms = in->b->times.base_ms;
    struct scrape *x;
    switch (fate_of(m, s, ms, &start_ms)) {
    case FATE_INVALID:
        m->counts.invalid += in->n_valid;
        return true;
    case FATE_TOO_OLD:
        m->counts.too_old += in->n_valid;
        return true;
    case FATE_REREAD:
        m->counts.reread += in->n_valid;
        return true;
    case FATE_CLOSED:
        for (uint32_t i = 0; i < in->n_points; i++) {
            if (!late_point(m, s, in, i, start_ms + m->rules.window_ms, e)) {
                return false;
            }
        }
        return true;
    case FATE_OPEN:
        break;
    }
    if (in->n_valid == 0) {
        return true;
    }
    if (!scrape_take(m, s, in, &x, e)) {
        return false;
    }
    bool ok = window_take(m, s, start_ms, x, e);
    scrape_unref(s, x);
    watermark_move(m, s, ms);
    return ok;
}

/* Each point has a time of its own. */
static bool points_take_apart(struct minute *m, struct stream *s, const struct intake *in,
                              struct err *e)
{
    struct scrape *x;
    if (!scrape_take(m, s, in, &x, e)) {
        return false;
    }
    bool ok = true;
    for (uint32_t i = 0; ok && i < in->n_points; i++) {
        int64_t start_ms;
        const struct slot *slot = &s->slots[in->k->slots[i]];
        uint32_t ordinal = in->k->ordinals == NULL ? i : in->k->ordinals[i];
        if (!slot_is_packed(slot) &&
            !value_counts((enum series_kind)slot->kind, x->values[ordinal])) {
            continue;
        }
        switch (fate_of(m, s, in->times[i], &start_ms)) {
        case FATE_INVALID:
            m->counts.invalid++;
            break;
        case FATE_TOO_OLD:
            m->counts.too_old++;
            break;
        case FATE_REREAD:
            m->counts.reread++;
            break;
        case FATE_CLOSED:
            ok = late_point(m, s, in, i, start_ms + m->rules.window_ms, e);
            break;
        case FATE_OPEN:
            ok = window_take(m, s, start_ms, x, e);
            watermark_move(m, s, in->times[i]);
            break;
        }
    }
    scrape_unref(s, x);
    return ok;
}

/* The stream, and what it knows of the shape. */
static bool stream_of(struct minute *m, const struct batch *b, struct hash128 key,
                      const struct shape *shape, struct stream **out, struct known_shape **k,
                      struct err *e)
{
    struct stream *s = table_find(&m->streams, key);
    if (s == NULL) {
        s = minute_stream_add(m, key, b->tenant, b->class, b->source, shape->source_name);
    }
    if (s != NULL && s->source_name.len == 0) {
        stream_name(s, shape->source_name); /* so far it had rows without series */
    }
    *out = s;
    *k = s == NULL ? NULL : stream_shape_find(s, b->shape);
    if (*k == NULL && s != NULL) {
        *k = stream_shape_add(s, shape);
    }
    return *k != NULL || no_memory(e);
}

static bool points_put(struct minute *m, struct stream *s, const struct intake *in, struct err *e)
{
    s->last_log_ms = m->log_ms;
    m->counts.invalid += in->n_points - in->n_valid;
    bool ok = in->times == NULL ? points_take(m, s, in, e) : points_take_apart(m, s, in, e);
    if (!ok || !close_until(m, s, s->watermark_ms, m->record.offset,
                            &m->counts.closed_by_watermark, e)) {
        return false;
    }
    int64_t due = next_due(m, s);
    if (s->deadline.at == 0 || due < s->deadline.due_ms) {
        return deadlines_put(&m->deadlines, &s->deadline, due) || no_memory(e);
    }
    return true;
}

/* Reads all of the batch that can be bad. */
static bool intake_read(struct minute *m, struct stream *s, struct intake *in, struct err *e)
{
    in->n_points = in->k->n_series;
    if (!times_read(m, &in->b->times, in->n_points, &in->times, e) ||
        !times_read(m, &in->b->starts, in->n_points, &in->starts, e) ||
        !packed_index(m, s, in, e)) {
        return false;
    }
    in->n_valid = count_valid(s, in);
    return true;
}

bool minute_take(struct minute *m, int64_t offset, const struct batch *b, struct err *e)
{
    if (!time_is_sane(b->received_ms)) {
        return err_set(e, ERR_BAD_INPUT, "batch: received_ms %lld is no time",
                       (long long)b->received_ms);
    }
    if (b->shape.len == 0) { /* a heartbeat */
        return time_passes(m, offset, b->received_ms, e);
    }
    struct hash128 key = stream_key(b->tenant, b->class, b->source);
    struct stream *s = table_find(&m->streams, key);
    struct intake in = {.b = b};
    struct shape shape;
    if (!shape_check(m, s, b, &in.k, &shape, e)) {
        return false;
    }
    bool is_known = in.k != NULL;
    if (is_known && !intake_read(m, s, &in, e)) {
        return false;
    }
    uint64_t n_closings = m->n_closings;
    if (!time_passes(m, offset, b->received_ms, e)) {
        return false;
    }
    if (!is_known || n_closings != m->n_closings) {
        /* The stream or its knowledge of the shape may be gone. What was read was right. */
        struct err why = ERR_INIT;
        if ((is_known &&
             !shape_decode(b->shape, b->tenant, &shape_default_caps, &m->arena, &shape, e)) ||
            !stream_of(m, b, key, &shape, &s, &in.k, e) || !intake_read(m, s, &in, &why)) {
            return err_set(e, ERR_FATAL, "a batch that was checked: %s",
                           e->kind == ERR_NONE ? why.text : "out of memory");
        }
    }
    return points_put(m, s, &in, e);
}
