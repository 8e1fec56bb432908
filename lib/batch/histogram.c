#include "batch/histogram.h"

#include "batch/histogram_fields.h"

const uint64_t stale_marker_bits = UINT64_C(0x7ff0000000000002);

static const struct pb_type histogram_type = {
    "Histogram",
    {PB_TAG(1, PB_VARINT), PB_TAG(2, PB_I64),     PB_TAG(3, PB_I64),     PB_TAG(4, PB_VARINT),
     PB_TAG(5, PB_I64),    PB_TAG(6, PB_VARINT),  PB_TAG(7, PB_I64),     PB_TAG(8, PB_LEN),
     PB_TAG(9, PB_LEN),    PB_TAG(9, PB_VARINT),  PB_TAG(10, PB_LEN),    PB_TAG(10, PB_I64),
     PB_TAG(11, PB_LEN),   PB_TAG(12, PB_LEN),    PB_TAG(12, PB_VARINT), PB_TAG(13, PB_LEN),
     PB_TAG(13, PB_I64),   PB_TAG(14, PB_VARINT), PB_TAG(15, PB_VARINT), PB_TAG(16, PB_LEN),
     PB_TAG(16, PB_I64)}};
static const struct pb_type span_type = {"BucketSpan",
                                         {PB_TAG(1, PB_VARINT), PB_TAG(2, PB_VARINT)}};

bool double_is_stale(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits == stale_marker_bits;
}

/* One side while it is read: counted first, then filled. */
struct side {
    uint64_t n_spans;
    uint64_t n_counts;
    uint64_t n_in_spans;
    int64_t index; /* of the bucket behind the last span */
    uint64_t count;
    struct histogram_span *spans;
    uint64_t *counts;
};

static bool bad(struct err *e, const char *what)
{
    return err_set(e, ERR_BAD_INPUT, "histogram: %s", what);
}

static struct histogram_span span_read(struct slice bytes, bool *ok)
{
    struct histogram_span s = {0};
    struct cursor c = cursor_of(bytes);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == PB_TAG(1, PB_VARINT)) {
            s.offset = pb_sint32(&c);
        } else if (tag == PB_TAG(2, PB_VARINT)) {
            s.n = pb_uint32(&c);
        } else {
            pb_skip(&c, tag, &span_type);
        }
    }
    *ok = cursor_ok(&c);
    return s;
}

/* Counts the spans' and deltas' fields of both sides, and reads all others. */
static bool scalars_read(struct slice message, struct exp_histogram *h, struct side sides[2],
                         struct err *e)
{
    struct cursor c = cursor_of(message);
    bool is_float = false;
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        struct side *side = &sides[tag >> 3 >= POSITIVE_NUMBER];
        switch (tag) {
        case TAG_COUNT:
            h->count = cursor_varint(&c);
            break;
        case TAG_SUM:
            h->sum = cursor_double(&c);
            break;
        case TAG_SCHEMA:
            h->schema = pb_sint32(&c);
            break;
        case TAG_ZERO_THRESHOLD:
            h->zero_threshold = cursor_double(&c);
            break;
        case TAG_ZERO_COUNT:
            h->zero_count = cursor_varint(&c);
            break;
        case TAG_NEGATIVE_SPANS:
        case TAG_POSITIVE_SPANS:
            (void)pb_bytes(&c);
            side->n_spans++;
            break;
        case PB_TAG(9, PB_LEN):
        case PB_TAG(12, PB_LEN):
            side->n_counts += pb_packed_varints(pb_bytes(&c));
            break;
        case PB_TAG(9, PB_VARINT):
        case PB_TAG(12, PB_VARINT):
            (void)cursor_varint(&c);
            side->n_counts++;
            break;
        default:
            is_float |= tag == TAG_COUNT_FLOAT || tag == TAG_ZERO_COUNT_FLOAT || tag >> 3 == 10 ||
                        tag >> 3 == 13 || tag >> 3 == 16;
            pb_skip(&c, tag, &histogram_type);
        }
    }
    if (!cursor_ok(&c)) {
        return bad(e, "bad or cut off");
    }
    return !is_float || bad(e, "float counts or custom bounds");
}

