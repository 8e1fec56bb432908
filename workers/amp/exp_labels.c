#include "exp_labels.h"

#include <stdlib.h>

#include "base/varint.h"
#include "elements.h"

enum {
    TAG_SERIES = 0x0a,
    TAG_HISTOGRAM = 0x22,
    TAG_TIME = 0x78,
    USUAL_TIME_BYTES = 7, /* with its tag */
    MAX_LABELS = 1 << 14,    /* bytes; beyond it they are not compressed */
    MAX_BYTES = 1 << 30,     /* of all */
    NOTHING_BEFORE = 1 << 30 /* further than any copy reaches */
};

/* --- once --- */

/* While it is made. */
struct links {
    struct buf bytes;
    struct buf copies; /* struct exp_copy */
    uint32_t *seen;    /* 1 + where four bytes stand in the labels before, by their hash */
};

static void copies_put(struct links *l, struct exp_run *run, size_t distance, size_t n)
{
    run->most = distance > run->most ? (uint16_t)distance : run->most;
    while (n > 0) {
        size_t part = n < ELEMENT_MAX_COPY ? n : ELEMENT_MAX_COPY;
        buf_u8(&l->bytes, (uint8_t)(2 | (part - 1) << 2));
        const struct exp_copy copy = {(uint16_t)(l->bytes.len - run->at), (uint16_t)distance};
        buf_put(&l->copies, (const uint8_t *)&copy, sizeof copy);
        buf_u8(&l->bytes, 0); /* the offset's place */
        buf_u8(&l->bytes, 0);
        n -= part;
    }
}

static void learn(struct links *l, struct slice labels)
{
    memset(l->seen, 0, sizeof *l->seen << ELEMENT_HASH_BITS);
    for (size_t i = 0; i + ELEMENT_MIN_COPY <= labels.len; i++) {
        l->seen[element_hash(element_load(labels.ptr + i))] = (uint32_t)i + 1;
    }
}

/* How many bytes from a and b on are the same. */
static size_t same(struct slice a, struct slice b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n]) {
        n++;
    }
    return n;
}

static struct slice behind(struct slice s, size_t at)
{
    return slice_of(s.ptr + at, s.len - at);
}

static void squeeze(struct links *l, struct exp_run *run, struct slice before, struct slice labels)
{
    size_t waits_from = 0;
    learn(l, before);
    for (size_t at = 0; at + ELEMENT_MIN_COPY <= labels.len;) {
        uint32_t found = l->seen[element_hash(element_load(labels.ptr + at))];
        size_t n = found == 0 ? 0 : same(behind(before, found - 1), behind(labels, at));
        if (n < ELEMENT_MIN_COPY) {
            at++;
            continue;
        }
        element_literal_put(&l->bytes, labels.ptr + waits_from, at - waits_from);
        copies_put(l, run, at + before.len - (found - 1), n);
        at += n;
        waits_from = at;
    }
    element_literal_put(&l->bytes, labels.ptr + waits_from, labels.len - waits_from);
}

static struct slice labels_of(const struct wire_shape *w, uint32_t series)
{
    return slice_of(w->bytes + w->series[series].at, w->series[series].len);
}

static void run_add(struct exp_labels *x, struct links *l, const struct wire_shape *w, uint32_t series)
{
    struct exp_run *run = &x->runs[x->n_runs];
    struct slice labels = labels_of(w, series);
    struct slice before = x->n_runs == 0 ? SLICE_NONE : labels_of(w, run[-1].series);
    uint32_t copies_at = (uint32_t)(l->copies.len / sizeof(struct exp_copy));
    *run = (struct exp_run){.series = series, .at = (uint32_t)l->bytes.len, .copies_at = copies_at};
    if (labels.len > MAX_LABELS || before.len > MAX_LABELS) {
        before = SLICE_NONE;
    }
    squeeze(l, run, before, labels);
    run->len = (uint32_t)(l->bytes.len - run->at);
    run->copies_end = (uint32_t)(l->copies.len / sizeof(struct exp_copy));
    x->n_runs++;
}

static bool is_ours(const struct wire_series *s)
{
    return s->kind == SERIES_EXP_HISTOGRAM && !s->delta;
}

bool exp_labels_init(struct exp_labels *x, const struct wire_shape *w)
{
    *x = (struct exp_labels){0};
    if (w->n_exp == 0) {
        return true;
    }
    struct links l = {.seen = malloc(sizeof *l.seen << ELEMENT_HASH_BITS)};
    buf_init(&l.bytes, MAX_BYTES);
    buf_init(&l.copies, MAX_BYTES);
    x->runs = calloc(w->n_exp, sizeof *x->runs);
    bool ok = l.seen != NULL && x->runs != NULL;
    for (uint32_t i = 0; ok && i < w->n_series; i++) {
        if (is_ours(&w->series[i])) {
            run_add(x, &l, w, i);
            ok = buf_ok(&l.bytes) && buf_ok(&l.copies);
        }
    }
    if (ok) {
        size_t n;
        x->bytes = buf_take(&l.bytes, &x->n_bytes);
        x->copies = (struct exp_copy *)(void *)buf_take(&l.copies, &n);
        x->n_copies = n / sizeof(struct exp_copy);
    } else {
        exp_labels_fini(x);
    }
    free(l.seen);
    buf_fini(&l.bytes);
    buf_fini(&l.copies);
    return ok;
}

