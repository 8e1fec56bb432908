#include "batch/batch.h"

#include <assert.h>

#include "base/utf8.h"
#include "wire/avro_blocks.h"
#include "batch/histogram.h"
#include "batch/versions.h"
#include "batch_avsc.h"

const struct batch_caps batch_default_caps = {.max_bytes = 8 << 20, .max_points = 20000};

struct schema_versions batch_versions = {
    .name = "batch",
    .head = BATCH_HEAD,
    .current = {BATCH_FINGERPRINT, batch_avsc},
};

/* ---- writing ---- */

static void times_put(const struct batch_times *t, struct buf *out)
{
    assert(t->n_deltas == 0 || t->deltas != NULL || t->raw.len > 0);
    buf_zigzag(out, t->base_ms);
    if (t->n_deltas > 0 && t->deltas == NULL) { /* a decoded batch: its end is in there */
        buf_put_slice(out, t->raw);
        return;
    }
    if (t->n_deltas > 0) {
        buf_zigzag(out, t->n_deltas);
        for (uint32_t i = 0; i < t->n_deltas; i++) {
            buf_zigzag(out, t->deltas[i]);
        }
    }
    buf_u8(out, 0); /* no further block */
}

static void origin_put(const struct origin *o, struct buf *out)
{
    buf_zigzag_bytes(out, o->topic);
    buf_put(out, o->topic_id, sizeof o->topic_id);
    buf_zigzag(out, o->partition);
    buf_zigzag(out, o->offset);
    buf_zigzag(out, o->index);
}

void batch_encode(const struct batch *b, struct buf *out)
{
    assert((unsigned)b->class < N_CLASSES);
    buf_put(out, BATCH_HEAD, AVRO_HEAD_BYTES);
    buf_zigzag_bytes(out, b->tenant);
    buf_zigzag(out, b->class);
    buf_zigzag(out, (int64_t)b->source);
    buf_zigzag(out, b->received_ms);
    origin_put(&b->origin, out);
    buf_zigzag(out, (int64_t)b->redriven);
    buf_zigzag_bytes(out, b->shape);
    times_put(&b->times, out);
    times_put(&b->starts, out);
    buf_zigzag_bytes(out, b->values);
    buf_zigzag_bytes(out, b->exp);
    buf_zigzag_bytes(out, b->classic);
}

/* ---- reading ---- */

static void times_read(struct cursor *c, struct batch_times *t)
{
    t->base_ms = cursor_zigzag(c);
    const uint8_t *start = c->next;
    uint64_t n = 0;
    for (struct blocks b = {0}; blocks_next(c, &b, 1);) {
        int64_t sum;
        if (__builtin_add_overflow(t->base_ms, cursor_zigzag(c), &sum)) {
            cursor_fail(c);
        }
        n++;
    }
    if (n > UINT32_MAX) {
        cursor_fail(c);
    }
    if (cursor_ok(c)) {
        t->n_deltas = (uint32_t)n;
        t->raw = slice_of(start, (size_t)(c->next - start));
    }
}

static void origin_read(struct cursor *c, struct origin *o)
{
    o->topic = cursor_zigzag_bytes(c);
    struct slice id = cursor_take(c, sizeof o->topic_id);
    if (cursor_ok(c)) {
        memcpy(o->topic_id, id.ptr, sizeof o->topic_id);
    }
    o->partition = avro_int(c);
    o->offset = cursor_zigzag(c);
    o->index = avro_int(c);
}

/* In the order of batch.avsc. */
static void fields_read(struct cursor *c, struct batch *out)
{
    out->tenant = cursor_zigzag_bytes(c);
    out->class = avro_index(c, N_CLASSES);
    out->source = (uint64_t)cursor_zigzag(c);
    out->received_ms = cursor_zigzag(c);
    origin_read(c, &out->origin);
    out->redriven = (uint64_t)cursor_zigzag(c);
    out->shape = cursor_zigzag_bytes(c);
    times_read(c, &out->times);
    times_read(c, &out->starts);
    out->values = cursor_zigzag_bytes(c);
    out->exp = cursor_zigzag_bytes(c);
    out->classic = cursor_zigzag_bytes(c);
}

static bool bad(struct err *e, const char *what)
{
    return err_set(e, ERR_BAD_INPUT, "batch: %s", what);
}

static bool fields_check(const struct batch *b, const struct batch_caps *caps, struct err *e)
{
    if (!utf8_valid(b->tenant) || !utf8_valid(b->origin.topic)) {
        return bad(e, "tenant or topic is not UTF-8");
    }
    if (b->origin.partition < 0 || b->origin.offset < 0 || b->origin.index < 0) {
        return bad(e, "origin is negative");
    }
    if (b->values.len % sizeof(double) != 0) {
        return bad(e, "values are not whole doubles");
    }
    if (b->times.n_deltas > caps->max_points || b->starts.n_deltas > caps->max_points ||
        b->values.len / sizeof(double) > caps->max_points) {
        return err_set(e, ERR_BAD_INPUT, "batch: more than %u points", caps->max_points);
    }
    bool has_points = b->times.n_deltas > 0 || b->starts.n_deltas > 0 || b->values.len > 0 ||
                      b->exp.len > 0 || b->classic.len > 0;
    return b->shape.len > 0 || !has_points || bad(e, "points without a shape");
}

