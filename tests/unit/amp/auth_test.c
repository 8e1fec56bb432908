#include "auth.h"

#include "../runner.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct auth_options plain = {.url = "https://store/api/v1/write",
                                          .region = "",
                                          .refresh_ms = 1000,
                                          .username = "",
                                          .password = "",
                                          .bearer_token = "",
                                          .bearer_token_file = "",
                                          .org_id = ""};

static const struct {
    const char *host;
    const char *region; /* NULL = another host */
} hosts[] = {
    {"aps-workspaces.eu-central-1.amazonaws.com", "eu-central-1"},
    {"aps-workspaces.cn-north-1.amazonaws.com.cn", "cn-north-1"},
    {"aps-workspaces-fips.us-east-1.amazonaws.com", "us-east-1"},
    {"aps-workspaces.us-west-2.api.aws", "us-west-2"},
    {"vpce-0a-1b.aps-workspaces.eu-west-1.vpce.amazonaws.com", "eu-west-1"},
    {"prometheus.example.org", NULL},
    {"aps-workspaces.example.org", NULL},
    {"aps-workspaces", NULL},
    {"aps-workspaces.", NULL},
    {"aps-workspaces..amazonaws.com", NULL},
    {"xaps-workspaces.eu-west-1.amazonaws.com", NULL},
    {"aps-workspacesx.eu-west-1.amazonaws.com", NULL},
    {"aps-workspaces.EU_1.amazonaws.com", NULL},
    {"aps-workspaces.a-region-whose-name-is-much-too-long-for-one.amazonaws.com", NULL},
};

START_TEST(regions_of_hosts)
{
    char region[33] = "";
    bool ok = auth_region_of_host(hosts[_i].host, region, sizeof region);
    ck_assert_msg(ok == (hosts[_i].region != NULL), "%s", hosts[_i].host);
    if (ok) {
        ck_assert_str_eq(region, hosts[_i].region);
    }
}
END_TEST

static const struct {
    const char *url;
    const char *region;
    const char *variable; /* AWS_REGION; "" = none */
    const char *want;     /* or the error's text, behind "!" */
} regions[] = {
    {"https://aps-workspaces.eu-west-1.amazonaws.com/w", "", "us-east-1", "eu-west-1"},
    {"https://aps-workspaces.eu-west-1.amazonaws.com/w", "eu-west-1", "us-east-1", "eu-west-1"},
    {"https://aps-workspaces.eu-west-1.amazonaws.com/w", "us-east-1", "",
     "!aws.region is us-east-1, but the url is of eu-west-1"},
    {"https://gateway/w", "", "us-east-1", "us-east-1"},
    {"https://gateway/w", "eu-west-1", "us-east-1", "eu-west-1"},
    {"https://gateway/w", "EU", "us-east-1",
     "!aws.region: \"EU\" is not the name of an AWS region"},
    {"https://gateway/w", "", "",
     "!auth=sigv4, and neither aws.region nor the url's host names a region: no AWS region: set "
     "AWS_REGION"},
};

START_TEST(where_the_region_comes_from)
{
    struct err e = ERR_INIT;
    char region[33] = "";
    struct auth_options o = plain;
    o.kind = AUTH_SIGV4;
    o.url = regions[_i].url;
    o.region = regions[_i].region;
    ck_assert_int_eq(setenv("AWS_REGION", regions[_i].variable, 1), 0);
    ck_assert_int_eq(setenv("AWS_CONFIG_FILE", "/nowhere", 1), 0);
    bool ok = auth_region(&o, region, sizeof region, &e);
    ck_assert_int_eq(ok, regions[_i].want[0] != '!');
    ck_assert_str_eq(ok ? region : e.text, regions[_i].want + !ok);
    ck_assert_int_eq(e.kind, ok ? ERR_NONE : ERR_CONFIG);
}
END_TEST

