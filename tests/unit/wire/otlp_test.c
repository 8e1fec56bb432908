/* What the walk makes of messages that are sound. */
#include "unit/runner.h"
#include "unit/wire/otlp_kit.h"

/* AnyValue { array { AnyValue { … } } }, n deep, as a point's attribute. */
START_TEST(nested_values_are_not_entered)
{
    struct seen seen;
    struct err e;
    struct buf b;
    uint8_t *space = malloc(200000);
    ck_assert_ptr_nonnull(space);
    size_t at = 200000; /* built from the inside out */
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = 200000 - at;
        uint8_t tag = i % 2 == 0 ? 0x0a : 0x2a;
        struct buf head;
        buf_init(&head, 64);
        buf_u8(&head, tag);
        buf_varint(&head, len);
        at -= head.len;
        memcpy(space + at, head.ptr, head.len);
        buf_fini(&head);
    }
    buf_init(&b, MAX_BYTES);
    pb_put_str(&b, 1, "deep");
    pb_put_bytes(&b, 2, slice_of(space + at, 200000 - at));
    wrap(&b, 7);
    pb_put_double(&b, 4, 1);
    wrap_point(&b, 7);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    ck_assert_uint_eq(seen.n_points, 1);
    ck_assert_uint_eq(seen.n_attributes, 1);
    buf_fini(&b);
    free(space);
}
END_TEST

/* Message fields that come twice are merged, as protobuf's specification has it. */
START_TEST(repeated_messages_are_merged)
{
    struct seen seen;
    struct err e;
    struct buf b;
    struct buf part;
    buf_init(&b, MAX_BYTES);
    buf_init(&part, MAX_BYTES);
    for (unsigned i = 0; i < 3;
         i++) { /* three Sums in one metric: their points together; the last temporality */
        buf_reset(&part);
        pb_put_double(&part, 4, i);
        wrap(&part, 1);
        pb_put_varint(&part, 2, i);
        pb_put_bytes(&b, 7, buf_slice(&part));
    }
    wrap(&b, 2);
    wrap(&b, 2);
    for (unsigned i = 0; i < 2; i++) { /* two Resources: their attributes together */
        buf_reset(&part);
        put_attribute(&part, 1, i == 0 ? "a" : "b", "x");
        pb_put_varint(&part, 2, 1);
        pb_put_bytes(&b, 1, buf_slice(&part));
    }
    wrap(&b, 1);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    ck_assert_uint_eq(seen.n_points, 3);
    ck_assert_int_eq(seen.temporality, OTLP_CUMULATIVE);
    ck_assert_uint_eq(seen.n_resource_attributes, 2);
    ck_assert(seen.value == 2);

    buf_reset(&b); /* a Sum, a Gauge, a Sum: the last member of the oneof alone */
    for (unsigned i = 0; i < 3; i++) {
        buf_reset(&part);
        pb_put_double(&part, 4, i);
        wrap(&part, 1);
        pb_put_bytes(&b, i == 1 ? 5 : 7, buf_slice(&part));
    }
    wrap_metric(&b);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    ck_assert_uint_eq(seen.n_points, 1);
    ck_assert(seen.kind == OTLP_SUM && seen.value == 2);

    buf_reset(
        &b); /* positive buckets in two messages: counts one after the other, the last offset */
    for (unsigned i = 0; i < 2; i++) {
        buf_reset(&part);
        pb_put_varint(&part, 1, 2 + 2 * i);
        pb_put_str(&part, 2, "\x01\x02");
        pb_put_bytes(&b, 8, buf_slice(&part));
    }
    pb_put_fixed64(&b, 4, 6);
    wrap_point(&b, 10);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    ck_assert_uint_eq(seen.n_counts, 4);
    ck_assert_int_eq(seen.offset, 2);
    ck_assert_msg(seen.fault == NULL, "%s", seen.fault);
    buf_fini(&b);
    buf_fini(&part);
}
END_TEST

static struct hash128 key_of(const char *metric, const char *server, const char *name,
                             const char *value, bool scattered)
{
    struct seen seen;
    struct err e;
    struct buf b;
    struct buf resource;
    buf_init(&b, MAX_BYTES);
    buf_init(&resource, MAX_BYTES);
    put_attribute(&b, 7, name, value);
    pb_put_fixed64(&b, scattered ? 3 : 2, 5);
    put_attribute(&b, 7, "second", "2");
    wrap(&b, 1);
    wrap(&b, 7);
    pb_put_str(&b, 1, metric);
    wrap(&b, 2);
    wrap(&b, 2);
    put_attribute(&resource, 1, "service.instance.id", server);
    pb_put_bytes(&b, 1, buf_slice(&resource));
    wrap(&b, 1);
    ck_assert(walk(buf_slice(&b), &otlp_default_caps, &seen, &e));
    ck_assert_uint_eq(seen.n_points, 1);
    ck_assert(hash128_eq(seen.keys[0], seen.expected[0]));
    buf_fini(&b);
    buf_fini(&resource);
    return seen.keys[0];
}

