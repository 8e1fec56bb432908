/* AWS's published cases (tests/vectors/sigv4), and what is refused. */
#include "runner.h"
#include "sigv4_case.h"

static const char *const *vector_files;

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, 4 << 20);
}

static void teardown(void)
{
    arena_fini(&arena);
}

static void check_header_form(const struct sigv4_case *c)
{
    struct err e = ERR_INIT;
    struct sigv4_signed out;
    char want[1024];
    char time[9] = "";
    ck_assert_msg(sigv4_sign(&c->keys, &c->scope, &c->request, c->now_ms, &arena, &out, &e),
                  "%s: %s", c->name, e.text);
    ck_assert(strncmp(out.headers[0], "X-Amz-Date: ", 12) == 0);
    (void)snprintf(time, sizeof time, "%.8s", out.headers[0] + 12);
    (void)snprintf(
        want, sizeof want,
        "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, "
        "Signature=%s",
        c->keys.access_key, time, c->scope.region, c->scope.service, c->want_names, c->want);
    ck_assert_msg(strcmp(out.headers[out.n_headers - 1], want) == 0, "%s:\n got %s\nwant %s",
                  c->name, out.headers[out.n_headers - 1], want);
}

static void check_query_form(const struct sigv4_case *c)
{
    struct err e = ERR_INIT;
    struct slice query;
    const struct sigv4_presigning p = {.now_ms = c->now_ms, .lifetime_s = c->lifetime_s};
    ck_assert_msg(sigv4_presign(&c->keys, &c->scope, &c->request, &p, &arena, &query, &e), "%s: %s",
                  c->name, e.text);
    ck_assert_msg(slice_ends_with(query, slice_str(c->want_query)), "%s: %.*s, want %s", c->name,
                  SLICE_ARG(query), c->want_query);
}

static void check_file(const char *path, size_t least)
{
    FILE *f = fopen(path, "r");
    struct sigv4_case c;
    size_t n = 0;
    ck_assert_msg(f != NULL, "cannot open %s", path);
    for (; sigv4_case_read(f, &c); n++) {
        ck_assert_msg(c.want != NULL || c.want_query != NULL, "%s: wants nothing", c.name);
        if (c.want != NULL) {
            check_header_form(&c);
        }
        if (c.want_query != NULL) {
            check_query_form(&c);
        }
        sigv4_case_free(&c);
        arena_reset(&arena);
    }
    ck_assert_uint_ge(n, least);
    (void)fclose(f);
}

START_TEST(published_suite)
{
    check_file(vector_files[0], 38);
}
END_TEST

START_TEST(s3_documentation)
{
    check_file(vector_files[1], 5);
}
END_TEST

static const char long_name[] = "a-region-whose-name-is-longer-than-any-that-there-will-be"
                                "-a-region-whose-name-is-longer-than-any-that-there-will-be"
                                "-a-region-whose-name-is-longer-than-any-that-there-will-be"
                                "-a-region-whose-name-is-longer-than-any-that-there-will-be";

static const struct refusal {
    const char *name;
    const char *access_key;
    const char *secret_key;
    const char *region;
    const char *path;
    const char *header;
    int64_t now_ms;
    const char *says;
} refusals[] = {
    {"no host", "A", "s", "r", "/", "X: y", 0, "no Host header"},
    {"line break", "A", "s", "r", "/", "Host: a\r\nX: y", 0, "a line break in header \"Host\""},
    {"no name", "A", "s", "r", "/", ": v", 0, "a header without a name"},
    {"no colon", "A", "s", "r", "/", "Host", 0, "a header without a name"},
    {"blank in name", "A", "s", "r", "/", "Ho st: a", 0, "byte 2 of a header's name is 0x20"},
    {"relative path", "A", "s", "r", "a/b", "Host: a", 0, "the path doesn't begin with \"/\""},
    {"no access key", "", "s", "r", "/", "Host: a", 0, "the access key or the secret key is empty"},
    {"no secret key", "A", "", "r", "/", "Host: a", 0, "the access key or the secret key is empty"},
    {"before 1970", "A", "s", "r", "/", "Host: a", -1000, "-1000 ms is no time"},
    {"after 9999", "A", "s", "r", "/", "Host: a", INT64_MAX, "is no time"},
    {"long region", "A", "s", long_name, "/", "Host: a", 0, "too long"},
};

START_TEST(refuses)
{
    const struct refusal *r = &refusals[_i];
    const struct aws_keys keys = {.access_key = r->access_key, .secret_key = r->secret_key};
    const struct sigv4_scope scope = {.region = r->region, .service = "s", .path = SIGV4_PATH_S3};
    const struct sigv4_request request = {
        .method = "GET", .path = slice_str(r->path), .headers = &r->header, .n_headers = 1};
    struct sigv4_signed out;
    struct err e = ERR_INIT;
    ck_assert_msg(!sigv4_sign(&keys, &scope, &request, r->now_ms, &arena, &out, &e), "%s", r->name);
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    ck_assert_msg(strstr(e.text, r->says) != NULL, "%s: %s", r->name, e.text);
    ck_assert_msg(r->secret_key[0] == '\0' || strstr(e.text, "secret-key-text") == NULL, "%s",
                  e.text);
}
END_TEST

START_TEST(ceilings)
{
    const struct aws_keys keys = {.access_key = "A", .secret_key = "s"};
    const struct sigv4_scope scope = {.region = "r", .service = "s"};
    static const char *headers[65];
    struct sigv4_request request = {.method = "GET", .headers = headers, .n_headers = 65};
    struct sigv4_presigning p = {.now_ms = 0, .lifetime_s = 604801};
    struct sigv4_signed out;
    struct slice query;
    struct err e = ERR_INIT;
    for (size_t i = 0; i < 65; i++) {
        headers[i] = "Host: a";
    }
    ck_assert(!sigv4_sign(&keys, &scope, &request, 0, &arena, &out, &e));
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    request.n_headers = 1;
    ck_assert(!sigv4_presign(&keys, &scope, &request, &p, &arena, &query, &e));
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    char *many = calloc(1, 4000);
    ck_assert_ptr_nonnull(many);
    memset(many, '&', 3999);
    request.query = slice_str(many);
    ck_assert(!sigv4_sign(&keys, &scope, &request, 0, &arena, &out, &e));
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    free(many);

    struct arena small;
    request.query = SLICE_LITERAL("a=b");
    for (size_t max_bytes = 0; max_bytes <= 8192; max_bytes += 512) {
        arena_init(&small, max_bytes);
        e = (struct err)ERR_INIT;
        if (!sigv4_sign(&keys, &scope, &request, 0, &small, &out, &e)) {
            ck_assert_int_eq(e.kind, ERR_RETRY);
        }
        arena_fini(&small);
    }
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 3) {
        return EXIT_FAILURE;
    }
    const char *files[] = {argv[1], argv[2]};
    vector_files = files;
    Suite *suite = suite_create("sigv4");
    TCase *c = tcase_create("sigv4");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, published_suite);
    tcase_add_test(c, s3_documentation);
    tcase_add_loop_test(c, refuses, 0, sizeof refusals / sizeof refusals[0]);
    tcase_add_test(c, ceilings);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