/* The i-th header of a request without others; NULL past the last. */
static const char *header_of(struct auth *a, size_t i)
{
    struct err e = ERR_INIT;
    const struct auth_request r = {.body = SLICE_LITERAL("body"), .now_ms = 1795000000000};
    const char *const *headers;
    size_t n;
    ck_assert_msg(auth_headers(a, &r, &headers, &n, &e), "%s", e.text);
    return i < n ? headers[i] : NULL;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(a_bearer_file_is_read_again_when_it_changes)
{
    struct err e = ERR_INIT;
    char path[] = "/tmp/sluice-auth-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    struct auth *a = NULL;
    struct auth_options o = plain;
    o.kind = AUTH_BEARER;
    o.bearer_token_file = path;
    o.org_id = "team-a";
    ck_assert(!auth_new(&o, &a, &e) && e.kind == ERR_CONFIG && strstr(e.text, ": empty") != NULL);
    write_file(path, "first.token\n");
    ck_assert_msg(auth_new(&o, &a, &e), "%s", e.text);
    ck_assert_str_eq(header_of(a, 0), "X-Scope-OrgID: team-a");
    ck_assert_str_eq(header_of(a, 1), "Authorization: Bearer first.token");
    ck_assert_ptr_null(header_of(a, 2));
    write_file(path, "the.second.token");
    ck_assert_str_eq(header_of(a, 1), "Authorization: Bearer the.second.token");
    write_file(path, "not a\ttoken");
    ck_assert_str_eq(header_of(a, 1), "Authorization: Bearer the.second.token");
    ck_assert_ptr_nonnull(strstr(auth_trouble(a), "byte 0x20 at 3 is not of a token"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_str_eq(header_of(a, 1), "Authorization: Bearer the.second.token");
    ck_assert_ptr_nonnull(strstr(auth_trouble(a), "no such file"));
    write_file(path, "third");
    ck_assert_str_eq(header_of(a, 1), "Authorization: Bearer third");
    ck_assert_str_eq(auth_trouble(a), "");
    auth_free(a);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(a_denied_token_is_read_again_although_the_file_looks_the_same)
{
    struct err e = ERR_INIT;
    char path[] = "/tmp/sluice-auth-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    struct auth *a = NULL;
    struct auth_options o = plain;
    const struct timespec then[2] = {{.tv_sec = 1795000000}, {.tv_sec = 1795000000}};
    o.kind = AUTH_BEARER;
    o.bearer_token_file = path;
    write_file(path, "token-1");
    ck_assert_int_eq(utimensat(AT_FDCWD, path, then, 0), 0);
    ck_assert(auth_new(&o, &a, &e));
    ck_assert_str_eq(header_of(a, 0), "Authorization: Bearer token-1");
    write_file(path, "token-2");
    ck_assert_int_eq(utimensat(AT_FDCWD, path, then, 0), 0);
    ck_assert_str_eq(header_of(a, 0), "Authorization: Bearer token-1");
    auth_renew(a);
    ck_assert_str_eq(header_of(a, 0), "Authorization: Bearer token-2");
    auth_free(a);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

static const struct {
    enum auth_kind kind;
    int status;
    const char *type;
    bool denial;
} denials[] = {
    {AUTH_NONE, 401, NULL, true},
    {AUTH_BEARER, 403, NULL, true},
    {AUTH_SIGV4, 403, "AccessDeniedException", true},
    {AUTH_SIGV4, 400, "ExpiredTokenException:http://internal.amazon.com/", true},
    {AUTH_SIGV4, 400, "UnrecognizedClientException", true},
    {AUTH_SIGV4, 400, "ValidationException", false},
    {AUTH_SIGV4, 400, NULL, false},
    {AUTH_NONE, 400, "ExpiredTokenException", false},
    {AUTH_SIGV4, 500, "ExpiredTokenException", false},
    {AUTH_SIGV4, 200, NULL, false},
    {AUTH_SIGV4, 0, NULL, false},
};

static struct auth *made(enum auth_kind kind)
{
    struct err e = ERR_INIT;
    struct auth *a = NULL;
    struct auth_options o = plain;
    o.kind = kind;
    o.region = "eu-west-1";
    o.username = "user";
    o.password = "pass word";
    o.bearer_token = "abcdefghijklmnopqrstuvwxyz";
    ck_assert_msg(auth_new(&o, &a, &e), "%s", e.text);
    return a;
}

START_TEST(what_is_a_denial)
{
    ck_assert_int_eq(setenv("AWS_ACCESS_KEY_ID", "AKIA", 1), 0);
    ck_assert_int_eq(setenv("AWS_SECRET_ACCESS_KEY", "secret", 1), 0);
    struct auth *a = made(denials[_i].kind);
    ck_assert_int_eq(auth_is_denial(a, denials[_i].status, denials[_i].type), denials[_i].denial);
    auth_free(a);
}
END_TEST

static const struct {
    enum auth_kind kind;
    const char *said;
    const char *masked;
} masks[] = {
    {AUTH_NONE, "Bearer abcdefghijklmnop", "Bearer abcdefghijklmnop"},
    {AUTH_BEARER, "", ""},
    {AUTH_BEARER, "bad token abcdefghijkl", "bad token ************"},
    {AUTH_BEARER, "{\"t\":\"abcdefghijklmnopqrstuvwxyz\",\"u\":1}",
     "{\"t\":\"**************************\",\"u\":1}"},
    {AUTH_BEARER, "abcdefghijklmn abcdefghijkl", "************** ************"},
    {AUTH_BEARER, "abcdefghijk", "abcdefghijk"},
    {AUTH_BASIC, "wrong: pass word!", "wrong: **********"},
    {AUTH_BASIC, "Basic dXNlcjpwYXNzIHdvcmQ=", "Basic ********************"},
};

START_TEST(secrets_in_what_a_store_says)
{
    struct auth *a = made(masks[_i].kind);
    struct slice got = auth_mask(a, slice_str(masks[_i].said));
    ck_assert_msg(slice_eq_str(got, masks[_i].masked), "%.*s", SLICE_ARG(got));
    auth_free(a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("auth");
    TCase *c = tcase_create("auth");
    tcase_add_loop_test(c, regions_of_hosts, 0, sizeof hosts / sizeof hosts[0]);
    tcase_add_loop_test(c, where_the_region_comes_from, 0, sizeof regions / sizeof regions[0]);
    tcase_add_test(c, a_bearer_file_is_read_again_when_it_changes);
    tcase_add_test(c, a_denied_token_is_read_again_although_the_file_looks_the_same);
    tcase_add_loop_test(c, what_is_a_denial, 0, sizeof denials / sizeof denials[0]);
    tcase_add_loop_test(c, secrets_in_what_a_store_says, 0, sizeof masks / sizeof masks[0]);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
