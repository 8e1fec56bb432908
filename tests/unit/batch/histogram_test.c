#include "unit/runner.h"

#include "base/cursor.h"
#include "remote_write.pb-c.h"
#include "unit/batch/samples.h"

enum { BYTES = 1 << 20, MAX_BUCKETS = 512, N_SAMPLES = 2000, MAX_DENSE = 200 };

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* What a vector (make_batch.py: histograms) says: by its first letter. */
struct outcome {
    bool ok;
    uint32_t n_spans;
    uint32_t n_counts;
    uint64_t sum; /* of all buckets */
    int32_t schema;
};

static void add_side(struct outcome *o, const struct exp_buckets *b)
{
    o->n_spans += b->n_spans;
    o->n_counts += b->n_counts;
    for (uint32_t i = 0; i < b->n_counts; i++) {
        o->sum += b->counts[i];
    }
}

static struct outcome run_exp(struct cursor c, struct arena *a, struct err *e)
{
    struct outcome o = {.ok = true};
    while (o.ok && cursor_more(&c)) {
        struct exp_histogram h;
        o.ok = exp_histogram_decode(&c, MAX_BUCKETS, a, &h, e);
        if (o.ok) {
            add_side(&o, &h.positive);
            add_side(&o, &h.negative);
            o.schema = h.schema;
        }
    }
    return o;
}

static struct outcome run_classic(struct cursor c, struct arena *a, struct err *e)
{
    struct outcome o = {0};
    struct classic_histogram h;
    uint32_t n_bounds = cursor_u8(&c);
    struct cursor again = c;
    o.ok = classic_histogram_decode(&c, n_bounds, a, &h, e);
    ck_assert(classic_histogram_skip(&again, n_bounds) == o.ok);
    if (o.ok) {
        ck_assert_ptr_eq(again.next, c.next);
        o.n_counts = h.n_counts;
        for (uint32_t i = 0; i < h.n_counts; i++) {
            o.sum += h.counts[i];
        }
    }
    return o;
}

static struct outcome run_dense(struct cursor c, struct arena *a, struct err *e)
{
    struct outcome o = {0};
    uint64_t counts[MAX_DENSE];
    int32_t scale = (int32_t)cursor_zigzag(&c);
    struct dense_buckets positive = {.offset = (int32_t)cursor_zigzag(&c), .counts = counts};
    struct dense_buckets none = {0};
    uint32_t n = (uint32_t)cursor_varint(&c);
    while (positive.n < n && positive.n < MAX_DENSE && cursor_more(&c)) {
        counts[positive.n++] = cursor_varint(&c);
    }
    struct exp_histogram h = {0};
    o.ok = exp_histogram_from_dense(scale, &positive, &none, a, &h, e);
    add_side(&o, &h.positive);
    o.schema = h.schema;
    return o;
}

static struct outcome run(struct slice bytes, struct err *e)
{
    struct arena a;
    struct cursor c = cursor_of(bytes);
    *e = (struct err)ERR_INIT;
    arena_init(&a, BYTES);
    uint8_t letter = cursor_u8(&c);
    struct outcome o = letter == 'e'   ? run_exp(c, &a, e)
                       : letter == 'c' ? run_classic(c, &a, e)
                                       : run_dense(c, &a, e);
    arena_fini(&a);
    return o;
}

