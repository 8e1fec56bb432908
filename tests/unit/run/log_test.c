#include "runner.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "capture.h"
#include "run/log.h"
#include "run/log_repeat.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <time.h>

static char *line_of(enum log_level level, const char *msg, const struct log_field *fields,
                     int n_fields)
{
    struct capture c = capture_begin(STDERR_FILENO);
    log_line(level, msg, fields, n_fields);
    return capture_end(&c);
}

static json_t *json_of(const char *text)
{
    size_t len = strlen(text);
    ck_assert_uint_gt(len, 1);
    ck_assert_ptr_eq(strchr(text, '\n'), text + len - 1); /* one line */
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(root != NULL, "%s", text);
    return root;
}

static const char *str(const json_t *root, const char *key)
{
    return json_string_value(json_object_get(root, key));
}

START_TEST(a_line_is_one_json_object)
{
    log_open("tester", LOG_INFO);
    int64_t before_ms = clock_now_ms();
    char *text =
        line_of(LOG_WARN, "happened", LOG_FIELDS(LOG_STR("what", "x"), LOG_INT("n", INT64_MIN)));
    json_t *root = json_of(text);
    ck_assert_str_eq(str(root, "level"), "warn");
    ck_assert_str_eq(str(root, "worker"), "tester");
    ck_assert_str_eq(str(root, "msg"), "happened");
    ck_assert_str_eq(str(root, "what"), "x");
    ck_assert(json_integer_value(json_object_get(root, "n")) == INT64_MIN);
    struct tm tm = {0};
    const char *ts = str(root, "ts");
    const char *rest = strptime(ts, "%Y-%m-%dT%H:%M:%S", &tm);
    ck_assert_uint_eq(strlen(ts), strlen("2026-01-02T03:04:05.678Z"));
    ck_assert(rest != NULL && rest[0] == '.' && rest[4] == 'Z');
    int64_t ts_ms = (int64_t)timegm(&tm) * 1000 + strtol(rest + 1, NULL, 10);
    ck_assert(ts_ms >= before_ms && ts_ms <= clock_now_ms());
    json_decref(root);
    free(text);
}
END_TEST

/* Rows: the text of a field as it goes in and as a JSON parser reads it. */
static const struct {
    const char *name;
    const char *in;
    const char *out;
} texts[] = {
    {"plain", "abc", "abc"},
    {"empty", "", ""},
    {"quote and backslash", "a\"b\\c", "a\"b\\c"},
    {"control characters", "\n\t\r\x01\x1f\x7f", "\n\t\r\x01\x1f\x7f"},
    {"UTF-8", "grün € 😀", "grün € 😀"},
    {"a bad byte",
     "a\xff"
     "b",
     "a\xef\xbf\xbd"
     "b"},
    {"a cut character", "a\xe2\x82", "a\xef\xbf\xbd\xef\xbf\xbd"},
    {"a surrogate", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
};

START_TEST(texts_are_escaped)
{
    log_open("tester", LOG_INFO);
    char msg[64];
    (void)snprintf(msg, sizeof msg, "escape %d", _i);
    char *text = line_of(LOG_INFO, msg, LOG_FIELDS(LOG_STR("t", texts[_i].in)));
    json_t *root = json_of(text);
    ck_assert_msg(strcmp(str(root, "t"), texts[_i].out) == 0, "%s: %s", texts[_i].name, text);
    json_decref(root);
    free(text);
    text = line_of(LOG_INFO, texts[_i].in,
                   LOG_FIELDS(LOG_STR(texts[_i].in, "v"), LOG_STR("none", NULL)));
    root = json_of(text);
    ck_assert_str_eq(str(root, "msg"), texts[_i].out);
    ck_assert_str_eq(str(root, texts[_i].out), "v");
    ck_assert(json_is_null(json_object_get(root, "none")));
    json_decref(root);
    free(text);
}
END_TEST

START_TEST(long_texts_are_cut_between_characters)
{
    enum { LEN = 100000 };
    static char longest[LEN + 1];
    for (int i = 0; i + 3 <= LEN; i += 3) {
        memcpy(longest + i, "€", 3);
    }
    log_open("tester", LOG_INFO);
    char *text = line_of(LOG_INFO, "long", LOG_FIELDS(LOG_STR("t", longest), LOG_INT("after", 1)));
    json_t *root = json_of(text);
    size_t len = strlen(str(root, "t"));
    ck_assert(len > 4000 && len <= 4096 && len % 3 == 0);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "after")), 1);
    json_decref(root);
    free(text);
}
END_TEST

START_TEST(a_line_that_is_too_long_says_what_it_left_out)
{
    char controls[4001];
    memset(controls, 1, 4000); /* six bytes each once escaped */
    controls[4000] = '\0';
    log_open("tester", LOG_INFO);
    char *text = line_of(LOG_INFO, "too long",
                         LOG_FIELDS(LOG_INT("first", 1), LOG_STR("a", controls),
                                    LOG_STR("b", controls), LOG_STR("c", controls)));
    json_t *root = json_of(text);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "first")), 1);
    ck_assert_uint_eq(strlen(str(root, "a")), 4000);
    ck_assert_ptr_null(json_object_get(root, "b"));
    ck_assert_int_eq(json_integer_value(json_object_get(root, "fields_left_out")), 2);
    json_decref(root);
    free(text);
}
END_TEST

