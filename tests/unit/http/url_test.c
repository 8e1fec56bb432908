/* What is taken as a URL, and what it is taken apart into. */
#include "../runner.h"
#include "http/url.h"

#include <string.h>

static const struct {
    const char *url;
    const char *authority; /* NULL = refused */
    const char *host;
    const char *path;
    bool is_https;
    bool is_loopback;
} rows[] = {
    {"https://sts.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com",
     "sts.eu-west-1.amazonaws.com", "/", true, false},
    {"http://127.0.0.1:8080/a/b?c=d", "127.0.0.1:8080", "127.0.0.1", "/a/b", false, true},
    {"http://127.9.9.9/", "127.9.9.9", "127.9.9.9", "/", false, true},
    {"http://localhost", "localhost", "localhost", "/", false, true},
    {"http://[::1]:9/x", "[::1]:9", "[::1]", "/x", false, true},
    {"http://[fd00:ec2::23]/v1", "[fd00:ec2::23]", "[fd00:ec2::23]", "/v1", false, false},
    {"http://127.0.0.1.example.com/", "127.0.0.1.example.com", "127.0.0.1.example.com", "/", false,
     false},
    {"http://localhost.example.com/", "localhost.example.com", "localhost.example.com", "/", false,
     false},
    {"http://2130706433/", "127.0.0.1", "127.0.0.1", "/", false, true},
    {"http://127.0.0.1@example.com/", NULL, "", "", false, false},
    {"http://u:p@127.0.0.1/", NULL, "", "", false, false},
    {"file:///etc/passwd", NULL, "", "", false, false},
    {"gopher://127.0.0.1/", NULL, "", "", false, false},
    {"127.0.0.1/x", NULL, "", "", false, false},
    {"http://", NULL, "", "", false, false},
    {"", NULL, "", "", false, false},
};

START_TEST(takes_apart)
{
    struct http_url u;
    struct err e = ERR_INIT;
    bool ok = http_url_parse(rows[_i].url, &u, &e);
    ck_assert_msg(ok == (rows[_i].authority != NULL), "%s: %s", rows[_i].url, e.text);
    if (ok) {
        ck_assert_str_eq(u.authority, rows[_i].authority);
        ck_assert_str_eq(u.host, rows[_i].host);
        ck_assert_str_eq(u.path, rows[_i].path);
        const char *query = strchr(rows[_i].url, '?');
        ck_assert_str_eq(u.query, query == NULL ? "" : query + 1);
        ck_assert_int_eq(u.is_https, rows[_i].is_https);
        ck_assert_int_eq(http_url_is_loopback(&u), rows[_i].is_loopback);
    } else {
        ck_assert_int_eq(e.kind, ERR_CONFIG);
        ck_assert(strncmp(e.text, "url: ", 5) == 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("url");
    TCase *c = tcase_create("url");
    tcase_add_loop_test(c, takes_apart, 0, sizeof rows / sizeof rows[0]);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
