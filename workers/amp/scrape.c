#include "scrape.h"

#include <assert.h>
#include <stdlib.h>

#include "batch/histogram.h"

enum { TIME_BYTES = 6, SAMPLE_ROOM = 32, CLASSIC_ROOM = 32, EXP_ROOM = 32 };

/* Times whose varint has exactly 6 bytes: 1971 to 2109. */
static const int64_t min_usual_ms = INT64_C(1) << 35;
static const int64_t end_usual_ms = INT64_C(1) << 42;

/* --- taking in --- */

/* Where the parts of the one allocation begin. */
struct layout {
    size_t times;
    size_t values;
    size_t exp_at;
    size_t classic_at;
    size_t histograms;
    size_t topic;
    size_t end;
};

static struct layout layout_of(const struct batch *b, const struct wire_shape *w)
{
    struct layout l;
    l.times = sizeof(struct scrape);
    l.values = l.times + (b->times.n_deltas == 0 ? 0 : w->n_series * sizeof(int64_t));
    l.exp_at = l.values + b->values.len;
    l.classic_at = l.exp_at + (w->n_exp + 1) * sizeof(uint32_t);
    l.histograms = l.classic_at + (w->n_classic + 1) * sizeof(uint32_t);
    l.topic = l.histograms + b->exp.len + b->classic.len;
    l.end = l.topic + b->origin.topic.len;
    return l;
}

static bool time_is_usual(int64_t t_ms)
{
    return t_ms >= min_usual_ms && t_ms < end_usual_ms;
}

static void times_survey(struct scrape *s, uint32_t n)
{
    s->min_ms = s->times == NULL ? s->base_ms : INT64_MAX;
    s->max_ms = s->times == NULL ? s->base_ms : INT64_MIN;
    for (uint32_t i = 0; s->times != NULL && i < n; i++) {
        s->min_ms = s->times[i] < s->min_ms ? s->times[i] : s->min_ms;
        s->max_ms = s->times[i] > s->max_ms ? s->times[i] : s->max_ms;
    }
    s->usual_times = time_is_usual(s->min_ms) && time_is_usual(s->max_ms);
}

static bool exp_index(struct slice column, uint32_t n, uint32_t *at)
{
    struct cursor c = cursor_of(column);
    for (uint32_t i = 0; i < n; i++) {
        at[i] = (uint32_t)cursor_at(&c);
        (void)exp_histogram_skip(&c);
    }
    at[n] = (uint32_t)cursor_at(&c);
    return cursor_ok(&c) && cursor_left(&c) == 0;
}

static void classic_skip(struct cursor *c, uint32_t n_bounds)
{
    (void)cursor_u8(c);
    (void)cursor_double(c);
    for (uint32_t i = 0; i < n_bounds + 2; i++) {
        (void)cursor_varint(c);
    }
}

static bool classic_index(struct slice column, const struct wire_shape *w, uint32_t base,
                          uint32_t *at)
{
    struct cursor c = cursor_of(column);
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n_series && n < w->n_classic; i++) {
        if (w->series[i].kind == SERIES_CLASSIC_HISTOGRAM) {
            at[n++] = base + (uint32_t)cursor_at(&c);
            classic_skip(&c, w->series[i].n_bounds);
        }
    }
    at[n] = base + (uint32_t)cursor_at(&c);
    return cursor_ok(&c) && cursor_left(&c) == 0;
}

static void columns_copy(const struct batch *b, const struct layout *l, uint8_t *to)
{
    if (b->values.len > 0) {
        memcpy(to + l->values, b->values.ptr, b->values.len);
    }
    if (b->exp.len > 0) {
        memcpy(to + l->histograms, b->exp.ptr, b->exp.len);
    }
    if (b->classic.len > 0) {
        memcpy(to + l->histograms + b->exp.len, b->classic.ptr, b->classic.len);
    }
    if (b->origin.topic.len > 0) {
        memcpy(to + l->topic, b->origin.topic.ptr, b->origin.topic.len);
    }
}