static const struct {
    const char *name;
    enum log_level least;
    enum log_level level;
    bool written;
} levels[] = {
    {"debug", LOG_DEBUG, LOG_DEBUG, true}, {"info", LOG_INFO, LOG_DEBUG, false},
    {"info", LOG_INFO, LOG_INFO, true},    {"warn", LOG_WARN, LOG_INFO, false},
    {"error", LOG_ERROR, LOG_WARN, false}, {"error", LOG_ERROR, LOG_ERROR, true},
};

START_TEST(lines_below_the_least_level_are_not_written)
{
    ck_assert_int_eq(log_level_of(levels[_i].name), levels[_i].least);
    ck_assert_int_eq(log_level_of("no level"), LOG_INFO);
    log_open("tester", levels[_i].least);
    char msg[64];
    (void)snprintf(msg, sizeof msg, "level %d", _i);
    errno = 1234;
    char *text = line_of(levels[_i].level, msg, NULL, 0);
    ck_assert_msg((text[0] != '\0') == levels[_i].written, "%s: %s", levels[_i].name, text);
    free(text);
}
END_TEST

START_TEST(repeats_are_held_back)
{
    log_open("tester", LOG_INFO);
    struct capture c = capture_begin(STDERR_FILENO);
    for (int i = 0; i < 50; i++) {
        log_line(LOG_INFO, "again and again", LOG_FIELDS(LOG_INT("i", i)));
    }
    log_info("another");
    char *text = capture_end(&c);
    int n_lines = 0;
    for (const char *p = text; *p != '\0'; p++) {
        n_lines += *p == '\n';
    }
    ck_assert_int_eq(n_lines, 11);
    ck_assert_ptr_nonnull(strstr(text, "\"i\":9}"));
    ck_assert_ptr_null(strstr(text, "\"i\":10}"));
    ck_assert_ptr_nonnull(strstr(text, "another"));
    free(text);
}
END_TEST

START_TEST(after_a_minute_the_number_is_said_once)
{
    static struct log_repeat r;
    struct log_repeat_entry due;
    int n = 0;
    for (int64_t t = 0; t < 60000; t += 1000) {
        ck_assert(!log_repeat_due(&r, t, &due));
        n += log_repeat_allow(&r, "flap", t);
    }
    ck_assert_int_eq(n, 10);
    ck_assert(log_repeat_allow(&r, "rare", 59999));
    ck_assert(log_repeat_due(&r, 60000, &due));
    ck_assert_str_eq(due.msg, "flap");
    ck_assert_int_eq(due.n_suppressed, 50);
    ck_assert(!log_repeat_due(&r, 60000, &due));
    for (int i = 0; i < 10; i++) {
        ck_assert(log_repeat_allow(&r, "flap", 60001));
    }
    ck_assert(!log_repeat_allow(&r, "flap", 60002));
    ck_assert(!log_repeat_due(&r, 200000 - 80000, &due));
    ck_assert(log_repeat_due(&r, 200000, &due));
    ck_assert_int_eq(due.n_suppressed, 1);
}
END_TEST

START_TEST(more_messages_than_it_remembers)
{
    static struct log_repeat r;
    char msg[32];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(msg, sizeof msg, "message %d", i);
        ck_assert(log_repeat_allow(&r, msg, i));
    }
    for (int i = 0; i < 9; i++) {
        ck_assert(log_repeat_allow(&r, msg, 1000));
    }
    ck_assert(!log_repeat_allow(&r, msg, 1000));
}
END_TEST

static void *write_many(void *ctx)
{
    const char *msg = ctx;
    for (int i = 0; i < 10; i++) {
        log_line(LOG_INFO, msg, LOG_FIELDS(LOG_STR("text", "some text to fill the line")));
    }
    return NULL;
}

START_TEST(lines_of_several_threads_do_not_mix)
{
    static char msgs[4][16] = {"thread 0", "thread 1", "thread 2", "thread 3"};
    pthread_t threads[4];
    log_open("tester", LOG_INFO);
    struct capture c = capture_begin(STDERR_FILENO);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, msgs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    char *text = capture_end(&c);
    int n_lines = 0;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        json_t *root = json_loads(line, 0, NULL);
        ck_assert_msg(root != NULL, "%s", line);
        json_decref(root);
        n_lines++;
    }
    ck_assert_int_eq(n_lines, 40);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("log");
    tcase_add_test(tc, a_line_is_one_json_object);
    tcase_add_loop_test(tc, texts_are_escaped, 0, sizeof texts / sizeof texts[0]);
    tcase_add_test(tc, long_texts_are_cut_between_characters);
    tcase_add_test(tc, a_line_that_is_too_long_says_what_it_left_out);
    tcase_add_loop_test(tc, lines_below_the_least_level_are_not_written, 0,
                        sizeof levels / sizeof levels[0]);
    tcase_add_test(tc, repeats_are_held_back);
    tcase_add_test(tc, after_a_minute_the_number_is_said_once);
    tcase_add_test(tc, more_messages_than_it_remembers);
    tcase_add_test(tc, lines_of_several_threads_do_not_mix);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
