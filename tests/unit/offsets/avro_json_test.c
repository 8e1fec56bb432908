#include "runner.h"

#include "avro_json.h"
#include "origin_points.h"
#include "record_json.h"
#include "stage/dlq.h"

#include <math.h>
#include <stdlib.h>

static void letter_put(struct buf *out)
{
    static const uint8_t id[16] = {7};
    const struct dead_letter_point points[2] = {{{1, 2}, true, 1000}, {{0, 0}, false, -5}};
    const struct dead_letter l = {.tenant = SLICE_LITERAL("demo"),
                                  .stage = "validate",
                                  .reason = "label_forbidden",
                                  .metric = SLICE_LITERAL("hits\xfftotal"),
                                  .received_ms = 1700000000000,
                                  .topic = SLICE_LITERAL("metrics.ingest.demo"),
                                  .topic_id = id,
                                  .partition = 3,
                                  .offset = 4711,
                                  .n_samples = 2,
                                  .n_points = 2,
                                  .points = points,
                                  .text = SLICE_LITERAL("\x1b[31m")};
    buf_init(out, 1 << 16);
    dead_letter_encode(&l, out);
    ck_assert(buf_ok(out));
}

START_TEST(a_letter_shows_and_no_prefix_of_it_does)
{
    struct record_printer p;
    struct err e = ERR_INIT;
    struct buf letter;
    const char *kind;
    json_t *value;
    letter_put(&letter);
    ck_assert(record_printer_init(&p, NULL, NULL, &e));
    ck_assert_msg(record_value_json(&p, "metrics.dlq", buf_slice(&letter), &kind, &value, &e), "%s", e.text);
    ck_assert_str_eq(kind, "dead_letter");
    ck_assert_str_eq(json_string_value(json_object_get(value, "metric")), "hex:68697473ff746f74616c");
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(value, "origin"), "offset")), 4711);
    ck_assert_uint_eq(json_array_size(json_object_get(value, "points")), 2);
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);
    ck_assert_ptr_null(strchr(text, 0x1b)); /* no terminal obeys it */
    free(text);
    json_decref(value);
    for (size_t n = 10; n < letter.len; n++) {
        err_reset(&e);
        ck_assert_msg(!record_value_json(&p, "metrics.dlq", slice_of(letter.ptr, n), &kind, &value, &e), "%zu", n);
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
        ck_assert_ptr_null(value);
    }
    record_printer_fini(&p);
    buf_fini(&letter);
}
END_TEST

static const struct {
    const char *topic;
    struct slice value;
    const char *kind;
} others[] = {
    {"sluice.control", SLICE_LITERAL("{\"kind\":\"kill\"}"), "json"},
    {"sluice.control", SLICE_LITERAL("{\"kind\":"), "payload"},
    {"metrics.ingest", SLICE_LITERAL("{\"player\":\"ana\"}"), "payload"},
    {"metrics.ingest.demo", SLICE_LITERAL("{}"), "payload"},
    {"any", SLICE_LITERAL(""), "payload"},
    {"any", SLICE_LITERAL("\xc3\x01"), "payload"},
};

START_TEST(what_is_not_ours_shows_its_length_only)
{
    struct record_printer p;
    struct err e = ERR_INIT;
    const char *kind;
    json_t *value;
    ck_assert(record_printer_init(&p, NULL, NULL, &e));
    ck_assert(record_value_json(&p, others[_i].topic, others[_i].value, &kind, &value, &e));
    ck_assert_str_eq(kind, others[_i].kind);
    json_decref(value);
    record_printer_fini(&p);
}
END_TEST

START_TEST(doubles_that_json_has_not_are_text)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {{NAN, "NaN"}, {INFINITY, "+Inf"}, {-INFINITY, "-Inf"}};
    for (size_t i = 0; i < 3; i++) {
        json_t *j = json_of_double(rows[i].v);
        ck_assert_str_eq(json_string_value(j), rows[i].text);
        json_decref(j);
    }
    json_t *j = json_of_double(0.1);
    ck_assert_double_eq(json_real_value(j), 0.1);
    json_decref(j);
}
END_TEST

/* Whatever a tenant sends: decoded or refused, and no value of a label in what comes out. */
START_TEST(damaged_origins_are_refused)
{
    struct partition partition = {.topic = SLICE_LITERAL("metrics.ingest.demo")};
    struct arena a;
    struct origin_points points;
    struct origin_wanted wanted = {.shared_topic = "metrics.ingest"};
    /* MetricsData { resource { attributes {a: "secret"} } scope { metric "m" gauge { point as_double 1 } } } */
    static const uint8_t otlp[] = "\x0a\x2b\x0a\x11\x0a\x0f\x0a\x01\x61\x12\x0a\x0a\x08\x73\x65\x63\x72\x65\x74\x73\x73"
                                  "\x12\x16\x12\x14\x0a\x01m\x2a\x0f\x0a\x0d\x21\x00\x00\x00\x00\x00\x00\xf0\x3f\x19\x00\x00\x00";
    arena_init(&a, 1 << 20);
    for (size_t n = 0; n < sizeof otlp; n++) {
        struct err e = ERR_INIT;
        const struct record r = {.partition = &partition, .value = slice_of(otlp, n)};
        if (origin_points_read(&r, &wanted, &a, &points, &e)) {
            char *text = json_dumps(points.points, 0);
            ck_assert_ptr_null(strstr(text, "secret"));
            free(text);
            json_decref(points.points);
        } else {
            ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
        }
    }
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("avro_json");
    TCase *t = tcase_create("avro_json");
    tcase_add_test(t, a_letter_shows_and_no_prefix_of_it_does);
    tcase_add_loop_test(t, what_is_not_ours_shows_its_length_only, 0, sizeof others / sizeof others[0]);
    tcase_add_test(t, doubles_that_json_has_not_are_text);
    tcase_add_test(t, damaged_origins_are_refused);
    suite_add_tcase(s, t);
    return run_suite(s);
}
