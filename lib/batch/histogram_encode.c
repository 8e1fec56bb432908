/* Exponential histograms into a column: from spans, or straight from OTLP's dense buckets. */
#include "base/varint.h"
#include "batch/buckets.h"
#include "batch/histogram_fields.h"

enum {
    LENGTH_BYTES = 2,                       /* a length's usual ones */
    HEAD_SPACE = 3 * 9 + 3 * (1 + VARINT_SPACE), /* all fields in front of the spans */
    SPAN_SPACE = 2 + 2 * (1 + VARINT_SPACE),
    MAX_RUNS = 8,  /* dense buckets in more runs go through spans */
    SMALL_BITS = 13, /* two counts below 2^13 differ by what takes two bytes */
    SMALL_BYTES = 2,
    SHORT_BYTES = 0x80 /* a length below it has one byte */
};

/* A side's counts, in pieces: all of them, or a run of dense buckets. */
struct piece {
    const uint64_t *counts;
    uint32_t n;
};

struct side {
    const struct histogram_span *spans;
    const struct piece *pieces;
    uint32_t n_spans;
    uint32_t n_pieces;
    uint32_t n_counts;
    uint64_t any; /* all counts' bits */
};

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static size_t varint_bytes(uint64_t v)
{
    return (size_t)(70 - __builtin_clzll(v | 1)) / 7;
}

/* Room for a length that is not known yet; *at is where what it measures begins. */
static bool length_open(struct buf *out, size_t *at)
{
    uint8_t *p = buf_extend(out, LENGTH_BYTES);
    *at = out->len;
    return p != NULL;
}

/* What stands behind `at` is complete: its length goes in front of it. */
static void length_close(struct buf *out, size_t at)
{
    if (!buf_ok(out)) {
        return;
    }
    size_t n_bytes = out->len - at;
    size_t n = varint_bytes(n_bytes);
    if (n > LENGTH_BYTES && buf_extend(out, n - LENGTH_BYTES) == NULL) {
        return;
    }
    uint8_t head[VARINT_SPACE];
    (void)varint_write(head, n_bytes);
    if (n != LENGTH_BYTES) {
        memmove(out->ptr + at - LENGTH_BYTES + n, out->ptr + at, n_bytes);
        out->len = at - LENGTH_BYTES + n + n_bytes;
    }
    memcpy(out->ptr + at - LENGTH_BYTES, head, n);
}

/* What was written of n_room bytes ends at p. */
static void room_close(struct buf *out, const uint8_t *first, size_t n_room, const uint8_t *p)
{
    out->len -= n_room - (size_t)(p - first);
}

/* Deltas of at most two bytes each, without a branch on which: bucket counts are a mix that no predictor guesses. */
static uint8_t *small_deltas_write(uint8_t *p, const struct piece *piece, uint64_t *before)
{
    const uint64_t *counts = piece->counts;
    uint32_t n = piece->n;
    uint32_t last = (uint32_t)*before;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t count = (uint32_t)counts[i];
        int32_t delta = (int32_t)(count - last);
        uint32_t v = (uint32_t)delta << 1 ^ (uint32_t)(delta >> 31);
        uint32_t more = v > 0x7f;
        uint16_t bytes = (uint16_t)((v + (v & ~UINT32_C(0x7f))) | more << 7); /* the high 7 bits one place up */
        memcpy(p, &bytes, sizeof bytes);
        p += 1 + more;
        last = count;
    }
    *before = last;
    return p;
}

static uint8_t *deltas_write(uint8_t *p, const struct piece *piece, uint64_t *before)
{
    for (uint32_t i = 0; i < piece->n; i++) {
        p += varint_write(p, zigzag((int64_t)(piece->counts[i] - *before)));
        *before = piece->counts[i];
    }
    return p;
}

/* Behind the tag: length and deltas. */
static void deltas_put(const struct side *s, struct buf *out)
{
    bool is_small = s->any >> SMALL_BITS == 0;
    size_t n_room = LENGTH_BYTES + (size_t)s->n_counts * (is_small ? SMALL_BYTES : VARINT_SPACE);
    size_t length_at = out->len;
    uint8_t *first = buf_extend(out, n_room);
    if (first == NULL) {
        return;
    }
    bool is_short = s->n_counts < SHORT_BYTES / 2; /* most likely */
    uint8_t *begin = first + (is_short ? 1 : LENGTH_BYTES);
    uint8_t *p = begin;
    uint64_t before = 0;
    for (uint32_t i = 0; i < s->n_pieces; i++) {
        p = is_small ? small_deltas_write(p, &s->pieces[i], &before) : deltas_write(p, &s->pieces[i], &before);
    }
    room_close(out, first, n_room, p);
    if (is_short && p - begin < SHORT_BYTES) {
        *first = (uint8_t)(p - begin);
        return;
    }
    if (is_short) {
        memmove(begin + 1, begin, (size_t)(p - begin)); /* within the room: it begins with LENGTH_BYTES */
        out->len++;
    }
    length_close(out, length_at + LENGTH_BYTES);
}

static void span_put(const struct histogram_span *span, uint32_t number, struct buf *out)
{
    uint8_t *first = buf_extend(out, SPAN_SPACE);
    if (first == NULL) {
        return;
    }
    uint8_t *p = first + 2;
    if (span->offset != 0) {
        *p++ = PB_TAG(1, PB_VARINT);
        p += varint_write(p, zigzag(span->offset));
    }
    if (span->n != 0) {
        *p++ = PB_TAG(2, PB_VARINT);
        p += varint_write(p, span->n);
    }
    first[0] = (uint8_t)PB_TAG(number, PB_LEN);
    first[1] = (uint8_t)(p - first - 2); /* less than 128 */
    room_close(out, first, SPAN_SPACE, p);
}

