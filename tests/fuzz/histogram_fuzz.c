/* The first letter says what follows (tests/vectors/make_batch.py): e an exponential column, c a
 * classic one behind its number of bounds, d OTLP's dense buckets. What is decoded is sound, its
 * encoding gives the same again, and protobuf-c agrees. */
#include <stdio.h>
#include <stdlib.h>

#include "batch/histogram.h"
#include "remote_write.pb-c.h"
#include "wire/protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES = 16 << 20, MAX_BUCKETS = 4096 };

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static void check_err(const struct err *e)
{
    if (e->kind != ERR_BAD_INPUT || e->text[0] == 0) {
        fail("an error of the wrong kind or without text", e->text);
    }
}

static void check_sound(const struct exp_buckets *b)
{
    int64_t index = 0;
    uint64_t n = 0;
    for (uint32_t i = 0; i < b->n_spans; i++) {
        if (i > 0 && b->spans[i].offset < 0) {
            fail("spans overlap", "");
        }
        index += (int64_t)b->spans[i].offset + b->spans[i].n;
        n += b->spans[i].n;
        if (index > INT32_MAX) {
            fail("an index beyond 32 bits", "");
        }
    }
    if (n != b->n_counts) {
        fail("spans and counts differ", "");
    }
    for (uint32_t i = 0; i < b->n_counts; i++) {
        if (b->counts[i] > INT64_MAX) {
            fail("a count beyond 63 bits", "");
        }
    }
}

static bool side_eq(const struct exp_buckets *a, const struct exp_buckets *b)
{
    if (a->n_spans != b->n_spans || a->n_counts != b->n_counts) {
        return false;
    }
    for (uint32_t i = 0; i < a->n_spans; i++) {
        if (a->spans[i].offset != b->spans[i].offset || a->spans[i].n != b->spans[i].n) {
            return false;
        }
    }
    return a->n_counts == 0 || memcmp(a->counts, b->counts, a->n_counts * sizeof *a->counts) == 0;
}

static bool oracle_side_eq(const struct exp_buckets *b, size_t n_spans,
                           Prometheus__BucketSpan **spans, size_t n_deltas, const int64_t *deltas)
{
    bool eq = n_spans == b->n_spans && n_deltas == b->n_counts;
    for (size_t i = 0; eq && i < n_spans; i++) {
        eq = spans[i]->offset == b->spans[i].offset && spans[i]->length == b->spans[i].n;
    }
    uint64_t count = 0;
    for (size_t i = 0; eq && i < n_deltas; i++) {
        count += (uint64_t)deltas[i];
        eq = count == b->counts[i];
    }
    return eq;
}

/* Bytes of the varint that comes next. */
static size_t varint_bytes(const struct cursor *c)
{
    size_t n = 0;
    while (n < cursor_left(c) && c->next[n] >= 0x80) {
        n++;
    }
    return n + 1;
}

/* A field that remote write 1.0 does not have, or a tag or length that is written longer than need be. protobuf-c is
 * narrower than the encoding with them (it takes neither all long varints nor all lengths); we pass over them. */
static bool is_beyond_oracle(struct slice message)
{
    static const struct pb_type any = {"any", {0}};
    enum { LONGEST = 5 };
    struct cursor c = cursor_of(message);
    while (cursor_more(&c)) {
        bool is_long = varint_bytes(&c) > LONGEST;
        uint32_t tag = pb_tag(&c);
        is_long |= (tag & 7) == PB_LEN && varint_bytes(&c) > LONGEST;
        if (tag == 0 || tag >> 3 > 17 || is_long) {
            return tag != 0;
        }
        struct cursor value = c;
        bool is_span = tag == PB_TAG(8, PB_LEN) || tag == PB_TAG(11, PB_LEN);
        if (is_span && is_beyond_oracle(cursor_varint_bytes(&value))) {
            return true;
        }
        pb_skip(&c, tag, &any);
    }
    return false;
}

static void check_oracle(struct slice message, const struct exp_histogram *h)
{
    Prometheus__Histogram *oracle = prometheus__histogram__unpack(NULL, message.len, message.ptr);
    if (oracle == NULL && is_beyond_oracle(message)) {
        return;
    }
    if (oracle == NULL) {
        fail("protobuf-c refuses it", "");
    }
    bool eq = oracle->schema == h->schema && memcmp(&oracle->sum, &h->sum, sizeof h->sum) == 0 &&
              memcmp(&oracle->zero_threshold, &h->zero_threshold, sizeof h->sum) == 0 &&
              oracle->count_int == h->count && oracle->zero_count_int == h->zero_count &&
              oracle_side_eq(&h->positive, oracle->n_positive_spans, oracle->positive_spans,
                             oracle->n_positive_deltas, oracle->positive_deltas) &&
              oracle_side_eq(&h->negative, oracle->n_negative_spans, oracle->negative_spans,
                             oracle->n_negative_deltas, oracle->negative_deltas);
    prometheus__histogram__free_unpacked(oracle, NULL);
    if (!eq) {
        fail("protobuf-c reads something else", "");
    }
}

