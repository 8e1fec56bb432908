#include "template.h"

#include <stdlib.h>

#include "elements.h"

enum {
    VALUE_BYTES = 8,
    TIME_BYTES = 7,           /* tag and varint */
    MAX_LITERAL = 1 << 15,    /* of labels in one literal: then the next begins */
    MAX_PLAIN_BYTES = 1 << 30 /* of a chunk */
};

/* A chunk while it is compressed. */
struct squeeze {
    struct buf plain;
    struct buf mask; /* per byte of plain: 1 = belongs to a hole, no source of a copy */
    struct buf out;
    size_t literal_from; /* what lies behind in plain waits to be written as a literal */
    uint32_t *seen;      /* 1 + the last position of four bytes, by their hash */
};

/* --- elements --- */

static void copy_put_one(struct buf *out, size_t offset, size_t n)
{
    if (n >= 4 && n < 12 && offset < 2048) {
        buf_u8(out, (uint8_t)(1 | (n - 4) << 2 | (offset >> 8) << 5));
        buf_u8(out, (uint8_t)offset);
        return;
    }
    bool wide = offset > ELEMENT_MAX_OFFSET;
    buf_u8(out, (uint8_t)((wide ? 3 : 2) | (n - 1) << 2));
    buf_u8(out, (uint8_t)offset);
    buf_u8(out, (uint8_t)(offset >> 8));
    if (wide) {
        buf_u8(out, (uint8_t)(offset >> 16));
        buf_u8(out, (uint8_t)(offset >> 24));
    }
}

static void copy_put(struct buf *out, size_t offset, size_t n)
{
    while (n > ELEMENT_MAX_COPY) {
        size_t part = n >= ELEMENT_MAX_COPY + ELEMENT_MIN_COPY ? ELEMENT_MAX_COPY
                                                               : ELEMENT_MAX_COPY - ELEMENT_MIN_COPY;
        copy_put_one(out, offset, part);
        n -= part;
    }
    copy_put_one(out, offset, n);
}

/* Writes what waits as a literal, up to there. */
static void literal_flush(struct squeeze *q, size_t to)
{
    if (to > q->literal_from) {
        element_literal_put(&q->out, q->plain.ptr + q->literal_from, to - q->literal_from);
    }
    q->literal_from = to;
}

/* --- one series --- */

/* The labels from pos to end: copies where four bytes came before. */
static void labels_squeeze(struct squeeze *q, size_t pos, size_t end)
{
    const uint8_t *plain = q->plain.ptr;
    while (pos < end) {
        if (pos - q->literal_from >= MAX_LITERAL) {
            literal_flush(q, pos);
        }
        if (end - pos < ELEMENT_MIN_COPY) {
            pos++;
            continue;
        }
        uint32_t *seen = &q->seen[element_hash(element_load(plain + pos))];
        size_t source = *seen == 0 ? SIZE_MAX : *seen - 1;
        *seen = (uint32_t)pos + 1;
        if (source == SIZE_MAX || pos - source > ELEMENT_MAX_OFFSET ||
            element_load(plain + source) != element_load(plain + pos)) {
            pos++;
            continue;
        }
        size_t n = ELEMENT_MIN_COPY;
        while (pos + n < end && plain[source + n] == plain[pos + n] &&
               q->mask.ptr[source + n] == 0) {
            n++;
        }
        literal_flush(q, pos);
        copy_put(&q->out, pos - source, n);
        pos += n;
        q->literal_from = pos;
        if (pos < end) {
            q->seen[element_hash(element_load(plain + pos - ELEMENT_MIN_COPY))] = (uint32_t)(pos - ELEMENT_MIN_COPY) + 1;
        }
    }
}

/* The time as a copy of the sample's before, and of what follows as much as is the same; returns
 * where that ends. */
static size_t time_squeeze(struct squeeze *q, size_t before, size_t pos, size_t end)
{
    const uint8_t *plain = q->plain.ptr;
    size_t n = TIME_BYTES;
    while (pos + n < end && plain[before + n] == plain[pos + n] && q->mask.ptr[before + n] == 0) {
        n++;
    }
    literal_flush(q, pos);
    copy_put(&q->out, pos - before, n);
    q->literal_from = pos + n;
    return pos + n;
}

/* --- a chunk --- */

static void plain_add(struct squeeze *q, struct slice bytes, uint8_t mask)
{
    buf_put_slice(&q->plain, bytes);
    uint8_t *to = buf_extend(&q->mask, bytes.len);
    if (to != NULL) {
        memset(to, mask, bytes.len);
    }
}

static bool in_template(const struct wire_series *s)
{
    return !s->delta && wire_series_is_scalar(s);
}

static void chunk_plain(struct squeeze *q, const struct wire_shape *w,
                        const struct template_chunk *c)
{
    static const uint8_t zeros[VALUE_BYTES];
    static const uint8_t time[TIME_BYTES] = {0x10};
    buf_reset(&q->plain);
    buf_reset(&q->mask);
    for (uint32_t i = c->from; i < c->to; i++) {
        if (in_template(&w->series[i])) {
            plain_add(q, slice_of(w->bytes + w->series[i].at, w->series[i].len), 0);
            plain_add(q, slice_of(zeros, sizeof zeros), 1);
            plain_add(q, slice_of(time, sizeof time), 0);
        }
    }
}

