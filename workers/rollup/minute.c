#include "minute.h"

#include <stdlib.h>

#include "inside.h"

enum { DECODE_BYTES = 192 << 20, PLAN_BYTES = 256 << 20, AMENDS_BYTES = 64 << 20 };

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
    size_t n = m->streams.cost_bytes +
               (m->deadlines.cap + m->deadlines.cap_due) * sizeof *m->deadlines.items;
    size_t at = 0;
    for (const struct stream *s; (s = table_next(&m->streams, &at)) != NULL;) {
        n += s->n_bytes + s->late.cap * sizeof *s->late.points + s->late.n_packed_bytes;
    }
    return n;
}

int64_t minute_oldest_end(const struct minute *m)
{
    int64_t end_ms = INT64_MAX;
    size_t at = 0;
    for (const struct stream *s; (s = table_next(&m->streams, &at)) != NULL;) {
        if (s->n_windows > 0 && s->windows[0].start_ms + m->rules.window_ms < end_ms) {
            end_ms = s->windows[0].start_ms + m->rules.window_ms;
        }
    }
    return end_ms;
}

void minute_count(const struct minute *m, struct completeness *c)
{
    int64_t settled_ms = m->log_ms - rules_max_open_ms(&m->rules, m->rules.window_ms);
    size_t at = 0;
    for (const struct stream *s; (s = table_next(&m->streams, &at)) != NULL;) {
        completeness_count(c, s->tenant, &s->history, settled_ms, m->rules.window_ms);
    }
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

bool minute_close_until(struct minute *m, struct stream *s, int64_t until_ms, int64_t closed_at,
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
        !minute_close_until(m, s, INT64_MAX, closed_at, &m->counts.closed_by_idle, e)) {
        return false;
    }
    int64_t end_ms = oldest_end(m, s);
    if (end_ms != NEVER &&
        !minute_close_until(m, s, end_ms, closed_at, &m->counts.closed_by_age, e)) {
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
    if (!minute_close_until(m, s, five_end_ms, closed_at, &m->counts.closed_by_five, e)) {
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
int64_t minute_next_due(const struct minute *m, const struct stream *s)
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
    return deadlines_put(&m->deadlines, &s->deadline, minute_next_due(m, s)) || no_memory(e);
}

static bool is_forgotten(const struct minute *m, const struct stream *s)
{
    return s->n_windows == 0 && s->late.n == 0 && s->five == NULL &&
           minute_next_due(m, s) < m->log_ms && !m->rules.fault_no_horizon;
}

static void stream_forget(struct minute *m, struct stream *s)
{
    struct hash128 key = s->key;
    (void)table_remove(&m->streams, key);
    m->counts.streams_forgotten++;
    m->n_closings++;
}

static int64_t true_due(const void *minute, const struct deadline *d)
{
    return minute_next_due(minute, (const struct stream *)d);
}

static int stream_order(const void *a, const void *b)
{
    const struct stream *x = *(const struct stream *const *)a;
    const struct stream *y = *(const struct stream *const *)b;
    return stream_cmp(x->source, x->class, x->tenant, y->source, y->class, y->tenant);
}

/* Log time is that of the record at hand: what it was the deadline of happens before it, stream by
 * stream in an order that the log alone decides. */
static bool deadlines_run(struct minute *m, struct err *e)
{
    size_t n = 0;
    if (!deadlines_take(&m->deadlines, m->log_ms, true_due, m,
                        m->rules.fault_any_order ? NULL : stream_order, &n)) {
        return no_memory(e);
    }
    for (size_t i = 0; i < n; i++) {
        struct stream *s = (struct stream *)m->deadlines.due[i];
        if (!deadlines_of(m, s, m->record.offset - 1, e)) {
            return false;
        }
        if (is_forgotten(m, s)) {
            stream_forget(m, s);
            continue;
        }
        int64_t due = minute_next_due(m, s);
        if (due < m->log_ms) { /* only without the horizon */
            due = m->log_ms + rules_forget_ms(&m->rules);
        }
        if (!deadlines_put(&m->deadlines, &s->deadline, due)) {
            return no_memory(e);
        }
    }
    return true;
}

bool minute_time_passes(struct minute *m, int64_t offset, int64_t received_ms, struct err *e)
{
    m->record = (struct place){offset, m->log_ms};
    if (received_ms > m->log_ms) {
        m->log_ms = received_ms;
    }
    return deadlines_run(m, e);
}