static bool side_alloc(struct side *s, uint32_t max_buckets, struct arena *a, struct err *e)
{
    if (s->n_counts > max_buckets || s->n_spans > max_buckets) {
        return err_set(e, ERR_BAD_INPUT, "histogram: %llu buckets in %llu spans, more than %u",
                       (unsigned long long)s->n_counts, (unsigned long long)s->n_spans,
                       max_buckets);
    }
    s->spans = ARENA_ARRAY(a, struct histogram_span, s->n_spans);
    s->counts = ARENA_ARRAY(a, uint64_t, s->n_counts);
    s->n_spans = s->n_counts = 0;
    return (s->spans != NULL && s->counts != NULL) || bad(e, "larger than its batch's memory");
}

static bool side_span(struct side *s, struct slice bytes, struct err *e)
{
    bool ok;
    struct histogram_span span = span_read(bytes, &ok);
    if (!ok) {
        return bad(e, "span: bad or cut off");
    }
    if (s->n_spans > 0 && span.offset < 0) {
        return bad(e, "spans overlap");
    }
    s->index += (int64_t)span.offset + span.n; /* 2^32 spans would be needed to overflow */
    s->n_in_spans += span.n;
    if (s->index > INT32_MAX) {
        return bad(e, "bucket index beyond 32 bits");
    }
    s->spans[s->n_spans++] = span;
    return true;
}

static bool side_delta(struct side *s, struct cursor *c, struct err *e)
{
    int64_t count;
    int64_t delta = cursor_zigzag(c);
    if (!cursor_ok(c)) { /* it was not counted, so there is no room for it */
        return bad(e, "deltas: bad or cut off");
    }
    if (__builtin_add_overflow((int64_t)s->count, delta, &count) || count < 0) {
        return bad(e, "a bucket's count is negative");
    }
    s->count = (uint64_t)count;
    s->counts[s->n_counts++] = s->count;
    return true;
}

static bool side_packed(struct side *s, struct slice packed, struct err *e)
{
    struct cursor c = cursor_of(packed);
    while (cursor_more(&c)) {
        if (!side_delta(s, &c, e)) {
            return false;
        }
    }
    return true;
}

/* A pass over the message for the spans and deltas alone. */
static bool sides_fill(struct slice message, struct side sides[2], struct err *e)
{
    struct cursor c = cursor_of(message);
    bool ok = true;
    for (uint32_t tag; ok && (tag = pb_tag(&c)) != 0;) {
        struct side *side = &sides[tag >> 3 >= POSITIVE_NUMBER];
        switch (tag) {
        case TAG_NEGATIVE_SPANS:
        case TAG_POSITIVE_SPANS:
            ok = side_span(side, pb_bytes(&c), e);
            break;
        case PB_TAG(9, PB_LEN):
        case PB_TAG(12, PB_LEN):
            ok = side_packed(side, pb_bytes(&c), e);
            break;
        case PB_TAG(9, PB_VARINT):
        case PB_TAG(12, PB_VARINT):
            ok = side_delta(side, &c, e);
            break;
        default:
            pb_skip(&c, tag, &histogram_type);
        }
    }
    for (size_t i = 0; ok && i < 2; i++) {
        ok = sides[i].n_in_spans == sides[i].n_counts ||
             bad(e, "the spans' lengths are not the number of buckets");
    }
    return ok;
}

static struct exp_buckets side_take(const struct side *s)
{
    return (struct exp_buckets){(uint32_t)s->n_spans, (uint32_t)s->n_counts, s->spans, s->counts};
}

bool exp_histogram_decode(struct cursor *column, uint32_t max_buckets, struct arena *a,
                          struct exp_histogram *out, struct err *e)
{
    struct slice message = exp_histogram_skip(column);
    return cursor_ok(column) ? exp_histogram_read(message, max_buckets, a, out, e) : bad(e, "cut off");
}

bool exp_histogram_read(struct slice message, uint32_t max_buckets, struct arena *a,
                        struct exp_histogram *out, struct err *e)
{
    struct side sides[2] = {0}; /* negative, positive */
    *out = (struct exp_histogram){0};
    if (message.len > HISTOGRAM_MAX_BYTES) {
        return err_set(e, ERR_BAD_INPUT, "histogram: %zu bytes, more than %d", message.len,
                       HISTOGRAM_MAX_BYTES);
    }
    if (!scalars_read(message, out, sides, e) || !side_alloc(&sides[0], max_buckets, a, e) ||
        !side_alloc(&sides[1], max_buckets, a, e) || !sides_fill(message, sides, e)) {
        return false;
    }
    out->negative = side_take(&sides[0]);
    out->positive = side_take(&sides[1]);
    return true;
}

struct slice exp_histogram_skip(struct cursor *column)
{
    return pb_bytes(column);
}