/* Each value ends its literal, so that a literal has one hole at most. */
static void chunk_squeeze(struct squeeze *q, const struct wire_shape *w, enum template_form form,
                          const struct template_chunk *c, uint32_t *holes)
{
    size_t pos = 0;            /* up to here it is in out, or waits */
    size_t begin = 0;          /* of a series in plain */
    size_t source = SIZE_MAX;  /* the last time in out */
    size_t pending = SIZE_MAX; /* the time that is to be a copy of it */
    memset(q->seen, 0, sizeof *q->seen << ELEMENT_HASH_BITS);
    q->literal_from = 0;
    for (uint32_t i = c->from; i < c->to; i++) {
        const struct wire_series *s = &w->series[i];
        if (!in_template(s)) {
            continue;
        }
        size_t value_at = begin + s->len;
        size_t time_at = value_at + VALUE_BYTES;
        begin = time_at + TIME_BYTES;
        if (pending != SIZE_MAX) {
            pos = time_squeeze(q, source, pending, value_at);
            source = pending;
        }
        labels_squeeze(q, pos, value_at);
        bool copied = form == TEMPLATE_ONE_TIME && source != SIZE_MAX;
        pos = copied ? time_at : begin;
        pending = copied ? time_at : SIZE_MAX;
        source = copied ? source : time_at;
        literal_flush(q, pos);
        holes[s->column] = (uint32_t)(q->out.len - (pos - value_at) - c->at);
    }
    if (pending != SIZE_MAX) {
        (void)time_squeeze(q, source, pending, begin);
    }
}

/* The next chunk of series; false: it has no scalar. */
static bool chunk_cut(const struct wire_shape *w, uint32_t from, uint32_t column,
                      struct template_chunk *c)
{
    *c = (struct template_chunk){.from = from, .to = from, .column = column};
    while (c->to < w->n_series && c->to - from < TEMPLATE_CHUNK_SERIES) {
        c->n_columns += wire_series_is_scalar(&w->series[c->to]) ? 1 : 0;
        c->to++;
    }
    return c->n_columns > 0;
}

/* Holes of delta series lie behind the chunk. */
static void delta_holes(const struct wire_shape *w, const struct template_chunk *c, uint32_t *holes)
{
    for (uint32_t i = c->from; i < c->to && w->n_delta > 0; i++) {
        if (w->series[i].delta && wire_series_is_scalar(&w->series[i])) {
            holes[w->series[i].column] = c->len;
        }
    }
}

static void chunk_make(struct template *t, struct squeeze *q, const struct wire_shape *w,
                       struct template_chunk *c)
{
    chunk_plain(q, w, c);
    c->at = (uint32_t)q->out.len;
    c->n_plain = (uint32_t)q->plain.len;
    if (!buf_ok(&q->plain) || !buf_ok(&q->mask)) {
        return;
    }
    if (q->plain.len > 0) {
        chunk_squeeze(q, w, t->form, c, t->holes);
    }
    c->len = (uint32_t)(q->out.len - c->at);
    for (uint32_t i = c->from; i < c->to && t->form == TEMPLATE_ONE_TIME; i++) {
        if (in_template(&w->series[i])) {
            c->time_at = t->holes[w->series[i].column] + VALUE_BYTES + 1;
            break;
        }
    }
    delta_holes(w, c, t->holes);
}

static bool chunks_make(struct template *t, struct squeeze *q, const struct wire_shape *w)
{
    uint32_t column = 0;
    for (uint32_t at = 0; at < w->n_series;) {
        struct template_chunk *c = &t->chunks[t->n_chunks];
        if (chunk_cut(w, at, column, c)) {
            chunk_make(t, q, w, c);
            t->n_chunks++;
        }
        at = c->to;
        column += c->n_columns;
        if (!buf_ok(&q->plain) || !buf_ok(&q->mask) || !buf_ok(&q->out)) {
            return false;
        }
    }
    return true;
}

struct template *template_new(const struct wire_shape *w, enum template_form form)
{
    struct template *t = calloc(1, sizeof *t);
    struct squeeze q = {.seen = malloc(sizeof *q.seen << ELEMENT_HASH_BITS)};
    buf_init(&q.plain, MAX_PLAIN_BYTES);
    buf_init(&q.mask, MAX_PLAIN_BYTES);
    buf_init(&q.out, MAX_PLAIN_BYTES);
    bool ok = t != NULL && q.seen != NULL;
    if (ok) {
        t->form = form;
        t->holes = calloc((size_t)w->n_scalars + 1, sizeof *t->holes);
        t->chunks = calloc(w->n_series / TEMPLATE_CHUNK_SERIES + 1, sizeof *t->chunks);
        ok = t->holes != NULL && t->chunks != NULL && chunks_make(t, &q, w) &&
             exp_labels_init(&t->exp, w);
    }
    if (ok) {
        t->bytes = buf_take(&q.out, &t->n_bytes);
    } else {
        template_free(t);
        t = NULL;
    }
    free(q.seen);
    buf_fini(&q.plain);
    buf_fini(&q.mask);
    buf_fini(&q.out);
    return t;
}

void template_free(struct template *t)
{
    if (t == NULL) {
        return;
    }
    free(t->bytes);
    free(t->holes);
    free(t->chunks);
    exp_labels_fini(&t->exp);
    free(t);
}

size_t template_cost(const struct template *t, const struct wire_shape *w)
{
    return sizeof *t + t->n_bytes + w->n_scalars * sizeof *t->holes +
           (w->n_series / TEMPLATE_CHUNK_SERIES + 1) * sizeof *t->chunks + exp_labels_cost(&t->exp);
}