static const struct {
    const char *name;
    const char *text;
    struct outcome want;
} rows[] = {
    {"exp", NULL, {true, 3, 5, 4 + 1 + 3 + 7 + 1, 3}},
    {"exp_empty", NULL, {true, 0, 0, 0, 0}},
    {"exp_ended", NULL, {true, 0, 0, 0, 8}},
    {"exp_two", NULL, {true, 3, 5, 16, 0}},
    {"exp_wide", NULL, {true, 2, 2, 6, -9}},
    {"exp_unpacked", NULL, {true, 1, 2, 3, 0}},
    {"exp_any_order", NULL, {true, 1, 1, 5, 0}},
    {"exp_empty_span", NULL, {true, 2, 1, 1, 0}},
    {"bad_exp_float", "histogram: float counts or custom bounds", {0}},
    {"bad_exp_custom", "histogram: float counts or custom bounds", {0}},
    {"bad_exp_negative", "histogram: a bucket's count is negative", {0}},
    {"bad_exp_overflow", "histogram: a bucket's count is negative", {0}},
    {"bad_exp_lengths", "histogram: the spans' lengths are not the number of buckets", {0}},
    {"bad_exp_huge_span", "histogram: bucket index beyond 32 bits", {0}},
    {"bad_exp_overlap", "histogram: spans overlap", {0}},
    {"bad_exp_index", "histogram: bucket index beyond 32 bits", {0}},
    {"bad_exp_wire", "histogram: bad or cut off", {0}},
    {"bad_exp_group", "histogram: bad or cut off", {0}},
    {"bad_exp_cut", "histogram: cut off", {0}},
    {"bad_exp_span_cut", "histogram: span: bad or cut off", {0}},
    {"bad_exp_delta_endless", "histogram: deltas: bad or cut off", {0}},
    {"bad_exp_delta_cut", "histogram: deltas: bad or cut off", {0}},
    {"classic", NULL, {true, 0, 5, 15, 0}},
    {"classic_no_bounds", NULL, {true, 0, 1, 0, 0}},
    {"bad_classic_flags", "histogram: unknown flags", {0}},
    {"bad_classic_counts", "histogram: cut off", {0}},
    {"dense", NULL, {true, 2, 6, 17, 3}},
    {"dense_down", NULL, {true, 1, 2, 56, 8}},
    {"dense_far_down", NULL, {true, 1, 2, 10, 8}},
    {"dense_empty", NULL, {true, 0, 0, 0, 0}},
    {"dense_end", NULL, {true, 1, 3, 3, 0}},
    {"bad_dense_scale", "histogram: scale -5, below -4", {0}},
    {"bad_dense_index", "histogram: bucket index beyond 32 bits", {0}},
    {"bad_dense_count", "histogram: a bucket's count is beyond 63 bits", {0}},
};

START_TEST(vectors_decode_or_say_why)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n_bytes;
        uint8_t *bytes = vector_read("histogram", rows[i].name, &n_bytes);
        struct err e;
        struct outcome o = run(slice_of(bytes, n_bytes), &e);
        ck_assert_msg(o.ok == (rows[i].text == NULL), "%s: %s", rows[i].name, e.text);
        if (o.ok) {
            const struct outcome *w = &rows[i].want;
            ck_assert_msg(o.n_spans == w->n_spans && o.n_counts == w->n_counts && o.sum == w->sum &&
                              o.schema == w->schema,
                          "%s: %u spans, %u counts, sum %llu, schema %d", rows[i].name, o.n_spans,
                          o.n_counts, (unsigned long long)o.sum, o.schema);
        } else {
            ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
            ck_assert_msg(strcmp(e.text, rows[i].text) == 0, "%s: %s", rows[i].name, e.text);
        }
        free(bytes);
    }
}
END_TEST

START_TEST(prefixes_are_refused)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n_bytes;
        uint8_t *bytes = vector_read("histogram", rows[i].name, &n_bytes);
        for (size_t len = 2; bytes[0] != 'd' && len < n_bytes; len++) {
            uint8_t *cut = malloc(len);
            ck_assert_ptr_nonnull(cut);
            memcpy(cut, bytes, len);
            struct err e;
            struct outcome o = run(slice_of(cut, len), &e);
            /* between two histograms a column may end */
            bool may = strcmp(rows[i].name, "exp_two") == 0 && o.n_counts == 5;
            ck_assert_msg(!o.ok || may, "%s cut to %zu", rows[i].name, len);
            ck_assert(o.ok || (e.kind == ERR_BAD_INPUT && e.text[0] != 0));
            free(cut);
        }
        free(bytes);
    }
}
END_TEST

static void check_side(const struct exp_buckets *got, const struct exp_buckets *want)
{
    ck_assert_uint_eq(got->n_spans, want->n_spans);
    ck_assert_uint_eq(got->n_counts, want->n_counts);
    for (uint32_t i = 0; i < want->n_spans; i++) {
        ck_assert_int_eq(got->spans[i].offset, want->spans[i].offset);
        ck_assert_uint_eq(got->spans[i].n, want->spans[i].n);
    }
    for (uint32_t i = 0; i < want->n_counts; i++) {
        ck_assert_uint_eq(got->counts[i], want->counts[i]);
    }
}