START_TEST(series_keys_follow_identity)
{
    struct hash128 key = key_of("m", "s1", "a", "x", true);
    ck_assert(hash128_eq(key, key_of("m", "s1", "a", "x", false)));
    ck_assert(!hash128_eq(key, key_of("n", "s1", "a", "x", true)));
    ck_assert(!hash128_eq(key, key_of("m", "s2", "a", "x", true)));
    ck_assert(!hash128_eq(key, key_of("m", "s1", "b", "x", true)));
    ck_assert(!hash128_eq(key, key_of("m", "s1", "a", "y", true)));
}
END_TEST

/* The plain layout's fast path and the general one give the same point. */
START_TEST(plain_points_read_like_others)
{
    static const char *const words[] = {
        "x", "a value of more than 127 bytes: ................................................"
             "......................................................."};
    for (unsigned i = 0; i < 64; i++) {
        struct buf plain;
        struct buf shuffled;
        struct seen a;
        struct seen b;
        struct err e;
        buf_init(&plain, MAX_BYTES);
        buf_init(&shuffled, MAX_BYTES);
        pb_put_fixed64(&shuffled, i & 1 ? 4 : 6, i);
        if (i & 2) {
            pb_put_fixed64(&plain, 2, 1000);
            pb_put_fixed64(&shuffled, 2, 1000);
        }
        pb_put_fixed64(&plain, 3, i);
        pb_put_fixed64(&shuffled, 3, i);
        pb_put_fixed64(&plain, i & 1 ? 4 : 6, i);
        for (unsigned n = 0; n < (i >> 2) % 4; n++) {
            put_attribute(&plain, 7, "name", words[i >> 5]);
            put_attribute(&shuffled, 7, "name", words[i >> 5]);
        }
        if (i & 16) {
            pb_put_varint(&plain, 8, 1);
            pb_put_varint(&shuffled, 8, 1);
        }
        wrap_point(&plain, 5);
        wrap_point(&shuffled, 5);
        ck_assert(walk(buf_slice(&plain), &otlp_default_caps, &a, &e));
        ck_assert(walk(buf_slice(&shuffled), &otlp_default_caps, &b, &e));
        ck_assert(memcmp(&a.value, &b.value, sizeof a.value) == 0 && a.time_ns == b.time_ns);
        ck_assert_uint_eq(a.n_attributes, b.n_attributes);
        ck_assert(hash128_eq(a.keys[0], b.keys[0]));
        buf_fini(&plain);
        buf_fini(&shuffled);
    }
}
END_TEST

START_TEST(attribute_texts)
{
    static const struct {
        const char *name;
        struct otlp_attribute attribute;
        const char *text; /* NULL: none */
    } texts[] = {
        {"string", {.type = OTLP_V_STRING, .text = {(const uint8_t *)"x", 1}}, "x"},
        {"true", {.type = OTLP_V_BOOL, .integer = 1}, "true"},
        {"false", {.type = OTLP_V_BOOL}, "false"},
        {"least integer", {.type = OTLP_V_INT, .integer = INT64_MIN}, "-9223372036854775808"},
        {"whole number", {.type = OTLP_V_DOUBLE, .number = 42}, "42"},
        {"a tenth", {.type = OTLP_V_DOUBLE, .number = 0.1}, "0.1"},
        {"17 digits", {.type = OTLP_V_DOUBLE, .number = 0.1 + 0.2}, "0.30000000000000004"},
        {"longest",
         {.type = OTLP_V_DOUBLE, .number = -2.2250738585072014e-308},
         "-2.2250738585072014e-308"},
        {"NaN", {.type = OTLP_V_DOUBLE, .number = __builtin_nan("")}, "NaN"},
        {"infinite", {.type = OTLP_V_DOUBLE, .number = -__builtin_inf()}, "-Inf"},
        {"bytes", {.type = OTLP_V_BYTES}, NULL},
        {"nested", {.type = OTLP_V_NESTED}, NULL},
        {"none", {.type = OTLP_V_NONE}, NULL},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char space[32];
        struct slice out = SLICE_NONE;
        bool ok = otlp_attribute_text(&texts[i].attribute, space, sizeof space, &out);
        ck_assert_msg(ok == (texts[i].text != NULL), "%s", texts[i].name);
        ck_assert_msg(!ok || slice_eq_str(out, texts[i].text), "%s: %.*s", texts[i].name,
                      SLICE_ARG(out));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("otlp");
    TCase *tcase = tcase_create("walk");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, nested_values_are_not_entered);
    tcase_add_test(tcase, repeated_messages_are_merged);
    tcase_add_test(tcase, series_keys_follow_identity);
    tcase_add_test(tcase, plain_points_read_like_others);
    tcase_add_test(tcase, attribute_texts);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
