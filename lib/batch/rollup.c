#include "batch/rollup.h"

#include "base/utf8.h"
#include "batch/histogram.h"
#include "batch/versions.h"
#include "rollup_avsc.h"
#include "wire/avro_blocks.h"

enum { MAX_ROLLUP_BYTES = 16 << 20 };

static struct schema_versions rollup_versions = {
    .name = "rollup",
    .head = ROLLUP_HEAD,
    .current = {ROLLUP_FINGERPRINT, rollup_avsc},
};

/* ---- writing ---- */

static void block_open(struct buf *out, size_t n)
{
    if (n > 0) {
        buf_zigzag(out, (int64_t)n);
    }
}

static void block_close(struct buf *out)
{
    buf_u8(out, 0);
}

static void counts_put(const uint32_t *counts, uint32_t n, struct buf *out)
{
    block_open(out, n);
    for (uint32_t i = 0; i < n; i++) {
        buf_zigzag(out, counts[i]);
    }
    block_close(out);
}

static bool all_equal(const int64_t *times, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        if (times[i] != times[0]) {
            return false;
        }
    }
    return true;
}

/* Differences wrap: whatever two times there are, what is read is what was written. */
static int64_t difference(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static void times_put(const int64_t *times, uint32_t n, struct buf *out)
{
    int64_t base = n == 0 ? 0 : times[0];
    buf_zigzag(out, base);
    if (!all_equal(times, n)) {
        block_open(out, n);
        for (uint32_t i = 0; i < n; i++) {
            buf_zigzag(out, difference(times[i], base));
        }
    }
    block_close(out);
}

static void late_put(const struct rollup *r, struct buf *out)
{
    block_open(out, r->n_late);
    for (uint32_t i = 0; i < r->n_late; i++) {
        buf_zigzag(out, r->late[i].series);
        buf_zigzag_bytes(out, r->late[i].amount);
    }
    block_close(out);
}

static void amends_put(const struct rollup *r, struct buf *out)
{
    block_open(out, r->n_amends);
    for (uint32_t i = 0; i < r->n_amends; i++) {
        buf_zigzag(out, r->amends[i].end_ms);
        buf_zigzag_bytes(out, r->amends[i].shape);
        buf_put_slice(out, r->amends[i].columns);
    }
    block_close(out);
}

void rollup_encode(const struct rollup *r, struct buf *out)
{
    buf_put(out, ROLLUP_HEAD, AVRO_HEAD_BYTES);
    buf_zigzag(out, r->kind);
    buf_zigzag_bytes(out, r->tenant);
    buf_zigzag(out, r->class);
    buf_zigzag(out, (int64_t)r->source);
    buf_zigzag(out, r->window_ms);
    buf_zigzag(out, r->end_ms);
    buf_zigzag(out, r->closed_at);
    buf_zigzag(out, r->part);
    buf_zigzag_bytes(out, r->shape);
    counts_put(r->samples, r->n_series, out);
    times_put(r->last_ms, r->n_series, out);
    counts_put(r->ended, r->n_ended, out);
    buf_zigzag_bytes(out, r->counters);
    buf_zigzag_bytes(out, r->gauges);
    buf_zigzag_bytes(out, r->exp);
    buf_zigzag_bytes(out, r->classic);
    late_put(r, out);
    amends_put(r, out);
}

void rollup_amend_encode(const struct rollup_amend_columns *c, struct buf *out)
{
    counts_put(c->samples, c->n_series, out);
    buf_zigzag_bytes(out, c->counters);
    buf_zigzag_bytes(out, c->gauges);
    buf_zigzag_bytes(out, c->exp);
    buf_zigzag_bytes(out, c->classic);
}

/* ---- reading ---- */

/* A canonical array: one block without its size in bytes, or none. The number of items; each has at
 * least item_bytes. */
static uint32_t array_open(struct cursor *c, size_t item_bytes)
{
    int64_t n = cursor_zigzag(c);
    if (n < 0 || (uint64_t)n > cursor_left(c) / item_bytes || n > UINT32_MAX) {
        cursor_fail(c);
        return 0;
    }
    return (uint32_t)n;
}

static void array_close(struct cursor *c, uint32_t n)
{
    if (n > 0 && cursor_u8(c) != 0) {
        cursor_fail(c);
    }
}

static uint32_t count_read(struct cursor *c)
{
    int64_t v = cursor_zigzag(c);
    if (v < 0 || v > UINT32_MAX) {
        cursor_fail(c);
        return 0;
    }
    return (uint32_t)v;
}

/* *n values; NULL when there is no memory for them. */
static const uint32_t *counts_read(struct cursor *c, struct arena *a, uint32_t *n)
{
    *n = array_open(c, 1);
    uint32_t *counts = arena_alloc(a, *n * sizeof *counts);
    for (uint32_t i = 0; counts != NULL && i < *n; i++) {
        counts[i] = count_read(c);
    }
    array_close(c, *n);
    return counts;
}

static const int64_t *times_read(struct cursor *c, struct arena *a, uint32_t n)
{
    int64_t base = cursor_zigzag(c);
    uint32_t n_deltas = array_open(c, 1);
    int64_t *times = arena_alloc(a, n * sizeof *times);
    if (times == NULL) {
        return NULL;
    }
    bool all_zero = true;
    for (uint32_t i = 0; i < n && cursor_ok(c); i++) {
        int64_t delta = n_deltas == 0 ? 0 : cursor_zigzag(c);
        all_zero &= delta == 0;
        times[i] = (int64_t)((uint64_t)base + (uint64_t)delta);
    }
    array_close(c, n_deltas);
    bool is_ours =
        n_deltas == 0 ? n > 0 || base == 0 : n_deltas == n && !all_zero && times[0] == base;
    if (!is_ours) {
        cursor_fail(c);
    }
    return times;
}

static bool late_read(struct cursor *c, struct arena *a, struct rollup *r)
{
    r->n_late = array_open(c, 2);
    struct rollup_late *late = arena_alloc(a, r->n_late * sizeof *late);
    for (uint32_t i = 0; late != NULL && i < r->n_late; i++) {
        late[i].series = count_read(c);
        late[i].amount = cursor_zigzag_bytes(c);
        if (late[i].series >= r->n_series || (i > 0 && late[i].series <= late[i - 1].series)) {
            cursor_fail(c);
        }
    }
    array_close(c, r->n_late);
    r->late = late;
    return late != NULL;
}

static void amend_skip(struct cursor *c, struct rollup_amend *m)
{
    m->end_ms = cursor_zigzag(c);
    m->shape = cursor_zigzag_bytes(c);
    const uint8_t *start = c->next;
    uint32_t n = array_open(c, 1);
    for (uint32_t i = 0; i < n && cursor_ok(c); i++) {
        (void)count_read(c);
    }
    array_close(c, n);
    m->n_series = n;
    for (int i = 0; i < 4; i++) {
        (void)cursor_zigzag_bytes(c);
    }
    m->columns = slice_of(start, (size_t)(c->next - start));
}

static bool amends_read(struct cursor *c, struct arena *a, struct rollup *r)
{
    r->n_amends = array_open(c, 7);
    struct rollup_amend *amends = arena_alloc(a, r->n_amends * sizeof *amends);
    for (uint32_t i = 0; amends != NULL && i < r->n_amends && cursor_ok(c); i++) {
        amend_skip(c, &amends[i]);
        if (cursor_ok(c) && i > 0 && amends[i].end_ms <= amends[i - 1].end_ms) {
            cursor_fail(c);
        }
    }
    array_close(c, r->n_amends);
    r->amends = amends;
    return amends != NULL;
}

/* In the order of rollup.avsc. False: no memory. */
static bool fields_read(struct cursor *c, struct arena *a, struct rollup *r)
{
    r->kind = avro_index(c, N_ROLLUP_KINDS);
    r->tenant = cursor_zigzag_bytes(c);
    r->class = avro_index(c, N_CLASSES);
    r->source = (uint64_t)cursor_zigzag(c);
    r->window_ms = cursor_zigzag(c);
    r->end_ms = cursor_zigzag(c);
    r->closed_at = cursor_zigzag(c);
    r->part = avro_int(c);
    r->shape = cursor_zigzag_bytes(c);
    r->samples = counts_read(c, a, &r->n_series);
    r->last_ms = r->samples == NULL ? NULL : times_read(c, a, r->n_series);
    r->ended = r->last_ms == NULL ? NULL : counts_read(c, a, &r->n_ended);
    r->counters = cursor_zigzag_bytes(c);
    r->gauges = cursor_zigzag_bytes(c);
    r->exp = cursor_zigzag_bytes(c);
    r->classic = cursor_zigzag_bytes(c);
    return r->ended != NULL && late_read(c, a, r) && amends_read(c, a, r);
}

static bool bad(struct err *e, const char *what)
{
    return err_set(e, ERR_BAD_INPUT, "rollup: %s", what);
}

static bool fields_check(const struct rollup *r, struct err *e)
{
    for (uint32_t i = 0; i < r->n_ended; i++) {
        if (r->ended[i] >= r->n_series || (i > 0 && r->ended[i] <= r->ended[i - 1])) {
            return bad(e, "ended names no series, or out of order");
        }
    }
    if (!utf8_valid(r->tenant)) {
        return bad(e, "the tenant is not UTF-8");
    }
    if (r->window_ms < 0 || r->closed_at < -1 || r->part < 0) {
        return bad(e, "window_ms, closed_at or part is negative");
    }
    if (r->kind == ROLLUP_HEARTBEAT) {
        bool is_empty = r->n_series == 0 && r->shape.len == 0 && r->n_amends == 0;
        return is_empty || bad(e, "a heartbeat with series");
    }
    return (r->shape.len == 0) == (r->n_series == 0) || bad(e, "series without a shape");
}

bool rollup_is(struct slice bytes)
{
    return versions_have(&rollup_versions, bytes);
}

bool rollup_decode(struct slice bytes, struct arena *a, struct rollup *out, struct err *e)
{
    struct slice body;
    *out = (struct rollup){0};
    if (bytes.len > MAX_ROLLUP_BYTES) {
        return err_set(e, ERR_BAD_INPUT, "rollup: %zu bytes, more than %d", bytes.len,
                       MAX_ROLLUP_BYTES);
    }
    if (!versions_body(&rollup_versions, bytes, MAX_ROLLUP_BYTES, a, &body, e)) {
        return false;
    }
    struct cursor c = cursor_of(body);
    if (!fields_read(&c, a, out)) {
        return bad(e, cursor_ok(&c) ? "larger than the memory it may have" : "bad or cut off");
    }
    if (!cursor_ok(&c)) {
        return bad(e, "bad or cut off");
    }
    if (cursor_left(&c) > 0) {
        return err_set(e, ERR_BAD_INPUT, "rollup: %zu bytes behind its end", cursor_left(&c));
    }
    return fields_check(out, e);
}

bool rollup_amend_decode(const struct rollup_amend *m, struct arena *a,
                         struct rollup_amend_columns *out, struct err *e)
{
    struct cursor c = cursor_of(m->columns);
    out->samples = counts_read(&c, a, &out->n_series);
    out->counters = cursor_zigzag_bytes(&c);
    out->gauges = cursor_zigzag_bytes(&c);
    out->exp = cursor_zigzag_bytes(&c);
    out->classic = cursor_zigzag_bytes(&c);
    return (out->samples != NULL && cursor_ok(&c)) || bad(e, "an amend is bad or cut off");
}

/* ---- against the shape ---- */

static bool exp_check(struct slice column, uint32_t n, struct err *e)
{
    struct cursor c = cursor_of(column);
    for (uint32_t i = 0; i < n; i++) {
        if (exp_histogram_skip(&c).len > HISTOGRAM_MAX_BYTES) {
            return bad(e, "an exponential histogram is too large");
        }
    }
    return (cursor_ok(&c) && cursor_left(&c) == 0) ||
           bad(e, "other exponential histograms than the shape has");
}

static bool classic_check(struct slice column, const struct shape *s, int n_each, struct err *e)
{
    struct cursor c = cursor_of(column);
    for (uint32_t i = 0; s->n_classic > 0 && i < s->n_series; i++) {
        for (int k = 0; s->series[i].kind == SERIES_CLASSIC_HISTOGRAM && k < n_each; k++) {
            if (!classic_histogram_skip(&c, s->series[i].n_bounds)) {
                return bad(e, "a classic histogram is bad or cut off");
            }
        }
    }
    return cursor_left(&c) == 0 || bad(e, "more classic histograms than the shape has");
}

static bool late_check(const struct rollup_late *l, const struct series *s)
{
    struct cursor c = cursor_of(l->amount);
    switch (s->kind) {
    case SERIES_COUNTER:
        return l->amount.len == sizeof(double);
    case SERIES_EXP_HISTOGRAM:
        (void)exp_histogram_skip(&c);
        return cursor_ok(&c) && cursor_left(&c) == 0;
    case SERIES_CLASSIC_HISTOGRAM:
        return classic_histogram_skip(&c, s->n_bounds) && cursor_left(&c) == 0;
    case SERIES_GAUGE:
        break;
    }
    return false;
}

bool rollup_check(const struct rollup *r, const struct shape *s, struct err *e)
{
    uint32_t n_gauges = 0;
    for (uint32_t i = 0; i < s->n_series; i++) {
        n_gauges += s->series[i].kind == SERIES_GAUGE;
    }
    uint32_t n_counters = s->n_scalars - n_gauges;
    if (r->n_series != s->n_series) {
        return err_set(e, ERR_BAD_INPUT, "rollup: %u series, %u in the shape", r->n_series,
                       s->n_series);
    }
    if (r->counters.len != (size_t)n_counters * COUNTER_COLUMNS * sizeof(double) ||
        r->gauges.len != (size_t)n_gauges * GAUGE_COLUMNS * sizeof(double)) {
        return bad(e, "other counters or gauges than the shape has");
    }
    for (uint32_t i = 0; i < r->n_late; i++) {
        if (!late_check(&r->late[i], &s->series[r->late[i].series])) {
            return err_set(e, ERR_BAD_INPUT, "rollup: late amount %u is not of its series", i);
        }
    }
    return exp_check(r->exp, HISTOGRAM_COLUMNS * s->n_exp, e) &&
           classic_check(r->classic, s, HISTOGRAM_COLUMNS, e);
}