static void check_oracle_side(size_t n_spans, Prometheus__BucketSpan **spans, size_t n_deltas,
                              const int64_t *deltas, const struct exp_buckets *want)
{
    ck_assert_uint_eq(n_spans, want->n_spans);
    ck_assert_uint_eq(n_deltas, want->n_counts);
    for (uint32_t i = 0; i < n_spans; i++) {
        ck_assert_int_eq(spans[i]->offset, want->spans[i].offset);
        ck_assert_uint_eq(spans[i]->length, want->spans[i].n);
    }
    uint64_t count = 0;
    for (uint32_t i = 0; i < n_deltas; i++) {
        count += (uint64_t)deltas[i];
        ck_assert_uint_eq(count, want->counts[i]);
    }
}

/* Reads our bytes; and what protobuf-c writes are the same bytes. */
static void check_protobuf_c(struct slice message, const struct exp_histogram *want)
{
    Prometheus__Histogram *h = prometheus__histogram__unpack(NULL, message.len, message.ptr);
    ck_assert_ptr_nonnull(h);
    ck_assert_int_eq(h->count_case, PROMETHEUS__HISTOGRAM__COUNT_COUNT_INT);
    ck_assert_int_eq(h->zero_count_case, PROMETHEUS__HISTOGRAM__ZERO_COUNT_ZERO_COUNT_INT);
    ck_assert_uint_eq(h->count_int, want->count);
    ck_assert_uint_eq(h->zero_count_int, want->zero_count);
    ck_assert_uint_eq(bits_of(h->sum), bits_of(want->sum));
    ck_assert_uint_eq(bits_of(h->zero_threshold), bits_of(want->zero_threshold));
    ck_assert_int_eq(h->schema, want->schema);
    check_oracle_side(h->n_positive_spans, h->positive_spans, h->n_positive_deltas,
                      h->positive_deltas, &want->positive);
    check_oracle_side(h->n_negative_spans, h->negative_spans, h->n_negative_deltas,
                      h->negative_deltas, &want->negative);
    size_t n_bytes = prometheus__histogram__get_packed_size(h);
    uint8_t *packed = malloc(n_bytes);
    ck_assert_ptr_nonnull(packed);
    (void)prometheus__histogram__pack(h, packed);
    ck_assert(slice_eq(slice_of(packed, n_bytes), message));
    free(packed);
    prometheus__histogram__free_unpacked(h, NULL);
}

START_TEST(exp_survives_the_round_trip)
{
    uint64_t r = 1;
    for (int i = 0; i < N_SAMPLES; i++) {
        struct arena a;
        struct buf out;
        struct err e = ERR_INIT;
        arena_init(&a, BYTES);
        buf_init(&out, BYTES);
        struct exp_histogram want = random_exp(&r, &a);
        struct exp_histogram got;
        exp_histogram_encode(&want, &out);
        exp_histogram_encode(&want, &out);
        struct cursor c = cursor_of(buf_slice(&out));
        struct cursor skipping = c;
        struct slice message = exp_histogram_skip(&skipping);
        for (int twice = 0; twice < 2; twice++) {
            ck_assert_msg(exp_histogram_decode(&c, MAX_BUCKETS, &a, &got, &e), "%s", e.text);
            ck_assert_uint_eq(got.count, want.count);
            ck_assert_uint_eq(got.zero_count, want.zero_count);
            ck_assert_uint_eq(bits_of(got.sum), bits_of(want.sum));
            ck_assert_uint_eq(bits_of(got.zero_threshold), bits_of(want.zero_threshold));
            ck_assert_int_eq(got.schema, want.schema);
            check_side(&got.positive, &want.positive);
            check_side(&got.negative, &want.negative);
        }
        ck_assert_uint_eq(cursor_left(&c), 0);
        check_protobuf_c(message, &want);
        arena_fini(&a);
        buf_fini(&out);
    }
}
END_TEST

