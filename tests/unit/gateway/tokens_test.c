#include "tokens.h"

#include "runner.h"

#include <stdio.h>

enum { NOW_S = 1800000000 };

static struct tokens parsed(const char *text)
{
    struct tokens t;
    struct err e = ERR_INIT;
    ck_assert_msg(tokens_parse(slice_str(text), &t, &e), "%s", e.text);
    return t;
}

/* A file of one token; its text into out. */
static struct tokens file_of_one(int64_t expires_s, char out[TOKEN_TEXT_BYTES])
{
    struct token t;
    struct err e = ERR_INIT;
    struct buf file;
    buf_init(&file, 4096);
    ck_assert(token_make("studio-a", NOW_S, expires_s, &t, out, &e));
    token_write(&t, &file);
    struct tokens tokens = parsed(buf_c_str(&file));
    ck_assert(strstr((const char *)file.ptr, out + 17) == NULL); /* the secret */
    buf_fini(&file);
    return tokens;
}

START_TEST(a_token_is_found_by_its_text_alone)
{
    char text[TOKEN_TEXT_BYTES];
    struct err e = ERR_INIT;
    struct tokens t = file_of_one(TOKEN_NEVER, text);
    size_t n = strlen(text);
    const struct token *found = tokens_find(&t, slice_str(text), NOW_S, &e);
    ck_assert(found != NULL);
    ck_assert_str_eq(found->tenant, "studio-a");
    for (size_t i = 0; i < n; i++) { /* each byte counts */
        char wrong[TOKEN_TEXT_BYTES];
        memcpy(wrong, text, sizeof wrong);
        wrong[i] = wrong[i] == 'a' ? 'b' : 'a';
        ck_assert_msg(tokens_find(&t, slice_str(wrong), NOW_S, &e) == NULL, "%s", wrong);
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
        ck_assert(tokens_find(&t, slice_of(text, i), NOW_S, &e) == NULL);
    }
    tokens_fini(&t);
}
END_TEST

START_TEST(two_tokens_have_nothing_in_common)
{
    char a[TOKEN_TEXT_BYTES];
    char b[TOKEN_TEXT_BYTES];
    struct tokens ta = file_of_one(TOKEN_NEVER, a);
    struct tokens tb = file_of_one(TOKEN_NEVER, b);
    ck_assert_str_ne(a, b);
    ck_assert_mem_ne(ta.items[0].salt, tb.items[0].salt, TOKEN_SALT_BYTES);
    ck_assert_mem_ne(ta.items[0].hash, tb.items[0].hash, TOKEN_HASH_BYTES);
    tokens_fini(&ta);
    tokens_fini(&tb);
}
END_TEST

START_TEST(time_ends_a_token)
{
    char text[TOKEN_TEXT_BYTES];
    struct err e = ERR_INIT;
    struct tokens t = file_of_one(NOW_S + 10, text);
    ck_assert(tokens_find(&t, slice_str(text), NOW_S + 9, &e) != NULL);
    ck_assert(tokens_find(&t, slice_str(text), NOW_S + 10, &e) == NULL);
    ck_assert(strstr(e.text, "expired") != NULL);
    t.items[0].expires_s = TOKEN_REVOKED;
    ck_assert(tokens_find(&t, slice_str(text), NOW_S, &e) == NULL);
    ck_assert(strstr(e.text, "revoked") != NULL);
    tokens_fini(&t);
}
END_TEST

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SALT "00112233445566778899aabbccddeeff"
#define GOOD "0123456789ab demo 2026-11-27T16:00:00Z never " SALT " " HASH "\n"

static const struct {
    const char *text;
    const char *want;
} bad_files[] = {
    {"nonsense\n", "line 1: has not the six fields"},
    {"# a comment\n\n" GOOD "0123456789ac demo\n", "line 4: has not the six fields"},
    {GOOD "0123456789ac demo 2026-11-27T16:00:00Z never " SALT " " HASH " more\n", "line 2: has not the six fields"},
    {GOOD GOOD, "twice"},
    {"0123456789aX demo 2026-11-27T16:00:00Z never " SALT " " HASH "\n", "line 1: id"},
    {"0123456789ab demo yesterday never " SALT " " HASH "\n", "line 1: a time"},
    {"0123456789ab demo 2026-11-27T16:00:00Z 2026-13-01 " SALT " " HASH "\n", "line 1: a time"},
    {"0123456789ab demo 2026-11-27T16:00:00Z never " SALT "00 " HASH "\n", "line 1: salt or hash"},
    {"0123456789ab demo 2026-11-27T16:00:00Z never " SALT " " SALT "\n", "line 1: salt or hash"},
};

START_TEST(a_bad_file_names_the_line)
{
    struct tokens t;
    struct err e = ERR_INIT;
    ck_assert(!tokens_parse(slice_str(bad_files[_i].text), &t, &e));
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    ck_assert_msg(strstr(e.text, bad_files[_i].want) != NULL, "%s", e.text);
}
END_TEST

START_TEST(every_prefix_of_a_file_is_taken_or_refused)
{
    static const char file[] = "# comment\n" GOOD;
    for (size_t n = 0; n < sizeof file; n++) {
        struct tokens t;
        struct err e = ERR_INIT;
        if (tokens_parse(slice_of(file, n), &t, &e)) {
            ck_assert(t.n <= 1);
            tokens_fini(&t);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokens");
    TCase *t = tcase_create("tokens");
    tcase_add_test(t, a_token_is_found_by_its_text_alone);
    tcase_add_test(t, two_tokens_have_nothing_in_common);
    tcase_add_test(t, time_ends_a_token);
    tcase_add_loop_test(t, a_bad_file_names_the_line, 0, sizeof bad_files / sizeof bad_files[0]);
    tcase_add_test(t, every_prefix_of_a_file_is_taken_or_refused);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