bool scrape_new(const struct batch *b, struct wire_shape *shape, struct scrape **out, struct err *e)
{
    if (b->values.len != shape->n_scalars * sizeof(double) ||
        (b->times.n_deltas != 0 && b->times.n_deltas != shape->n_series)) {
        return err_set(
            e, ERR_BAD_INPUT, "%zu values and %u times, %u scalars and %u series in the shape",
            b->values.len / sizeof(double), b->times.n_deltas, shape->n_scalars, shape->n_series);
    }
    struct layout l = layout_of(b, shape);
    struct scrape *s = malloc(l.end);
    if (s == NULL) {
        return err_set(e, ERR_RETRY, "out of memory");
    }
    uint8_t *start = (uint8_t *)s;
    *s = (struct scrape){.received_ms = b->received_ms,
                         .source = b->source,
                         .redriven = b->redriven,
                         .class = b->class,
                         .n_unsettled = shape->n_series,
                         .base_ms = b->times.base_ms,
                         .values = start + l.values,
                         .histograms = start + l.histograms,
                         .n_bytes = l.end};
    columns_copy(b, &l, start);
    s->origin = b->origin;
    s->origin.topic = slice_of(start + l.topic, b->origin.topic.len);
    uint32_t *exp_at = (uint32_t *)(void *)(start + l.exp_at);
    uint32_t *classic_at = (uint32_t *)(void *)(start + l.classic_at);
    s->exp_at = exp_at;
    s->classic_at = classic_at;
    int64_t *times = (int64_t *)(void *)(start + l.times);
    s->times = b->times.n_deltas == 0 ? NULL : times;
    bool ok = s->times == NULL || batch_times_decode(&b->times, shape->n_series, times, e);
    if (ok && (!exp_index(b->exp, shape->n_exp, exp_at) ||
               !classic_index(b->classic, shape, (uint32_t)b->exp.len, classic_at))) {
        ok = err_set(e, ERR_BAD_INPUT, "a column of packed histograms can't be read");
    }
    if (!ok) {
        free(s);
        return false;
    }
    times_survey(s, shape->n_series);
    s->shape = wire_shape_ref(shape);
    s->n_wire_bytes = shape->n_bytes + b->exp.len + (size_t)shape->n_wire * SAMPLE_ROOM;
    *out = s;
    return true;
}

void scrape_free(struct scrape *s)
{
    if (s != NULL) {
        wire_shape_unref(s->shape);
        free(s);
    }
}

/* Where the copy has what the scrape has at p. */
static const void *moved(const void *p, const struct scrape *from, const struct scrape *to)
{
    return (const uint8_t *)to + ((const uint8_t *)p - (const uint8_t *)from);
}

struct scrape *scrape_again(const struct scrape *s, int64_t t_ms)
{
    assert(s->times == NULL);
    struct scrape *made = malloc(s->n_bytes);
    if (made == NULL) {
        return NULL;
    }
    memcpy(made, s, s->n_bytes);
    made->shape = wire_shape_ref(s->shape);
    made->n_unsettled = s->shape->n_series;
    made->n_parked = 0;
    made->values = moved(s->values, s, made);
    made->histograms = moved(s->histograms, s, made);
    made->exp_at = moved(s->exp_at, s, made);
    made->classic_at = moved(s->classic_at, s, made);
    made->origin.topic.ptr = moved(s->origin.topic.ptr, s, made);
    made->base_ms = made->min_ms = made->max_ms = t_ms;
    made->usual_times = time_is_usual(t_ms);
    return made;
}

/* --- encoding --- */

