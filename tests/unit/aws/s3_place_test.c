/* Endpoints by region, style and option. */
#include "runner.h"

#include "aws/s3_place.h"

static const struct {
    const char *name;
    struct s3_options o;
    const char *base; /* NULL = refused, and prefix is what is said */
    const char *prefix;
} rows[] = {
    {"AWS", {.bucket = "b-1", .region = "eu-west-1"}, "https://b-1.s3.eu-west-1.amazonaws.com", ""},
    {"path style",
     {.bucket = "b-1", .region = "eu-west-1", .path_style = true},
     "https://s3.eu-west-1.amazonaws.com",
     "/b-1"},
    {"dots",
     {.bucket = "a.b.c", .region = "eu-west-1"},
     "https://s3.eu-west-1.amazonaws.com",
     "/a.b.c"},
    {"FIPS",
     {.bucket = "b-1", .region = "us-east-1", .fips = true},
     "https://b-1.s3-fips.us-east-1.amazonaws.com",
     ""},
    {"dual stack",
     {.bucket = "b-1", .region = "us-east-1", .dual_stack = true},
     "https://b-1.s3.dualstack.us-east-1.amazonaws.com",
     ""},
    {"both",
     {.bucket = "b-1", .region = "us-east-1", .fips = true, .dual_stack = true},
     "https://b-1.s3-fips.dualstack.us-east-1.amazonaws.com",
     ""},
    {"China",
     {.bucket = "b-1", .region = "cn-north-1"},
     "https://b-1.s3.cn-north-1.amazonaws.com.cn",
     ""},
    {"own",
     {.bucket = "b-1", .region = "r", .endpoint = "http://127.0.0.1:90/", .path_style = true},
     "http://127.0.0.1:90",
     "/b-1"},
    {"own, by host",
     {.bucket = "b-1", .region = "r", .endpoint = "https://s3.example"},
     "https://b-1.s3.example",
     ""},
    {"empty endpoint",
     {.bucket = "b-1", .region = "r", .endpoint = ""},
     "https://b-1.s3.r.amazonaws.com",
     ""},
    {"short bucket", {.bucket = "b", .region = "r"}, NULL, "\"b\" is not the name of a bucket"},
    {"bucket with a slash",
     {.bucket = "b/../x", .region = "r"},
     NULL,
     "is not the name of a bucket"},
    {"region",
     {.bucket = "b-1", .region = "r.evil.example"},
     NULL,
     "is not the name of an AWS region"},
    {"endpoint with a path",
     {.bucket = "b-1", .region = "r", .endpoint = "http://h/x"},
     NULL,
     "S3 endpoint: it has a path"},
    {"no URL", {.bucket = "b-1", .region = "r", .endpoint = "h:90"}, NULL, "S3 endpoint: url"},
};

START_TEST(places)
{
    struct s3_place p;
    struct err e = ERR_INIT;
    bool ok = s3_place(&rows[_i].o, &p, &e);
    ck_assert_msg(ok == (rows[_i].base != NULL), "%s: %s", rows[_i].name, e.text);
    if (ok) {
        ck_assert_str_eq(p.base, rows[_i].base);
        ck_assert_str_eq(p.prefix, rows[_i].prefix);
        ck_assert_str_eq(p.authority, strstr(p.base, "//") + 2);
        ck_assert_int_eq(p.is_https, strncmp(p.base, "https", 5) == 0);
    } else {
        ck_assert_int_eq(e.kind, ERR_CONFIG);
        ck_assert_msg(strstr(e.text, rows[_i].prefix) != NULL, "%s: %s", rows[_i].name, e.text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("s3_place");
    TCase *c = tcase_create("s3_place");
    tcase_add_loop_test(c, places, 0, sizeof rows / sizeof rows[0]);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
