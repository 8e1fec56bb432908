#include "native.h"

#include "../runner.h"
#include "base/buf.h"
#include "load.h"

static void tagged(struct buf *b, uint8_t tag, const struct buf *inner)
{
    buf_u8(b, tag);
    buf_varint_bytes(b, buf_slice(inner));
}

/* Remote Write 1.0's Histogram, spans cut wherever a bucket is empty, or one long span. */
static void encode(const struct native_histogram *h, bool one_span, struct buf *out)
{
    struct buf spans;
    struct buf deltas;
    buf_init(&spans, 65536);
    buf_init(&deltas, 65536);
    int64_t last = 0;
    int32_t next = 0;
    for (uint32_t i = 0; i < h->n_buckets;) {
        uint32_t n = 1;
        int32_t begin = h->buckets[i].index;
        while (i + n < h->n_buckets &&
               (one_span || h->buckets[i + n].index == begin + (int32_t)n)) {
            n++;
        }
        uint32_t len = (uint32_t)(h->buckets[i + n - 1].index - begin) + 1;
        struct buf span;
        buf_init(&span, 64);
        buf_u8(&span, 1 << 3);
        buf_zigzag(&span, begin - next);
        buf_u8(&span, 2 << 3);
        buf_varint(&span, len);
        tagged(&spans, 11 << 3 | 2, &span);
        buf_fini(&span);
        for (uint32_t k = 0, at = i; k < len; k++) {
            bool full = h->buckets[at].index == begin + (int32_t)k;
            int64_t count = full ? (int64_t)h->buckets[at].count : 0;
            buf_zigzag(&deltas, count - last);
            last = count;
            at += full;
        }
        next = begin + (int32_t)len;
        i += n;
    }
    buf_u8(out, 1 << 3);
    buf_varint(out, h->count);
    buf_u8(out, 3 << 3 | 1);
    buf_double(out, h->sum);
    buf_u8(out, 4 << 3);
    buf_zigzag(out, h->schema);
    buf_u8(out, 5 << 3 | 1);
    buf_double(out, 1e-128);
    buf_u8(out, 6 << 3);
    buf_varint(out, h->zero_count);
    buf_put_slice(out, buf_slice(&spans));
    tagged(out, 12 << 3 | 2, &deltas);
    buf_u8(out, 15 << 3);
    buf_varint(out, 1234);
    buf_fini(&spans);
    buf_fini(&deltas);
}

static void expect(struct native_histogram *out, uint32_t series)
{
    struct model m;
    struct model_histogram h;
    struct epoch none = {0, 0};
    load_open(&m, load_params());
    model_histogram(&m, 1, m.n_counters + series, 5, none, &h);
    native_expect(&h, out);
    model_fini(&m);
}

START_TEST(reads_back_what_was_written)
{
    for (uint32_t series = 0; series < 30; series++) {
        for (int one_span = 0; one_span < 2; one_span++) {
            struct native_histogram expected;
            struct native_histogram seen;
            struct err e = ERR_INIT;
            struct buf b;
            buf_init(&b, 65536);
            expect(&expected, series);
            encode(&expected, one_span == 1, &b);
            ck_assert_msg(native_decode(buf_slice(&b), &seen, &e), "%s", e.text);
            ck_assert(native_equal(&expected, &seen));
            ck_assert_int_eq(seen.time_ms, 1234);
            ck_assert_uint_eq(native_digest(&expected, 1e-128),
                              native_digest(&seen, seen.zero_threshold));
            for (size_t cut = 0; cut < b.len; cut++) {
                struct native_histogram part;
                if (native_decode(slice_of(b.ptr, cut), &part, &e)) {
                    ck_assert(cut >= b.len - 3 || !native_equal(&expected, &part));
                }
            }
            buf_fini(&b);
        }
    }
}
END_TEST

START_TEST(every_difference_counts)
{
    struct native_histogram expected;
    expect(&expected, 3);
    struct native_histogram other[9];
    for (int i = 0; i < 9; i++) {
        other[i] = expected;
    }
    other[0].schema++;
    other[1].zero_count++;
    other[2].count++;
    other[3].sum += 1;
    other[4].zero_threshold = 0.001;
    other[5].has_negative = true;
    other[6].n_buckets--;
    other[7].buckets[2].count++;
    other[8].buckets[2].index++;
    ck_assert(native_equal(&expected, &expected));
    for (int i = 0; i < 9; i++) {
        ck_assert_msg(!native_equal(&expected, &other[i]), "difference %d", i);
        /* A side below zero is in no digest of the model's. */
        ck_assert(i == 5 || native_digest(&expected, 0) !=
                                native_digest(&other[i], other[i].zero_threshold));
    }
}
END_TEST

START_TEST(malformed_ones_are_refused)
{
    static const struct {
        const char *name;
        struct slice bytes;
    } cases[] = {
        {"span without deltas", SLICE_LITERAL("\x5a\x04\x08\x02\x10\x02")},
        {"deltas without span", SLICE_LITERAL("\x62\x02\x02\x02")},
        {"huge span", SLICE_LITERAL("\x5a\x08\x08\x02\x10\xff\xff\xff\xff\x0f\x62\x01\x02")},
        {"group", SLICE_LITERAL("\x0b\x0c")},
        {"cut", SLICE_LITERAL("\x19\x00")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct native_histogram h;
        struct err e = ERR_INIT;
        ck_assert_msg(!native_decode(cases[i].bytes, &h, &e), "%s", cases[i].name);
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loadgen native");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    suite_add_tcase(suite, all);
    tcase_add_test(all, reads_back_what_was_written);
    tcase_add_test(all, every_difference_counts);
    tcase_add_test(all, malformed_ones_are_refused);
    return run_suite(suite);
}