static uint8_t *varint_put(uint8_t *to, uint64_t v)
{
    while (v >= 0x80) {
        *to++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *to++ = (uint8_t)v;
    return to;
}

/* The usual time's 6 bytes; what lies behind them in the word is overwritten by what follows. */
static uint64_t time_word(int64_t t_ms)
{
    uint64_t t = (uint64_t)t_ms;
    uint64_t word = 0;
    for (unsigned i = 0; i < TIME_BYTES; i++) {
        uint64_t byte = (t >> (7 * i)) & 0x7f;
        word |= (byte | (i + 1 < TIME_BYTES ? 0x80 : 0)) << (8 * i);
    }
    return word;
}

/* A template made whole; to has SAMPLE_ROOM bytes more than the template. */
static uint8_t *usual_put(uint8_t *to, struct slice template, uint64_t value_bits, uint64_t word)
{
    memcpy(to, template.ptr, template.len);
    to += template.len;
    memcpy(to, &value_bits, sizeof value_bits);
    to += sizeof value_bits;
    *to++ = 0x10;
    memcpy(to, &word, sizeof word);
    return to + TIME_BYTES;
}

/* The same for times of another length. */
static uint8_t *unusual_put(uint8_t *to, struct slice template, uint64_t value_bits, int64_t t_ms)
{
    uint8_t varint[10];
    size_t n_time = (size_t)(varint_put(varint, (uint64_t)t_ms) - varint);
    struct cursor c = cursor_of(template);
    (void)cursor_u8(&c);
    size_t n_labels = (size_t)cursor_varint(&c) - 18;
    struct slice labels = cursor_take(&c, n_labels);
    *to++ = 0x0a;
    to = varint_put(to, labels.len + 2 + 10 + n_time);
    memcpy(to, labels.ptr, labels.len);
    to += labels.len;
    *to++ = 0x12;
    *to++ = (uint8_t)(10 + n_time);
    *to++ = 0x09;
    memcpy(to, &value_bits, sizeof value_bits);
    to += sizeof value_bits;
    *to++ = 0x10;
    memcpy(to, varint, n_time);
    return to + n_time;
}

static uint8_t *sample_put(uint8_t *to, struct slice template, uint64_t bits, int64_t t_ms)
{
    return time_is_usual(t_ms) ? usual_put(to, template, bits, time_word(t_ms))
                               : unusual_put(to, template, bits, t_ms);
}

struct slice scrape_packed(const struct scrape *s, const struct wire_series *series)
{
    uint32_t at = s->exp_at[series->column];
    struct cursor c = cursor_of(slice_of(s->histograms + at, s->exp_at[series->column + 1] - at));
    return exp_histogram_skip(&c);
}

static uint8_t *exp_put(uint8_t *to, const struct scrape *s, const struct wire_series *series,
                        int64_t t_ms)
{
    struct slice packed = scrape_packed(s, series);
    uint8_t varint[10];
    size_t n_time = (size_t)(varint_put(varint, (uint64_t)t_ms) - varint);
    uint8_t head[1 + 10];
    size_t n_histogram = packed.len + 1 + n_time;
    head[0] = 0x22;
    size_t n_head = (size_t)(varint_put(head + 1, n_histogram) - head);
    *to++ = 0x0a;
    to = varint_put(to, series->len + n_head + n_histogram);
    memcpy(to, s->shape->bytes + series->at, series->len);
    to += series->len;
    memcpy(to, head, n_head);
    to += n_head;
    memcpy(to, packed.ptr, packed.len);
    to += packed.len;
    *to++ = 0x78;
    memcpy(to, varint, n_time);
    return to + n_time;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* Buckets are cumulated; a stale histogram is stale in all its series; without a sum there is no
 * _sum. */
static uint8_t *classic_put(uint8_t *to, const struct scrape *s, const struct wire_series *series,
                            int64_t t_ms)
{
    uint32_t at = s->classic_at[series->column];
    struct cursor c =
        cursor_of(slice_of(s->histograms + at, s->classic_at[series->column + 1] - at));
    struct cursor parts = cursor_of(slice_of(s->shape->bytes + series->at, series->len));
    uint8_t flags = cursor_u8(&c);
    bool has_sum = (flags & 1) != 0;
    bool stale = (flags & 2) != 0;
    double sum = cursor_double(&c);
    uint64_t count = cursor_varint(&c);
    uint64_t so_far = 0;
    for (uint32_t i = 0; i <= series->n_bounds; i++) {
        so_far += cursor_varint(&c);
        uint64_t n = i == series->n_bounds ? count : so_far;
        to = sample_put(to, cursor_take(&parts, cursor_le32(&parts)),
                        stale ? stale_marker_bits : bits_of((double)n), t_ms);
    }
    struct slice sum_template = cursor_take(&parts, cursor_le32(&parts));
    if (has_sum) {
        to = sample_put(to, sum_template, stale ? stale_marker_bits : bits_of(sum), t_ms);
    }
    return sample_put(to, cursor_take(&parts, cursor_le32(&parts)),
                      stale ? stale_marker_bits : bits_of((double)count), t_ms);
}

static uint64_t value_bits(const struct scrape *s, const struct wire_series *series)
{
    uint64_t bits;
    memcpy(&bits, s->values + (size_t)series->column * sizeof bits, sizeof bits);
    return bits;
}

/* At most; so that the loop needs no checks. */
static size_t scalars_room(const struct scrape *s, uint32_t from, uint32_t to)
{
    const struct wire_series *first = &s->shape->series[from];
    const struct wire_series *last = &s->shape->series[to - 1];
    return (size_t)(last->at + last->len - first->at) + (size_t)(to - from) * SAMPLE_ROOM;
}

void scrape_encode_scalars(const struct scrape *s, uint32_t from, uint32_t to, struct buf *out)
{
    const struct wire_shape *w = s->shape;
    if (from >= to || w->n_scalars == 0) {
        return;
    }
    size_t room = scalars_room(s, from, to);
    uint8_t *start = buf_extend(out, room);
    if (start == NULL) {
        return;
    }
    uint8_t *at = start;
    bool usual = s->times == NULL && s->usual_times;
    uint64_t word = time_word(s->base_ms);
    for (uint32_t i = from; i < to; i++) {
        const struct wire_series *series = &w->series[i];
        if (series->delta || !wire_series_is_scalar(series)) {
            continue;
        }
        struct slice template = slice_of(w->bytes + series->at, series->len);
        if (usual) {
            at = usual_put(at, template, value_bits(s, series), word);
        } else {
            at = sample_put(at, template, value_bits(s, series), scrape_time_ms(s, i));
        }
    }
    out->len -= room - (size_t)(at - start);
}

static size_t histogram_room(const struct scrape *s, const struct wire_series *series)
{
    size_t n = (size_t)series->len + SAMPLE_ROOM;
    return series->kind == SERIES_EXP_HISTOGRAM
               ? n + s->exp_at[series->column + 1] - s->exp_at[series->column] + EXP_ROOM
               : n + (size_t)(series->n_bounds + 3) * CLASSIC_ROOM;
}

static void histograms_encode(const struct scrape *s, uint32_t from, uint32_t to,
                              enum series_kind kind, struct buf *out)
{
    const struct wire_shape *w = s->shape;
    for (uint32_t i = from; i < to; i++) {
        const struct wire_series *series = &w->series[i];
        if (series->delta || series->kind != kind) {
            continue;
        }
        size_t room = histogram_room(s, series);
        uint8_t *start = buf_extend(out, room);
        if (start == NULL) {
            return;
        }
        int64_t t_ms = scrape_time_ms(s, i);
        uint8_t *end = kind == SERIES_EXP_HISTOGRAM ? exp_put(start, s, series, t_ms)
                                                    : classic_put(start, s, series, t_ms);
        out->len -= room - (size_t)(end - start);
    }
}

void scrape_encode_exponentials(const struct scrape *s, uint32_t from, uint32_t to, struct buf *out)
{
    if (s->shape->n_exp > 0) {
        histograms_encode(s, from, to, SERIES_EXP_HISTOGRAM, out);
    }
}

void scrape_encode_classics(const struct scrape *s, uint32_t from, uint32_t to, struct buf *out)
{
    if (s->shape->n_classic > 0) {
        histograms_encode(s, from, to, SERIES_CLASSIC_HISTOGRAM, out);
    }
}

void scrape_encode(const struct scrape *s, uint32_t from, uint32_t to, struct buf *out)
{
    scrape_encode_scalars(s, from, to, out);
    scrape_encode_exponentials(s, from, to, out);
    scrape_encode_classics(s, from, to, out);
}

void scrape_time_put(uint8_t *to, int64_t t_ms)
{
    uint64_t word = time_word(t_ms);
    memcpy(to, &word, TIME_BYTES);
}
