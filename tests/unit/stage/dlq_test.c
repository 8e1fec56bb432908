/* Dead letters are what their schema says, and former versions can be read. */
#include "stage/dlq.h"

#include <avro.h>

#include "dlq_1_avsc.h"
#include "dlq_2_avsc.h"
#include "dlq_avsc.h"
#include "runner.h"

enum { HEAD_BYTES = 10 };

static const uint8_t topic_id[16] = {1, 2, 3};
static const struct dead_letter_point points[] = {{{1, 2}, true, 17}, {{0, 0}, false, 18}};
static const struct dead_letter_label more[] = {
    {{(const uint8_t *)"raw_ip", 6}, "label_forbidden", {(const uint8_t *)"fedcba9876543210", 16}}};
static const struct dead_letter letter = {
    .tenant = {(const uint8_t *)"t", 1},
    .stage = "validate",
    .reason = "label_forbidden",
    .metric = {(const uint8_t *)"a", 1},
    .received_ms = 5,
    .topic = {(const uint8_t *)"metrics.ingest.t", 16},
    .topic_id = topic_id,
    .partition = 3,
    .offset = 9,
    .index = 1,
    .n_samples = 4,
    .n_points = 2,
    .points = points,
    .label = {(const uint8_t *)"email", 5},
    .masked_value = {(const uint8_t *)"0123456789abcdef", 16},
    .text = {(const uint8_t *)"why", 3},
    .mask_key = {(const uint8_t *)"00c0ffee", 8},
    .policy_version = {(const uint8_t *)"7-abc", 5},
    .n_suppressed = 6,
    .n_more = 1,
    .more = more,
};

/* Reads the body by avro-c with the schema that is given, to its end. */
static char *json_of(const char *avsc, struct slice body)
{
    avro_schema_t schema;
    avro_value_t value;
    char *text = NULL;
    ck_assert_int_eq(avro_schema_from_json_length(avsc, strlen(avsc), &schema), 0);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    ck_assert_int_eq(avro_generic_value_new(iface, &value), 0);
    avro_reader_t reader = avro_reader_memory((const char *)body.ptr, (int64_t)body.len);
    ck_assert_int_eq(avro_value_read(reader, &value), 0);
    char byte;
    ck_assert_int_ne(avro_read(reader, &byte, 1), 0); /* nothing is left */
    ck_assert_int_eq(avro_value_to_json(&value, 1, &text), 0);
    avro_reader_free(reader);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    return text;
}

static struct slice body_of(const struct buf *b)
{
    return slice_of(b->ptr + HEAD_BYTES, b->len - HEAD_BYTES);
}

START_TEST(a_letter_is_what_its_schema_says)
{
    static const char *const want[] = {
        "\"tenant\":\"t\"",
        "\"reason\":\"label_forbidden\"",
        "\"offset\":9",
        "\"samples\":4",
        "\"label\":\"email\"",
        "\"masked_value\":\"0123456789abcdef\"",
        "\"mask_key\":\"00c0ffee\"",
        "\"policy\":\"7-abc\"",
        "\"suppressed\":6",
        "\"time_ms\":18",
        "\"more_labels\":[{\"label\":\"raw_ip\",\"reason\":\"label_forbidden\","
        "\"masked_value\":\"fedcba9876543210\"}",
        "\"text\":\"why\""};
    struct buf b;
    buf_init(&b, 1 << 16);
    dead_letter_encode(&letter, &b);
    ck_assert(buf_ok(&b) && memcmp(b.ptr, DLQ_HEAD, HEAD_BYTES) == 0);
    char *text = json_of(dlq_avsc, body_of(&b));
    size_t n = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] != ' ') {
            text[n++] = text[i];
        }
    }
    text[n] = '\0';
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        ck_assert_msg(strstr(text, want[i]) != NULL, "%s is not in %s", want[i], text);
    }
    free(text);
    buf_fini(&b);
}
END_TEST

/* A former letter is a current one without the fields that came later, which say nothing. */
static void check_former(const char *head, const char *schema, size_t n_bytes_more)
{
    struct buf current;
    struct buf old;
    struct arena a;
    struct err e = ERR_INIT;
    struct slice body;
    struct dead_letter plain = letter;
    plain.mask_key = plain.policy_version = SLICE_NONE;
    plain.n_suppressed = 0;
    plain.n_more = 0;
    buf_init(&current, 1 << 16);
    buf_init(&old, 1 << 16);
    arena_init(&a, 1 << 20);
    dead_letter_encode(&plain, &current);
    buf_put(&old, head, HEAD_BYTES);
    buf_put(&old, current.ptr + HEAD_BYTES, current.len - HEAD_BYTES - n_bytes_more);
    free(json_of(schema, body_of(&old)));
    ck_assert(versions_have(&dead_letter_versions, buf_slice(&old)));
    ck_assert_msg(versions_body(&dead_letter_versions, buf_slice(&old), 1 << 16, &a, &body, &e),
                  "%s", e.text);
    ck_assert(slice_eq(body, body_of(&current)));
    buf_fini(&current);
    buf_fini(&old);
    arena_fini(&a);
}

START_TEST(former_letters_are_read)
{
    check_former(DLQ_1_HEAD, dlq_1_avsc, 4);
    check_former(DLQ_2_HEAD, dlq_2_avsc, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dlq");
    TCase *t = tcase_create("dlq");
    tcase_add_test(t, a_letter_is_what_its_schema_says);
    tcase_add_test(t, former_letters_are_read);
    suite_add_tcase(s, t);
    return run_suite(s);
}