START_TEST(caps_hold)
{
    uint64_t counts[] = {1, 2, 3};
    struct histogram_span span = {0, 3};
    struct exp_histogram h = {.positive = {1, 3, &span, counts}};
    struct buf out;
    buf_init(&out, BYTES);
    exp_histogram_encode(&h, &out);
    const struct {
        uint32_t max_buckets;
        size_t arena_bytes;
        const char *text;
    } caps[] = {{2, BYTES, "histogram: 3 buckets in 1 spans, more than 2"},
                {3, 10, "histogram: larger than its batch's memory"},
                {3, BYTES, NULL}};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        struct arena a;
        struct err e = ERR_INIT;
        struct cursor c = cursor_of(buf_slice(&out));
        arena_init(&a, caps[i].arena_bytes);
        bool ok = exp_histogram_decode(&c, caps[i].max_buckets, &a, &h, &e);
        ck_assert_msg(ok == (caps[i].text == NULL), "%zu: %s", i, e.text);
        ck_assert(ok || strcmp(e.text, caps[i].text) == 0);
        arena_fini(&a);
    }
    buf_reset(&out);
    buf_varint(&out, HISTOGRAM_MAX_BYTES + 1);
    ck_assert_ptr_nonnull(
        memset(buf_extend(&out, HISTOGRAM_MAX_BYTES + 1), 0, HISTOGRAM_MAX_BYTES + 1));
    struct arena a;
    struct err e = ERR_INIT;
    struct cursor c = cursor_of(buf_slice(&out));
    arena_init(&a, BYTES);
    ck_assert(!exp_histogram_decode(&c, MAX_BUCKETS, &a, &h, &e));
    ck_assert_str_eq(e.text, "histogram: 65537 bytes, more than 65536");
    arena_fini(&a);
    buf_fini(&out);
}
END_TEST

START_TEST(classic_survives_the_round_trip)
{
    uint64_t r = 2;
    for (int i = 0; i < N_SAMPLES; i++) {
        uint64_t counts[20];
        struct classic_histogram want = {.has_sum = random_below(&r, 2) == 0,
                                         .stale = random_below(&r, 2) == 0,
                                         .sum = (double)random_next(&r),
                                         .count = random_next(&r),
                                         .n_counts = 1 + random_below(&r, 20),
                                         .counts = counts};
        for (uint32_t k = 0; k < want.n_counts; k++) {
            counts[k] = random_next(&r) >> random_below(&r, 64);
        }
        struct arena a;
        struct buf out;
        struct err e = ERR_INIT;
        struct classic_histogram got;
        arena_init(&a, BYTES);
        buf_init(&out, BYTES);
        classic_histogram_encode(&want, &out);
        struct cursor c = cursor_of(buf_slice(&out));
        ck_assert(classic_histogram_decode(&c, want.n_counts - 1, &a, &got, &e));
        ck_assert_uint_eq(cursor_left(&c), 0);
        ck_assert(got.has_sum == want.has_sum && got.stale == want.stale);
        ck_assert_uint_eq(bits_of(got.sum), bits_of(want.sum));
        ck_assert_uint_eq(got.count, want.count);
        ck_assert_uint_eq(got.n_counts, want.n_counts);
        ck_assert_int_eq(memcmp(got.counts, counts, want.n_counts * sizeof *counts), 0);
        arena_fini(&a);
        buf_fini(&out);
    }
}
END_TEST

/* The rule, put plainly: OTLP's bucket i of this scale is the store's bucket (i >> down) + 1. */
static uint64_t count_at(const struct dense_buckets *d, int shift, int64_t index)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        count += (((int64_t)d->offset + i) >> shift) + 1 == index ? d->counts[i] : 0;
    }
    return count;
}

static void check_dense(const struct dense_buckets *d, int shift, const struct exp_buckets *b)
{
    uint64_t total = 0;
    uint64_t found = 0;
    int64_t index = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        total += d->counts[i];
    }
    for (uint32_t s = 0; s < b->n_spans; s++) {
        ck_assert(s == 0 || b->spans[s].offset > 2); /* shorter gaps are written out */
        ck_assert_uint_gt(b->spans[s].n, 0);
        index += b->spans[s].offset;
        ck_assert_uint_gt(b->counts[at], 0); /* no span begins or ends empty */
        for (uint32_t k = 0; k < b->spans[s].n; k++, at++, index++) {
            ck_assert_uint_eq(b->counts[at], count_at(d, shift, index));
            found += b->counts[at];
        }
        ck_assert_uint_gt(b->counts[at - 1], 0);
    }
    ck_assert_uint_eq(at, b->n_counts);
    ck_assert_uint_eq(found, total);
}

