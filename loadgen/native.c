#include "native.h"

#include "base/buf.h"
#include "base/cursor.h"
#include "base/hash.h"

enum { MAX_SPANS = 256, MAX_DELTAS = 4096, DIGEST_BYTES = 64 + MAX_NATIVE_BUCKETS * 12 };

static const double prometheus_zero_threshold = 1e-128;

struct native_span {
    int64_t offset;
    uint64_t n;
};

struct native_side {
    uint32_t n_spans;
    uint32_t n_deltas;
    struct native_span spans[MAX_SPANS];
    int64_t deltas[MAX_DELTAS];
};

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)((v >> 1) ^ (~(v & 1) + 1));
}

static void skip_field(struct cursor *c, uint64_t tag)
{
    switch (tag & 7) {
    case 0:
        (void)cursor_varint(c);
        return;
    case 1:
        (void)cursor_le64(c);
        return;
    case 2:
        (void)cursor_varint_bytes(c);
        return;
    case 5:
        (void)cursor_le32(c);
        return;
    default:
        cursor_fail(c);
    }
}

static void span_read(struct cursor *c, struct native_side *side)
{
    struct cursor inner = cursor_of(cursor_varint_bytes(c));
    struct native_span span = {0, 0};
    while (cursor_more(&inner)) {
        uint64_t tag = cursor_varint(&inner);
        if (tag == (1 << 3)) {
            span.offset = unzigzag(cursor_varint(&inner));
        } else if (tag == (2 << 3)) {
            span.n = cursor_varint(&inner);
        } else {
            skip_field(&inner, tag);
        }
    }
    if (!cursor_ok(&inner) || side->n_spans == MAX_SPANS) {
        cursor_fail(c);
        return;
    }
    side->spans[side->n_spans++] = span;
}

static void deltas_read(struct cursor *c, struct native_side *side)
{
    struct cursor inner = cursor_of(cursor_varint_bytes(c));
    while (cursor_more(&inner)) {
        int64_t delta = unzigzag(cursor_varint(&inner));
        if (side->n_deltas == MAX_DELTAS) {
            cursor_fail(&inner);
            break;
        }
        side->deltas[side->n_deltas++] = delta;
    }
    if (!cursor_ok(&inner)) {
        cursor_fail(c);
    }
}

/* Sums up the deltas over the spans and keeps the filled buckets. */
static bool side_buckets(const struct native_side *side, struct native_bucket *out, uint32_t *n,
                         struct err *e)
{
    uint32_t at = 0;
    int64_t index = 0;
    int64_t count = 0;
    *n = 0;
    for (uint32_t i = 0; i < side->n_spans; i++) {
        index += side->spans[i].offset;
        for (uint64_t k = 0; k < side->spans[i].n; k++, index++) {
            if (at == side->n_deltas || *n == MAX_NATIVE_BUCKETS || index > INT32_MAX ||
                index < INT32_MIN) {
                return err_set(e, ERR_BAD_INPUT, "spans and buckets do not fit");
            }
            count += side->deltas[at++];
            if (count != 0) {
                out[(*n)++] = (struct native_bucket){(int32_t)index, (uint64_t)count};
            }
        }
    }
    return at == side->n_deltas || err_set(e, ERR_BAD_INPUT, "more buckets than spans");
}

static void field_read(struct cursor *c, struct native_histogram *out, struct native_side *positive,
                       struct native_side *negative)
{
    uint64_t tag = cursor_varint(c);
    switch (tag) {
    case 1 << 3:
        out->count = cursor_varint(c);
        break;
    case 3 << 3 | 1:
        out->sum = cursor_double(c);
        break;
    case 4 << 3:
        out->schema = (int32_t)unzigzag(cursor_varint(c));
        break;
    case 5 << 3 | 1:
        out->zero_threshold = cursor_double(c);
        break;
    case 6 << 3:
        out->zero_count = cursor_varint(c);
        break;
    case 8 << 3 | 2:
        span_read(c, negative);
        break;
    case 9 << 3 | 2:
        deltas_read(c, negative);
        break;
    case 11 << 3 | 2:
        span_read(c, positive);
        break;
    case 12 << 3 | 2:
        deltas_read(c, positive);
        break;
    case 15 << 3:
        out->time_ms = (int64_t)cursor_varint(c);
        break;
    default:
        skip_field(c, tag);
    }
}

bool native_decode(struct slice message, struct native_histogram *out, struct err *e)
{
    struct native_side positive = {.n_spans = 0, .n_deltas = 0};
    struct native_side negative = {.n_spans = 0, .n_deltas = 0};
    struct native_bucket below[MAX_NATIVE_BUCKETS];
    struct cursor c = cursor_of(message);
    *out = (struct native_histogram){.n_buckets = 0};
    while (cursor_more(&c)) {
        field_read(&c, out, &positive, &negative);
    }
    if (!cursor_ok(&c)) {
        return err_set(e, ERR_BAD_INPUT, "a histogram that can't be read");
    }
    uint32_t n_below;
    if (!side_buckets(&positive, out->buckets, &out->n_buckets, e) ||
        !side_buckets(&negative, below, &n_below, e)) {
        return false;
    }
    out->has_negative = n_below > 0;
    return true;
}

void native_expect(const struct model_histogram *h, struct native_histogram *out)
{
    out->time_ms = 0;
    out->schema = h->scale;
    out->zero_threshold = 0;
    out->zero_count = h->zero_count;
    out->count = h->count;
    out->sum = h->sum;
    out->has_negative = false;
    out->n_buckets = 0;
    for (uint32_t i = 0; i < h->n_buckets; i++) {
        if (h->counts[i] != 0) {
            out->buckets[out->n_buckets++] =
                (struct native_bucket){h->offset + (int32_t)i + 1, h->counts[i]};
        }
    }
}

static bool double_same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

bool native_equal(const struct native_histogram *expected, const struct native_histogram *seen)
{
    bool threshold_ok = double_same(seen->zero_threshold, 0) ||
                        double_same(seen->zero_threshold, prometheus_zero_threshold);
    if (!threshold_ok || seen->has_negative || expected->schema != seen->schema ||
        expected->zero_count != seen->zero_count || expected->count != seen->count ||
        !double_same(expected->sum, seen->sum) || expected->n_buckets != seen->n_buckets) {
        return false;
    }
    for (uint32_t i = 0; i < expected->n_buckets; i++) {
        if (expected->buckets[i].index != seen->buckets[i].index ||
            expected->buckets[i].count != seen->buckets[i].count) {
            return false;
        }
    }
    return true;
}

uint64_t native_digest(const struct native_histogram *h, double zero_threshold)
{
    struct buf b;
    buf_init(&b, DIGEST_BYTES);
    buf_u8(&b, 0);
    buf_le32(&b, (uint32_t)h->schema);
    buf_double(&b, zero_threshold);
    buf_le64(&b, h->zero_count);
    buf_le64(&b, h->count);
    buf_double(&b, h->sum);
    buf_le32(&b, h->n_buckets);
    for (uint32_t i = 0; i < h->n_buckets; i++) {
        buf_le32(&b, (uint32_t)h->buckets[i].index);
        buf_le64(&b, h->buckets[i].count);
    }
    buf_le32(&b, 0);
    uint64_t digest = hash64(buf_slice(&b));
    buf_fini(&b);
    return digest;
}