static void side_put(const struct side *s, uint32_t number, struct buf *out)
{
    for (uint32_t i = 0; i < s->n_spans; i++) {
        span_put(&s->spans[i], number, out);
    }
    if (s->n_counts > 0) {
        buf_u8(out, (uint8_t)PB_TAG(number + 1, PB_LEN));
        deltas_put(s, out);
    }
}

static uint8_t *double_write(uint8_t *p, uint32_t tag, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (bits != 0) { /* +0 is what protobuf leaves out */
        *p++ = (uint8_t)tag;
        memcpy(p, &bits, sizeof bits);
        p += sizeof bits;
    }
    return p;
}

static void head_put(const struct exp_histogram *h, int32_t schema, struct buf *out)
{
    uint8_t *first = buf_extend(out, HEAD_SPACE);
    if (first == NULL) {
        return;
    }
    uint8_t *p = first;
    *p++ = TAG_COUNT;
    p += varint_write(p, h->count);
    p = double_write(p, TAG_SUM, h->sum);
    if (schema != 0) {
        *p++ = TAG_SCHEMA;
        p += varint_write(p, zigzag(schema));
    }
    p = double_write(p, TAG_ZERO_THRESHOLD, h->zero_threshold);
    *p++ = TAG_ZERO_COUNT;
    p += varint_write(p, h->zero_count);
    room_close(out, first, HEAD_SPACE, p);
}

static void histogram_put(const struct exp_histogram *h, int32_t schema, const struct side sides[2], struct buf *out)
{
    size_t at;
    if (!length_open(out, &at)) {
        return;
    }
    head_put(h, schema, out);
    side_put(&sides[0], NEGATIVE_NUMBER, out);
    side_put(&sides[1], POSITIVE_NUMBER, out);
    length_close(out, at);
}

static struct side side_of(const struct exp_buckets *b, struct piece *space)
{
    struct side s = {b->spans, space, b->n_spans, 1, b->n_counts, 0};
    *space = (struct piece){b->counts, b->n_counts};
    for (uint32_t i = 0; i < b->n_counts; i++) {
        s.any |= b->counts[i];
    }
    return s;
}

void exp_histogram_encode(const struct exp_histogram *h, struct buf *out)
{
    struct piece pieces[2];
    const struct side sides[2] = {side_of(&h->negative, &pieces[0]), side_of(&h->positive, &pieces[1])};
    histogram_put(h, h->schema, sides, out);
}

/* ---- dense buckets ---- */

struct runs {
    struct histogram_span spans[MAX_RUNS];
    struct piece pieces[MAX_RUNS];
};

/* Where the run from bucket `from` on ends: behind the last filled one before more than MAX_GAP empty ones. */
static uint32_t run_end(const struct dense_buckets *d, uint32_t from, uint64_t *any)
{
    uint32_t end = from;
    for (uint32_t i = from; i < d->n && i - end <= MAX_GAP; i++) {
        if (d->counts[i] != 0) {
            *any |= d->counts[i];
            end = i + 1;
        }
    }
    return end;
}

/* The usual case: no bucket is empty from there on. A look at all of them, without a branch. */
static bool is_full(const struct dense_buckets *d, uint32_t from, uint64_t *any)
{
    uint64_t empty = 0;
    uint64_t all = 0;
    for (uint32_t i = from; i < d->n; i++) {
        all |= d->counts[i];
        empty |= d->counts[i] - 1; /* its highest bit: 0 has it, and what is too much anyway */
    }
    *any |= all;
    return empty >> 63 == 0;
}

/* False: too many runs, or something is wrong with it. */
static bool runs_find(const struct dense_buckets *d, struct runs *space, struct side *out)
{
    uint32_t n = 0;
    uint32_t end = 0;
    *out = (struct side){.spans = space->spans, .pieces = space->pieces};
    for (uint32_t at = 0; at < d->n; at++) {
        if (d->counts[at] == 0) {
            continue;
        }
        if (n == MAX_RUNS) {
            return false;
        }
        int64_t offset = n == 0 ? (int64_t)d->offset + at + 1 : (int64_t)at - end;
        end = n == 0 && is_full(d, at, &out->any) ? d->n : run_end(d, at, &out->any);
        if ((int64_t)d->offset + end > INT32_MAX - 1) {
            return false; /* the last one's upper neighbour must be a number, too */
        }
        space->spans[n] = (struct histogram_span){(int32_t)offset, end - at};
        space->pieces[n++] = (struct piece){d->counts + at, end - at};
        out->n_counts += end - at;
        at = end - 1;
    }
    out->n_spans = out->n_pieces = n;
    return out->any >> 63 == 0;
}

bool exp_histogram_encode_dense(const struct exp_histogram *h, int32_t scale, const struct dense_buckets *positive,
                                const struct dense_buckets *negative, struct buf *out)
{
    struct runs runs[2] __attribute__((uninitialized)); /* filled as far as they are read */
    struct side sides[2];
    if (scale < HISTOGRAM_MIN_SCHEMA || scale > HISTOGRAM_MAX_SCHEMA || !runs_find(negative, &runs[0], &sides[0]) ||
        !runs_find(positive, &runs[1], &sides[1])) {
        return false;
    }
    histogram_put(h, scale, sides, out);
    return true;
}