static void check_again(const struct exp_histogram *h, struct arena *a)
{
    struct buf out;
    struct err e = ERR_INIT;
    struct exp_histogram again;
    buf_init(&out, BYTES);
    exp_histogram_encode(h, &out);
    struct cursor c = cursor_of(buf_slice(&out));
    struct cursor skipping = c;
    if (exp_histogram_skip(&skipping).len <= HISTOGRAM_MAX_BYTES) {
        if (!exp_histogram_decode(&c, MAX_BUCKETS, a, &again, &e) || cursor_left(&c) != 0) {
            fail("what we encode we refuse", e.text);
        }
        if (h->schema != again.schema || h->count != again.count ||
            h->zero_count != again.zero_count || memcmp(&h->sum, &again.sum, sizeof h->sum) != 0 ||
            !side_eq(&h->positive, &again.positive) || !side_eq(&h->negative, &again.negative)) {
            fail("the round trip changes it", "");
        }
    }
    buf_fini(&out);
}

static void run_exp(struct cursor c, struct arena *a)
{
    while (cursor_more(&c)) {
        struct exp_histogram h;
        struct err e = ERR_INIT;
        struct cursor skipping = c;
        struct slice message = exp_histogram_skip(&skipping);
        if (!exp_histogram_decode(&c, MAX_BUCKETS, a, &h, &e)) {
            check_err(&e);
            return;
        }
        check_sound(&h.positive);
        check_sound(&h.negative);
        check_oracle(message, &h);
        check_again(&h, a);
        (void)exp_histogram_counts_agree(&h);
    }
}

static void run_classic(struct cursor c, struct arena *a)
{
    struct classic_histogram h;
    struct err e = ERR_INIT;
    uint32_t n_bounds = cursor_u8(&c);
    struct cursor skipping = c;
    bool skipped = classic_histogram_skip(&skipping, n_bounds);
    bool ok = classic_histogram_decode(&c, n_bounds, a, &h, &e);
    if (ok != skipped) {
        fail("skip and decode disagree", e.text);
    }
    if (!ok) {
        check_err(&e);
        return;
    }
    struct buf out;
    struct classic_histogram again;
    buf_init(&out, BYTES);
    classic_histogram_encode(&h, &out);
    struct cursor once_more = cursor_of(buf_slice(&out));
    if (!classic_histogram_decode(&once_more, n_bounds, a, &again, &e) ||
        cursor_left(&once_more) != 0 || again.count != h.count ||
        memcmp(again.counts, h.counts, h.n_counts * sizeof *h.counts) != 0 ||
        again.has_sum != h.has_sum || again.stale != h.stale ||
        memcmp(&again.sum, &h.sum, sizeof h.sum) != 0) {
        fail("the round trip changes it", e.text);
    }
    buf_fini(&out);
}

/* The index of the OTLP bucket i in the store, and the count that spans give it. */
static uint64_t count_at(const struct exp_buckets *b, int64_t index)
{
    int64_t at = 0;
    uint32_t k = 0;
    for (uint32_t s = 0; s < b->n_spans; s++) {
        at += b->spans[s].offset;
        if (index >= at && index < at + b->spans[s].n) {
            return b->counts[k + (uint64_t)(index - at)];
        }
        at += b->spans[s].n;
        k += b->spans[s].n;
    }
    return 0;
}

static void run_dense(struct cursor c, struct arena *a)
{
    static uint64_t counts[MAX_BUCKETS];
    int32_t scale = (int32_t)cursor_zigzag(&c);
    struct dense_buckets d = {.offset = (int32_t)cursor_zigzag(&c), .counts = counts};
    (void)cursor_varint(&c);
    while (cursor_more(&c) && d.n < 300) {
        counts[d.n++] = cursor_varint(&c);
    }
    struct dense_buckets none = {0};
    struct exp_histogram h = {0};
    struct err e = ERR_INIT;
    struct buf at_once;
    struct buf by_spans;
    buf_init(&at_once, BYTES);
    buf_init(&by_spans, BYTES);
    bool taken = exp_histogram_encode_dense(&h, scale, &d, &none, &at_once);
    bool ok = exp_histogram_from_dense(scale, &d, &none, a, &h, &e);
    if (taken) {
        exp_histogram_encode(&h, &by_spans);
    }
    if ((taken && !ok) || !slice_eq(buf_slice(&at_once), buf_slice(&by_spans))) {
        fail("encoded at once it is another one", "");
    }
    buf_fini(&at_once);
    buf_fini(&by_spans);
    if (!ok) {
        check_err(&e);
        return;
    }
    check_sound(&h.positive);
    check_again(&h, a);
    int64_t down = scale > 8 ? (int64_t)scale - 8 : 0;
    int shift = down > 31 ? 31 : (int)down;
    for (uint32_t i = 0; i < d.n;) { /* runs of buckets that merge */
        int64_t index = (((int64_t)d.offset + i) >> shift) + 1;
        uint64_t sum = 0;
        for (; i < d.n && (((int64_t)d.offset + i) >> shift) + 1 == index; i++) {
            sum += counts[i];
        }
        if (count_at(&h.positive, index) != sum) {
            fail("a bucket has another count", "");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(slice_of(data, size));
    struct arena a;
    arena_init(&a, BYTES);
    switch (cursor_u8(&c)) {
    case 'e':
        run_exp(c, &a);
        break;
    case 'c':
        run_classic(c, &a);
        break;
    case 'd':
        run_dense(c, &a);
        break;
    default:
        run_exp(cursor_of(slice_of(data, size)), &a);
    }
    arena_fini(&a);
    return 0;
}
