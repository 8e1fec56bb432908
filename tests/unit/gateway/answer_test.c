#include "answer.h"

#include "runner.h"

#include <stdio.h>

static const struct {
    const char *name;
    struct answer answer;
    enum answer_form form;
    const char *want; /* \x.. by hand, from the .proto files */
    size_t n_want;
} rows[] = {
#define WANT(s) (s), sizeof(s) - 1
    {"nothing to say", {.status = 200}, ANSWER_PROTOBUF, WANT("")},
    {"nothing to say, JSON", {.status = 200}, ANSWER_JSON, WANT("{}")},
    {"part refused", {.status = 200, .n_rejected = 300, .text = "why"}, ANSWER_PROTOBUF,
     WANT("\x0a\x08\x08\xac\x02\x12\x03why")},
    {"a word of warning", {.status = 200, .text = "hm"}, ANSWER_PROTOBUF, WANT("\x0a\x04\x12\x02hm")},
    {"part refused, JSON", {.status = 200, .n_rejected = 3, .text = "a \"b\"\n"}, ANSWER_JSON,
     WANT("{\"partialSuccess\":{\"rejectedDataPoints\":\"3\",\"errorMessage\":\"a \\\"b\\\"?\"}}")},
    {"malformed", {.status = 400, .text = "no"}, ANSWER_PROTOBUF, WANT("\x08\x03\x12\x02no")},
    {"who are you", {.status = 401, .text = "no"}, ANSWER_PROTOBUF, WANT("\x08\x10\x12\x02no")},
    {"forbidden", {.status = 403, .text = "no"}, ANSWER_JSON, WANT("{\"code\":7,\"message\":\"no\"}")},
    {"too much", {.status = 429, .text = "no"}, ANSWER_PROTOBUF, WANT("\x08\x08\x12\x02no")},
    {"away", {.status = 503, .text = "no"}, ANSWER_JSON, WANT("{\"code\":14,\"message\":\"no\"}")},
    {"text", {.status = 400, .text = "no"}, ANSWER_TEXT, WANT("no\n")},
    {"no text", {.status = 204}, ANSWER_TEXT, WANT("")},
};

START_TEST(bodies)
{
    struct buf out;
    buf_init(&out, 4096);
    answer_body(&rows[_i].answer, rows[_i].form, &out);
    ck_assert(buf_ok(&out));
    ck_assert_msg(slice_eq(buf_slice(&out), slice_of(rows[_i].want, rows[_i].n_want)), "%s: %.*s", rows[_i].name,
                  (int)out.len, (const char *)out.ptr);
    buf_fini(&out);
}
END_TEST

START_TEST(a_long_text_is_cut)
{
    struct answer a;
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    answer_refuse(&a, 400, REASON_MALFORMED, "%s", text);
    ck_assert_uint_eq(strlen(a.text), ANSWER_TEXT_BYTES - 1);
    ck_assert_int_eq(a.reason, REASON_MALFORMED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("answer");
    TCase *t = tcase_create("answer");
    tcase_add_loop_test(t, bodies, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(t, a_long_text_is_cut);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