bool batch_decode(struct slice bytes, const struct batch_caps *caps, struct arena *a,
                  struct batch *out, struct err *e)
{
    struct slice body;
    *out = (struct batch){0};
    if (bytes.len > caps->max_bytes) {
        return err_set(e, ERR_BAD_INPUT, "batch: %zu bytes, more than %zu", bytes.len,
                       caps->max_bytes);
    }
    if (!versions_body(&batch_versions, bytes, caps->max_bytes, a, &body, e)) {
        return false;
    }
    struct cursor c = cursor_of(body);
    fields_read(&c, out);
    if (!cursor_ok(&c)) {
        return bad(e, "bad or cut off");
    }
    if (cursor_left(&c) > 0) {
        return err_set(e, ERR_BAD_INPUT, "batch: %zu bytes behind its end", cursor_left(&c));
    }
    return fields_check(out, caps, e);
}

/* ---- against the shape ---- */

static bool exp_check(struct slice column, uint32_t n, struct err *e)
{
    struct cursor c = cursor_of(column);
    for (uint32_t i = 0; i < n; i++) {
        struct slice message = exp_histogram_skip(&c);
        if (!cursor_ok(&c)) {
            return err_set(e, ERR_BAD_INPUT, "batch: exponential histogram %u of %u is cut off", i,
                           n);
        }
        if (message.len > HISTOGRAM_MAX_BYTES) {
            return err_set(e, ERR_BAD_INPUT,
                           "batch: exponential histogram %u has %zu bytes, more than %d", i,
                           message.len, HISTOGRAM_MAX_BYTES);
        }
    }
    return cursor_left(&c) == 0 || bad(e, "more exponential histograms than the shape has");
}

static bool classic_check(struct slice column, const struct shape *s, struct err *e)
{
    struct cursor c = cursor_of(column);
    for (uint32_t i = 0; s->n_classic > 0 && i < s->n_series; i++) {
        if (s->series[i].kind == SERIES_CLASSIC_HISTOGRAM &&
            !classic_histogram_skip(&c, s->series[i].n_bounds)) {
            return err_set(e, ERR_BAD_INPUT,
                           "batch: classic histogram of series %u: bad or cut off", i);
        }
    }
    return cursor_left(&c) == 0 || bad(e, "more classic histograms than the shape has");
}

bool batch_check_shape(const struct batch *b, const struct shape *s, struct err *e)
{
    if (b->values.len != (size_t)s->n_scalars * sizeof(double)) {
        return err_set(e, ERR_BAD_INPUT, "batch: %zu values, %u counters and gauges in the shape",
                       b->values.len / sizeof(double), s->n_scalars);
    }
    if ((b->times.n_deltas != 0 && b->times.n_deltas != s->n_series) ||
        (b->starts.n_deltas != 0 && b->starts.n_deltas != s->n_series)) {
        return err_set(e, ERR_BAD_INPUT, "batch: %u times and %u starts, %u series in the shape",
                       b->times.n_deltas, b->starts.n_deltas, s->n_series);
    }
    return exp_check(b->exp, s->n_exp, e) && classic_check(b->classic, s, e);
}

static bool deltas_add(const struct batch_times *t, uint32_t n, int64_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        if (__builtin_add_overflow(t->base_ms, t->deltas[i], &out[i])) {
            return false;
        }
    }
    return true;
}

static bool raw_add(const struct batch_times *t, uint32_t n, int64_t *out)
{
    struct cursor c = cursor_of(t->raw);
    uint32_t i = 0;
    for (struct blocks b = {0}; i < n && blocks_next(&c, &b, 1); i++) {
        if (__builtin_add_overflow(t->base_ms, cursor_zigzag(&c), &out[i])) {
            return false;
        }
    }
    return cursor_ok(&c) && i == n;
}

bool batch_times_decode(const struct batch_times *t, uint32_t n, int64_t *out, struct err *e)
{
    if (t->n_deltas == 0) {
        for (uint32_t i = 0; i < n; i++) {
            out[i] = t->base_ms;
        }
        return true;
    }
    if (t->n_deltas != n) {
        return err_set(e, ERR_BAD_INPUT, "batch: %u times for %u points", t->n_deltas, n);
    }
    bool ok = t->deltas != NULL ? deltas_add(t, n, out) : raw_add(t, n, out);
    return ok || bad(e, "times: beyond 64 bits");
}