START_TEST(dense_buckets_become_spans)
{
    uint64_t r = 3;
    for (int i = 0; i < N_SAMPLES * 5; i++) {
        uint64_t counts[2][MAX_DENSE];
        struct dense_buckets sides[2];
        uint32_t n_empty = 1 + random_below(&r, 8);
        for (size_t s = 0; s < 2; s++) {
            sides[s] = (struct dense_buckets){(int32_t)random_below(&r, 400) - 200,
                                              random_below(&r, MAX_DENSE + 1), counts[s]};
            for (uint32_t k = 0; k < sides[s].n; k++) {
                counts[s][k] = random_below(&r, n_empty) == 0 ? 1 + random_below(&r, 1000) : 0;
            }
        }
        int32_t scale = (int32_t)random_below(&r, 25) - 4;
        struct arena a;
        struct err e = ERR_INIT;
        struct exp_histogram h = {.count = 7, .zero_count = 3, .sum = 2.5};
        arena_init(&a, BYTES);
        ck_assert(exp_histogram_from_dense(scale, &sides[0], &sides[1], &a, &h, &e));
        int shift = scale > 8 ? scale - 8 : 0;
        ck_assert_int_eq(h.schema, scale > 8 ? 8 : scale);
        check_dense(&sides[0], shift, &h.positive);
        check_dense(&sides[1], shift, &h.negative);
        ck_assert(h.count == 7 && h.zero_count == 3);
        arena_fini(&a);
    }
}
END_TEST

/* Straight into the column: the same bytes as by way of spans, or none. */
START_TEST(dense_buckets_are_encoded_at_once)
{
    uint64_t r = 5;
    int n_taken = 0;
    for (int i = 0; i < N_SAMPLES * 5; i++) {
        uint64_t counts[2][MAX_DENSE];
        struct dense_buckets sides[2];
        uint32_t n_filled = 1 + random_below(&r, 60);
        uint32_t max_bits = 1 + random_below(&r, i % 2 == 0 ? 13 : 64);
        for (size_t s = 0; s < 2; s++) {
            sides[s] = (struct dense_buckets){(int32_t)random_below(&r, 400) - 200, random_below(&r, MAX_DENSE + 1),
                                              counts[s]};
            for (uint32_t k = 0; k < sides[s].n; k++) {
                uint64_t v = (uint64_t)random_below(&r, UINT32_MAX) << 32 | random_below(&r, UINT32_MAX);
                counts[s][k] = random_below(&r, n_filled) == 0 ? 0 : v >> (64 - 1 - random_below(&r, max_bits));
            }
        }
        if (i % 50 == 0) {
            sides[0].offset = INT32_MAX - (int32_t)random_below(&r, MAX_DENSE * 2);
        }
        int32_t scale = (int32_t)random_below(&r, 15) - 5;
        struct arena a;
        struct err e = ERR_INIT;
        struct exp_histogram h = {.count = (uint64_t)1 << random_below(&r, 64), .zero_count = random_below(&r, 3), .sum = 2.5};
        struct buf at_once;
        struct buf by_spans;
        arena_init(&a, BYTES);
        buf_init(&at_once, BYTES);
        buf_init(&by_spans, BYTES);
        bool taken = exp_histogram_encode_dense(&h, scale, &sides[0], &sides[1], &at_once);
        bool ok = exp_histogram_from_dense(scale, &sides[0], &sides[1], &a, &h, &e);
        if (taken) {
            ck_assert_msg(ok, "%s", e.text);
            exp_histogram_encode(&h, &by_spans);
            ck_assert(buf_ok(&at_once) && slice_eq(buf_slice(&at_once), buf_slice(&by_spans)));
            n_taken++;
        }
        ck_assert(taken || at_once.len == 0);
        arena_fini(&a);
        buf_fini(&at_once);
        buf_fini(&by_spans);
    }
    ck_assert_int_gt(n_taken, N_SAMPLES);
}
END_TEST

/* As Prometheus's otlptranslator lays out the same buckets (histograms_test.go), where no bucket at
 * an end is empty. */
