#include <math.h>

#include "batch/histogram_math.h"
#include "inside.h"

/* The batch at hand, read. */
struct intake {
    const struct batch *b;
    struct known_shape *k;
    const int64_t *times; /* NULL: all the same */
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

static void late_tell(const struct minute *m, const struct stream *s, const struct intake *in,
                      uint32_t i, struct late_told l)
{
    const struct trace *t = m->increase.trace;
    if (t != NULL) {
        l.slot = in->k->slots[i];
        l.ms = in->times == NULL ? in->b->times.base_ms : in->times[i];
        t->late(t->ctx, s, &l);
    }
}

/* A point whose window has closed. */
static bool late_point(struct minute *m, struct stream *s, const struct intake *in, uint32_t i,
                       int64_t end_ms, struct err *e)
{
    uint32_t at = in->k->slots[i];
    const struct slot *slot = &s->slots[at];
    uint32_t ordinal = in->k->ordinals == NULL ? i : in->k->ordinals[i];
    bool is_packed = slot_is_packed(slot);
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
    struct late_told told = {.end_ms = end_ms, .value = v, .packed = packed};
    if (!slot->delta && slot->kind != SERIES_GAUGE) {
        m->counts.late_dropped++;
        late_tell(m, s, in, i, told);
        return true;
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
    uint64_t *count = slot->kind == SERIES_GAUGE ? &m->counts.late_amended : &m->counts.late_folded;
    (*count)++;
    told.is_kept = true;
    late_tell(m, s, in, i, told);
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
    (*out)->offset = m->record.offset;
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
    m->n_points = in->n_points;
    m->counts.invalid += in->n_points - in->n_valid;
    bool ok = in->times == NULL ? points_take(m, s, in, e) : points_take_apart(m, s, in, e);
    if (!ok || !minute_close_until(m, s, s->watermark_ms, m->record.offset,
                                   &m->counts.closed_by_watermark, e)) {
        return false;
    }
    int64_t due = minute_next_due(m, s);
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
        return minute_time_passes(m, offset, b->received_ms, e);
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
    if (!minute_time_passes(m, offset, b->received_ms, e)) {
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
