/* Messages and points that are wrong or too large: where it is told, and what goes on. */
#include "unit/runner.h"
#include "unit/wire/otlp_kit.h"

static const struct {
    const char *name;
    struct slice bytes;
    const char *text; /* NULL: taken */
} rows[] = {
    {"1 empty", {NULL, 0}, NULL},
    {"3 varint of 11 bytes",
     {(const uint8_t *)"\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
     "bad or cut off value"},
    {"3 varint over 64 bits",
     {(const uint8_t *)"\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},
     "bad or cut off value"},
    {"4 length beyond the end", {(const uint8_t *)"\x0a\x05\x01", 3}, "bad or cut off value"},
    {"4 length 2^31", {(const uint8_t *)"\x0a\x80\x80\x80\x80\x08", 6}, "bad or cut off value"},
    {"4 length 2^63",
     {(const uint8_t *)"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11},
     "bad or cut off value"},
    {"4 length 2^64-1",
     {(const uint8_t *)"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
     "bad or cut off value"},
    {"5 field number 0", {(const uint8_t *)"\x02\x00", 2}, "field number 0"},
    {"5 field number 0, long tag", {(const uint8_t *)"\x82\x00\x00", 3}, "field number 0"},
    {"5 field number 2^29",
     {(const uint8_t *)"\x82\x80\x80\x80\x10\x00", 6},
     "field number 536870912"},
    {"5 field number 2^29-1", {(const uint8_t *)"\xfa\xff\xff\xff\x0f\x00", 6}, NULL},
    {"5 wire type 6", {(const uint8_t *)"\x56\x00", 2}, "wire type 6 is not taken"},
    {"5 wire type 7", {(const uint8_t *)"\x57\x00", 2}, "wire type 7 is not taken"},
    {"6 known field, wrong wire type",
     {(const uint8_t *)"\x08\x00", 2},
     "field 1 at byte 0 is varint, not length-delimited"},
    {"6 resource as fixed64",
     {(const uint8_t *)"\x0a\x09\x09\x00\x00\x00\x00\x00\x00\x00\x00", 11},
     "resource 0: ResourceMetrics: field 1"},
    {"7 group", {(const uint8_t *)"\x53\x54", 2}, "group is not taken"},
    {"8 unknown fields",
     {(const uint8_t
           *)"\x50\x01\x59\x01\x02\x03\x04\x05\x06\x07\x08\x62\x01\x61\x6d\x01\x02\x03\x04",
      19},
     NULL},
};

START_TEST(bad_input_rows)
{
    struct seen seen;
    struct err e;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool ok = walk(rows[i].bytes, &otlp_default_caps, &seen, &e);
        ck_assert_msg(ok == (rows[i].text == NULL), "%s: %s", rows[i].name, e.text);
        ck_assert_msg(ok || e.kind == ERR_BAD_INPUT, "%s", rows[i].name);
        ck_assert_msg(ok || strstr(e.text, rows[i].text) != NULL, "%s: %s", rows[i].name, e.text);
    }
}
END_TEST

START_TEST(a_group_in_the_depths_is_flat)
{
    struct seen seen;
    struct err e;
    struct buf b;
    buf_init(&b, MAX_BYTES);
    for (unsigned i = 0; i < 10000; i++) {
        buf_u8(&b, 0x53);
    }
    wrap_point(&b, 7);
    ck_assert(!walk(buf_slice(&b), &otlp_default_caps, &seen, &e));
    ck_assert_ptr_nonnull(strstr(
        e.text, "resource 0: metric 0: point 0: NumberDataPoint: field 10 at byte 0: group"));
    buf_fini(&b);
}
END_TEST

/* Row 15: the point has a fault, the walk goes on. */
static void put_histogram(struct buf *b, uint64_t count, const char *counts, unsigned n_bounds,
                          double step)
{
    struct buf column;
    buf_init(&column, MAX_BYTES);
    pb_put_fixed64(b, 4, count);
    for (size_t i = 0; counts[i] != 0; i++) {
        buf_le64(&column, (uint64_t)(counts[i] - '0'));
    }
    pb_put_bytes(b, 6, buf_slice(&column));
    buf_reset(&column);
    for (unsigned i = 0; i < n_bounds; i++) {
        buf_double(&column, step * i);
    }
    pb_put_bytes(b, 7, buf_slice(&column));
    wrap_point(b, 9);
    buf_fini(&column);
}

static const struct {
    const char *name;
    uint64_t count;
    const char *counts;
    unsigned n_bounds;
    double step;
    const char *fault;
} histogram_rows[] = {
    {"no buckets", 5, "", 0, 1, NULL},
    {"one bucket", 5, "5", 0, 1, NULL},
    {"in order", 6, "123", 2, 1, NULL},
    {"as many counts as bounds", 6, "123", 3, 1, "not one more"},
    {"bounds alone", 6, "", 3, 1, "not one more"},
    {"bounds fall", 6, "123", 2, -1, "rising"},
    {"bounds equal", 6, "123", 2, 0, "rising"},
    {"bounds NaN", 6, "123", 2, __builtin_nan(""), "finite"},
    {"bounds infinite", 6, "123", 2, __builtin_inf(), "finite"},
    {"more in buckets than counted", 5, "123", 2, 1, "more than count"},
};

START_TEST(histogram_faults)
{
    for (size_t i = 0; i < sizeof histogram_rows / sizeof *histogram_rows; i++) {
        struct buf b;
        struct seen seen;
        struct err e;
        buf_init(&b, MAX_BYTES);
        put_histogram(&b, histogram_rows[i].count, histogram_rows[i].counts,
                      histogram_rows[i].n_bounds, histogram_rows[i].step);
        ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s: %s",
                      histogram_rows[i].name, e.text);
        const char *want = histogram_rows[i].fault;
        ck_assert_msg((want == NULL) == (seen.fault == NULL), "%s: %s", histogram_rows[i].name,
                      seen.fault == NULL ? "no fault" : seen.fault);
        ck_assert_msg(want == NULL || strstr(seen.fault, want) != NULL, "%s: %s",
                      histogram_rows[i].name, seen.fault);
        buf_fini(&b);
    }
}
END_TEST

static const struct {
    const char *name;
    uint64_t count;
    uint64_t zero_count;
    uint64_t offset_zigzag;
    const char *packed;
    double sum;
    double threshold;
    const char *fault;
} exp_rows[] = {
    {"adds up", 10, 4, 0, "\x01\x02\x03", 1, 0, NULL},
    {"count too small", 9, 4, 0, "\x01\x02\x03", 1, 0, "more than count"},
    {"count too large", 11, 4, 0, "\x01\x02\x03", 1, 0, "do not add up"},
    {"count too large, NaN seen", 11, 4, 0, "\x01\x02\x03", __builtin_nan(""), 0, NULL},
    {"counts overflow", 3, 2, 0, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 1, 0,
     "more than count"},
    {"offset at the end", 6, 0, UINT64_C(0xfffffffe) - 6, "\x01\x02\x03", 1, 0, NULL},
    {"offset beyond the end", 6, 0, UINT64_C(0xfffffffe), "\x01\x02\x03", 1, 0, "offset"},
    {"threshold below zero", 6, 0, 0, "\x01\x02\x03", 1, -1, "threshold"},
    {"threshold NaN", 6, 0, 0, "\x01\x02\x03", 1, __builtin_nan(""), "threshold"},
};

START_TEST(exponential_faults)
{
    for (size_t i = 0; i < sizeof exp_rows / sizeof *exp_rows; i++) {
        struct buf b;
        struct buf side;
        struct seen seen;
        struct err e;
        buf_init(&b, MAX_BYTES);
        buf_init(&side, MAX_BYTES);
        pb_put_varint(&side, 1, exp_rows[i].offset_zigzag);
        pb_put_str(&side, 2, exp_rows[i].packed);
        pb_put_fixed64(&b, 4, exp_rows[i].count);
        pb_put_double(&b, 5, exp_rows[i].sum);
        pb_put_fixed64(&b, 7, exp_rows[i].zero_count);
        pb_put_bytes(&b, 8, buf_slice(&side));
        pb_put_double(&b, 14, exp_rows[i].threshold);
        wrap_point(&b, 10);
        ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s: %s",
                      exp_rows[i].name, e.text);
        const char *want = exp_rows[i].fault;
        ck_assert_msg((want == NULL) == (seen.fault == NULL), "%s: %s", exp_rows[i].name,
                      seen.fault == NULL ? "no fault" : seen.fault);
        ck_assert_msg(want == NULL || strstr(seen.fault, want) != NULL, "%s: %s", exp_rows[i].name,
                      seen.fault);
        buf_fini(&b);
        buf_fini(&side);
    }
}
END_TEST

START_TEST(packed_lengths_must_fit)
{
    static const struct {
        const char *name;
        uint32_t kind;
        struct slice point;
    } bad[] = {
        {"9 counts of 7 bytes",
         9,
         {(const uint8_t *)"\x32\x07"
                           "1234567",
          9}},
        {"9 bounds of 9 bytes",
         9,
         {(const uint8_t *)"\x3a\x09"
                           "123456789",
          11}},
        {"9 bucket count cut off in its packed field",
         10,
         {(const uint8_t *)"\x42\x04\x12\x02\x01\x80", 6}},
        {"9 bucket count of 11 bytes",
         10,
         {(const uint8_t *)"\x42\x0d\x12\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 15}},
        {"summary pair cut off", 11, {(const uint8_t *)"\x32\x02\x09\x01", 4}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b;
        struct seen seen;
        struct err e;
        buf_init(&b, MAX_BYTES);
        buf_put_slice(&b, bad[i].point);
        wrap_point(&b, bad[i].kind);
        ck_assert_msg(!walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", bad[i].name);
        ck_assert_msg(strstr(e.text, "resource 0: metric 0: point 0: ") == e.text, "%s: %s",
                      bad[i].name, e.text);
        buf_fini(&b);
    }
}
END_TEST

START_TEST(caps_hold)
{
    struct seen seen;
    struct err e;
    struct buf b;
    buf_init(&b, MAX_BYTES);
    for (unsigned i = 0; i < 10; i++) {
        pb_put_str(&b, 1, "");
    }
    wrap(&b, 7);
    wrap_metric(&b);
    struct otlp_caps caps = otlp_default_caps;
    caps.max_points = 10;
    ck_assert(walk(buf_slice(&b), &caps, &seen, &e));
    caps.max_points = 9;
    ck_assert(!walk(buf_slice(&b), &caps, &seen, &e) &&
              strstr(e.text, "more than 9 points") != NULL);
    caps.max_message_bytes = b.len - 1;
    ck_assert(!walk(buf_slice(&b), &caps, &seen, &e) && strstr(e.text, "bytes, more than") != NULL);

    buf_reset(&b);
    for (unsigned i = 0; i < 5; i++) {
        put_attribute(&b, 7, "a", "b");
    }
    wrap_point(&b, 5);
    caps = otlp_default_caps;
    caps.max_attributes = 4;
    ck_assert(walk(buf_slice(&b), &caps, &seen, &e));
    ck_assert_str_eq(seen.fault, "too many attributes");

    buf_reset(&b);
    put_histogram(&b, 6, "123", 2, 1);
    caps.max_buckets = 2;
    ck_assert(walk(buf_slice(&b), &caps, &seen, &e));
    ck_assert_str_eq(seen.fault, "too many buckets");
    buf_fini(&b);
}
END_TEST

/* Memory follows the message: 8 MiB of one-byte bucket counts, and of resources in pieces. */
START_TEST(memory_is_bounded)
{
    struct seen seen;
    struct err e;
    struct buf b;
    buf_init(&b, MAX_BYTES);
    memset(buf_extend(&b, 7 << 20), 1, 7 << 20);
    wrap(&b, 2);
    wrap(&b, 8);
    wrap_point(&b, 10);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    ck_assert_str_eq(seen.fault, "too many buckets");

    buf_reset(&b);
    for (unsigned i = 0; i < 1000000; i++) {
        pb_put_str(&b, 1, "");
    }
    wrap(&b, 1);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    buf_fini(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("otlp_faults");
    TCase *tcase = tcase_create("faults");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, bad_input_rows);
    tcase_add_test(tcase, a_group_in_the_depths_is_flat);
    tcase_add_test(tcase, histogram_faults);
    tcase_add_test(tcase, exponential_faults);
    tcase_add_test(tcase, packed_lengths_must_fit);
    tcase_add_test(tcase, caps_hold);
    tcase_add_test(tcase, memory_is_bounded);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