void exp_labels_fini(struct exp_labels *x)
{
    free(x->runs);
    free(x->bytes);
    free(x->copies);
    *x = (struct exp_labels){0};
}

size_t exp_labels_cost(const struct exp_labels *x)
{
    return x->n_runs * sizeof *x->runs + x->n_bytes + x->n_copies * sizeof *x->copies;
}

/* --- for each scrape --- */

/* A field's tag and length, in to: its bytes. */
static size_t head_write(uint8_t to[1 + VARINT_SPACE], uint8_t tag, size_t n)
{
    to[0] = tag;
    return 1 + varint_write(to + 1, n);
}

static uint8_t *literal_write(uint8_t *to, const uint8_t *bytes, size_t n)
{
    to = element_literal(to, n);
    memcpy(to, bytes, n);
    return to + n;
}

/* between: what stands between these labels and those before. */
static uint8_t *labels_write(uint8_t *to, const struct exp_labels *x, const struct exp_run *run,
                             struct slice labels, size_t between)
{
    if (labels.len == 0) {
        return to;
    }
    if (between + run->most > ELEMENT_MAX_OFFSET) {
        return literal_write(to, labels.ptr, labels.len);
    }
    memcpy(to, x->bytes + run->at, run->len);
    for (uint32_t i = run->copies_at; i < run->copies_end; i++) {
        element_offset(to + x->copies[i].at, x->copies[i].distance + between);
    }
    return to + run->len;
}

/* The field of a histogram, as a literal. */
static uint8_t *histogram_write(uint8_t *to, const uint8_t *head, size_t n_head, struct slice packed,
                                int64_t t_ms)
{
    to = element_literal(to, n_head + packed.len + USUAL_TIME_BYTES);
    memcpy(to, head, n_head);
    to += n_head;
    if (packed.len > 0) {
        memcpy(to, packed.ptr, packed.len);
    }
    to += packed.len;
    *to = TAG_TIME;
    scrape_time_put(to + 1, t_ms);
    return to + USUAL_TIME_BYTES;
}

/* The bytes that runs may take at most. */
static size_t room_of(const struct exp_labels *x, const struct scrape *s, uint32_t from, uint32_t to)
{
    size_t n = 0;
    for (uint32_t i = from; i < to; i++) {
        const struct wire_series *series = &s->shape->series[x->runs[i].series];
        size_t labels = x->runs[i].len > series->len ? x->runs[i].len : series->len;
        n += labels + 3 * ELEMENT_LITERAL_HEAD + 2 * (1 + VARINT_SPACE) + USUAL_TIME_BYTES +
             s->exp_at[series->column + 1] - s->exp_at[series->column];
    }
    return n;
}

/* The first run at or behind the series. */
static uint32_t run_at(const struct exp_labels *x, uint32_t series)
{
    uint32_t low = 0;
    for (uint32_t high = x->n_runs; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        if (x->runs[middle].series < series) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t exp_labels_put(const struct exp_labels *x, const struct scrape *s, uint32_t from,
                      uint32_t to, struct buf *body)
{
    uint32_t first = run_at(x, from), end = run_at(x, to);
    size_t room = room_of(x, s, first, end);
    uint8_t *start = first == end ? NULL : buf_extend(body, room);
    if (start == NULL) {
        return 0;
    }
    uint8_t *at = start;
    size_t n_plain = 0;
    size_t before = NOTHING_BEFORE; /* bytes of the histogram before */
    for (const struct exp_run *run = x->runs + first; run < x->runs + end; run++) {
        const struct wire_series *series = &s->shape->series[run->series];
        struct slice packed = scrape_packed(s, series);
        uint8_t head[1 + VARINT_SPACE], histogram_head[1 + VARINT_SPACE];
        size_t n_histogram = packed.len + USUAL_TIME_BYTES;
        size_t n_histogram_head = head_write(histogram_head, TAG_HISTOGRAM, n_histogram);
        n_histogram += n_histogram_head;
        size_t n_head = head_write(head, TAG_SERIES, series->len + n_histogram);
        at = literal_write(at, head, n_head);
        at = labels_write(at, x, run, labels_of(s->shape, run->series), before + n_head);
        at = histogram_write(at, histogram_head, n_histogram_head, packed,
                             scrape_time_ms(s, run->series));
        before = n_histogram;
        n_plain += n_head + series->len + n_histogram;
    }
    body->len -= room - (size_t)(at - start);
    return n_plain;
}