static const struct {
    const char *name;
    int32_t scale;
    int32_t offset;
    uint32_t n;
    uint64_t dense[24];
    uint32_t n_spans;
    struct histogram_span spans[3];
    uint32_t n_counts;
    uint64_t counts[24];
} layouts[] = {
    {"zero offset", 0, 0, 4, {4, 3, 2, 1}, 1, {{1, 4}}, 4, {4, 3, 2, 1}},
    {"offset 1", 0, 1, 4, {4, 3, 2, 1}, 1, {{2, 4}}, 4, {4, 3, 2, 1}},
    {"negative offset", 0, -2, 4, {4, 3, 2, 1}, 1, {{-1, 4}}, 4, {4, 3, 2, 1}},
    {"gap of one and two", 0, 0, 6, {4, 0, 2, 0, 0, 1}, 1, {{1, 6}}, 6, {4, 0, 2, 0, 0, 1}},
    {"gap of three", 0, 0, 6, {4, 2, 0, 0, 0, 1}, 2, {{1, 2}, {3, 1}}, 3, {4, 2, 1}},
    {"two large gaps",
     0,
     0,
     12,
     {1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 3},
     3,
     {{1, 1}, {4, 1}, {5, 1}},
     3,
     {1, 2, 3}},
    {"down by 1", 9, 0, 4, {4, 3, 2, 1}, 1, {{1, 2}}, 2, {7, 3}},
    {"down by 1, odd offset", 9, 1, 4, {4, 3, 2, 1}, 1, {{1, 3}}, 3, {4, 5, 1}},
    {"down by 2", 10, 0, 5, {4, 3, 2, 1, 5}, 1, {{1, 2}}, 2, {10, 5}},
    {"down by 1, negative", 9, -3, 3, {1, 2, 4}, 1, {{-1, 2}}, 2, {1, 6}},
    {"empty ends", 2, 5, 7, {0, 0, 3, 0, 1, 0, 0}, 1, {{8, 3}}, 3, {3, 0, 1}},
};

START_TEST(dense_layouts)
{
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        struct dense_buckets d = {layouts[i].offset, layouts[i].n, layouts[i].dense};
        struct dense_buckets none = {0};
        struct exp_buckets want = {layouts[i].n_spans, layouts[i].n_counts, layouts[i].spans,
                                   layouts[i].counts};
        struct arena a;
        struct err e = ERR_INIT;
        struct exp_histogram h = {0};
        arena_init(&a, BYTES);
        ck_assert_msg(exp_histogram_from_dense(layouts[i].scale, &d, &none, &a, &h, &e), "%s",
                      layouts[i].name);
        check_side(&h.positive, &want);
        ck_assert_uint_eq(h.negative.n_counts, 0);
        arena_fini(&a);
    }
}
END_TEST

START_TEST(counts_agree_or_not)
{
    uint64_t counts[] = {1, 2, 3};
    uint64_t huge[] = {INT64_MAX, INT64_MAX, INT64_MAX};
    struct histogram_span span = {0, 3};
    struct exp_histogram h = {
        .zero_count = 4, .count = 10, .sum = 1, .positive = {1, 3, &span, counts}};
    ck_assert(exp_histogram_counts_agree(&h));
    h.count = 11;
    ck_assert(!exp_histogram_counts_agree(&h));
    memcpy(&h.sum, &stale_marker_bits, sizeof h.sum);
    ck_assert(double_is_stale(h.sum));
    ck_assert(exp_histogram_counts_agree(&h));
    h.count = 9;
    ck_assert(!exp_histogram_counts_agree(&h));
    h.positive.counts = huge;
    ck_assert(!exp_histogram_counts_agree(&h));
    ck_assert(!double_is_stale(1.0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histogram");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, vectors_decode_or_say_why);
    tcase_add_test(t, prefixes_are_refused);
    tcase_add_test(t, exp_survives_the_round_trip);
    tcase_add_test(t, caps_hold);
    tcase_add_test(t, classic_survives_the_round_trip);
    tcase_add_test(t, dense_buckets_become_spans);
    tcase_add_test(t, dense_buckets_are_encoded_at_once);
    tcase_add_test(t, dense_layouts);
    tcase_add_test(t, counts_agree_or_not);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
