#include "aws/credentials_source.h"

#include "aws/credentials_file.h"
#include "aws/encode.h"
#include "aws/region.h"
#include "http/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LINK_LOCAL_TIMEOUT_MS = 2000,
    STS_TIMEOUT_MS = 10000,
    MAX_HEADER_CHARS = CREDENTIALS_MAX_TOKEN_CHARS + 64
};

const char *credentials_variable(const struct credentials_context *c, const char *name)
{
    char **all = c->environment != NULL ? c->environment : environ;
    size_t n = strlen(name);
    for (; *all != NULL; all++) {
        if (strncmp(*all, name, n) == 0 && (*all)[n] == '=') {
            return (*all)[n + 1] == '\0' ? NULL : *all + n + 1;
        }
    }
    return NULL;
}

static bool is_true(const struct credentials_context *c, const char *name)
{
    const char *value = credentials_variable(c, name);
    return value != NULL && strcasecmp(value, "true") == 0;
}

const char *credentials_region(const struct credentials_context *c)
{
    const char *region = credentials_variable(c, "AWS_REGION");
    region = region != NULL ? region : credentials_variable(c, "AWS_DEFAULT_REGION");
    if (region == NULL) {
        struct err e = ERR_INIT;
        struct credentials_profile p;
        const char *name;
        region = credentials_profile_read(c, &name, &p, &e) ? p.region : NULL;
    }
    return region;
}

/* --- environment --- */

static bool from_environment(const struct credentials_context *c, bool *is_set_up,
                             struct aws_keys *out, struct err *e)
{
    *out = (struct aws_keys){.access_key = credentials_variable(c, "AWS_ACCESS_KEY_ID"),
                             .secret_key = credentials_variable(c, "AWS_SECRET_ACCESS_KEY"),
                             .session_token = credentials_variable(c, "AWS_SESSION_TOKEN"),
                             .expires_ms = AWS_NEVER_EXPIRES};
    *is_set_up = out->access_key != NULL;
    if (!*is_set_up || credentials_check(out, e)) {
        return true;
    }
    e->kind = ERR_CONFIG;
    return err_wrap(e, "AWS_ACCESS_KEY_ID is set, but");
}

/* --- URLs --- */

/* Tokens and keys go in clear text only where nobody else can listen. */
static bool check_endpoint(const char *url, struct http_url *parts, struct err *e)
{
    static const char *const link_local[] = {"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]",
                                             "169.254.169.254", "[fd00:ec2::254]"};
    if (!http_url_parse(url, parts, e)) {
        return false;
    }
    bool ok = parts->is_https || http_url_is_loopback(parts);
    for (size_t i = 0; !ok && i < sizeof link_local / sizeof link_local[0]; i++) {
        ok = strcmp(parts->host, link_local[i]) == 0;
    }
    return ok ||
           err_set(e, ERR_CONFIG, "http to %.100s: only to loopback and AWS's link-local addresses",
                   parts->host);
}

/* base without a slash at its end, and the rest; NULL (and e) when it is too long. */
static const char *join(struct arena *a, const char *base, const char *rest, struct err *e)
{
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/') {
        n--;
    }
    char *url = n + strlen(rest) > HTTP_URL_MAX_CHARS ? NULL : arena_alloc(a, n + strlen(rest) + 1);
    if (url == NULL) {
        (void)err_set(e, ERR_CONFIG, "the URL is too long");
        return NULL;
    }
    memcpy(url, base, n);
    memcpy(url + n, rest, strlen(rest) + 1);
    return url;
}

/* "Name: value" in the arena. */
static const char *header(struct arena *a, const char *name, const char *value, struct err *e)
{
    size_t n = strlen(name) + strlen(value) + 3;
    char *line = n > MAX_HEADER_CHARS ? NULL : arena_alloc(a, n);
    if (line == NULL) {
        (void)err_set(e, ERR_RETRY, "a header is too long, or out of memory");
        return NULL;
    }
    (void)snprintf(line, n, "%s: %s", name, value);
    return line;
}

/* --- web identity --- */

struct web_identity {
    const char *role_arn;
    const char *token_file;
    const char *session_name;
};

static const char *sts_url(const struct credentials_context *c, struct err *e)
{
    const char *url = credentials_variable(c, "AWS_ENDPOINT_URL_STS");
    const char *region = credentials_region(c);
    enum { MAX_CHARS = 128 };
    url = url != NULL ? url : credentials_variable(c, "AWS_ENDPOINT_URL");
    if (url != NULL) {
        return join(c->arena, url, "/", e);
    }
    if (region == NULL) {
        (void)err_set(e, ERR_CONFIG, "no region for STS: set AWS_REGION");
        return NULL;
    }
    char *text = region_check(region, e) ? arena_alloc(c->arena, MAX_CHARS) : NULL;
    if (text != NULL) {
        (void)snprintf(text, MAX_CHARS, "https://sts%s.%s.%s/",
                       is_true(c, "AWS_USE_FIPS_ENDPOINT") ? "-fips" : "", region,
                       region_domain(region));
    }
    return text;
}

/* The name of the session in CloudTrail: who it was. At most 64 of [\w+=,.@-]. */
static void default_session_name(char *out, size_t n_out)
{
    char host[64] = "";
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(out, n_out, "sluice-%.50s", host);
    for (char *p = out; *p != '\0'; p++) {
        bool plain =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        *p = plain || strchr("_+=,.@-", *p) != NULL ? *p : '-';
    }
}

static bool put_form(struct buf *form, const struct web_identity *w, const char *token,
                     struct err *e)
{
    char name[65];
    default_session_name(name, sizeof name);
    buf_printf(form, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=");
    encode_percent(form, slice_str(w->role_arn), false);
    buf_printf(form, "&RoleSessionName=");
    encode_percent(form, slice_str(w->session_name != NULL ? w->session_name : name), false);
    buf_printf(form, "&WebIdentityToken=");
    encode_percent(form, slice_str(token), false);
    return buf_ok(form) || err_set(e, ERR_RETRY, "out of memory");
}

/* STS answers 400 when it could not ask the identity provider: that passes. */
static bool sts_exchange(const struct credentials_context *c, const struct http_target *t,
                         struct slice form, struct err *e)
{
    char code[64];
    for (int attempt = 0;; attempt++) {
        if (exchange_until_ok(c->exchange, t, form, e)) {
            return true;
        }
        if (c->exchange->status == 0) {
            return false;
        }
        credentials_sts_code(buf_slice(&c->exchange->answer), c->arena, code, sizeof code);
        if (code[0] != '\0') {
            (void)err_wrap(e, "%s", code);
        }
        if (strcmp(code, "IDPCommunicationError") != 0 || attempt + 1 == EXCHANGE_ATTEMPTS ||
            !exchange_pause(c->exchange, attempt)) {
            return false;
        }
    }
}

static bool assume_role(const struct credentials_context *c, const struct web_identity *w,
                        struct aws_keys *out, struct err *e)
{
    const char *token;
    const char *url = sts_url(c, e);
    struct http_url parts;
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded"};
    struct http_target target = {.method = "POST",
                                 .url = url,
                                 .headers = headers,
                                 .n_headers = 1,
                                 .timeout_ms = STS_TIMEOUT_MS};
    struct buf form;
    if (url == NULL || !check_endpoint(url, &parts, e) ||
        !credentials_token_file(w->token_file, c->arena, &token, e)) {
        return false;
    }
    target.direct = http_url_is_loopback(&parts);
    buf_init(&form, 4 * MAX_HEADER_CHARS);
    bool ok = put_form(&form, w, token, e) && sts_exchange(c, &target, buf_slice(&form), e) &&
              credentials_of_sts(buf_slice(&c->exchange->answer), c->arena, out, e);
    buf_fini(&form);
    return ok || err_wrap(e, "%.100s", parts.host);
}

static bool from_web_identity(const struct credentials_context *c, bool *is_set_up,
                              struct aws_keys *out, struct err *e)
{
    const struct web_identity w = {
        .role_arn = credentials_variable(c, "AWS_ROLE_ARN"),
        .token_file = credentials_variable(c, "AWS_WEB_IDENTITY_TOKEN_FILE"),
        .session_name = credentials_variable(c, "AWS_ROLE_SESSION_NAME")};
    *is_set_up = w.token_file != NULL;
    if (*is_set_up && w.role_arn == NULL) {
        return err_set(e, ERR_CONFIG,
                       "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
    }
    return !*is_set_up || assume_role(c, &w, out, e);
}

/* --- shared files --- */

static bool keys_of_profile(const struct credentials_context *c,
                            const struct credentials_profile *p, struct aws_keys *out,
                            struct err *e)
{
    if (p->access_key != NULL) {
        *out = (struct aws_keys){.access_key = p->access_key,
                                 .secret_key = p->secret_key,
                                 .session_token = p->session_token,
                                 .expires_ms = AWS_NEVER_EXPIRES};
        return credentials_check(out, e);
    }
    const struct web_identity w = {.role_arn = p->role_arn,
                                   .token_file = p->web_identity_token_file,
                                   .session_name = p->role_session_name};
    return assume_role(c, &w, out, e);
}

static bool from_shared_files(const struct credentials_context *c, bool *is_set_up,
                              struct aws_keys *out, struct err *e)
{
    struct credentials_profile p;
    const char *name;
    *is_set_up = false;
    if (!credentials_profile_read(c, &name, &p, e)) {
        *is_set_up = true;
        return false;
    }
    bool has_role = p.role_arn != NULL && p.web_identity_token_file != NULL;
    bool is_foreign = p.unsupported != NULL && p.access_key == NULL && !has_role;
    *is_set_up = p.access_key != NULL || has_role || is_foreign;
    if (is_foreign) {
        return err_set(e, ERR_CONFIG, "profile \"%.80s\": %s is not supported", name,
                       p.unsupported);
    }
    return !*is_set_up || keys_of_profile(c, &p, out, e) || err_wrap(e, "profile \"%.80s\"", name);
}

/* --- container: ECS, EKS Pod Identity --- */

static bool container_token(const struct credentials_context *c, const char **out, struct err *e)
{
    const char *path = credentials_variable(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    if (path != NULL) {
        return credentials_token_file(path, c->arena, out, e);
    }
    *out = credentials_variable(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (*out != NULL && strpbrk(*out, "\r\n") != NULL) {
        return err_set(e, ERR_CONFIG, "AWS_CONTAINER_AUTHORIZATION_TOKEN holds a line break");
    }
    return true;
}

static bool from_container(const struct credentials_context *c, bool *is_set_up,
                           struct aws_keys *out, struct err *e)
{
    const char *relative = credentials_variable(c, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *url = credentials_variable(c, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *token = NULL;
    const char *line = NULL;
    struct http_url parts;
    *is_set_up = relative != NULL || url != NULL;
    if (!*is_set_up) {
        return true;
    }
    url = relative != NULL ? join(c->arena, "http://169.254.170.2", relative, e) : url;
    if (url == NULL || !check_endpoint(url, &parts, e) || !container_token(c, &token, e) ||
        (token != NULL && (line = header(c->arena, "Authorization", token, e)) == NULL)) {
        return false;
    }
    const struct http_target target = {.method = "GET",
                                       .url = url,
                                       .headers = &line,
                                       .n_headers = line == NULL ? 0 : 1,
                                       .timeout_ms = LINK_LOCAL_TIMEOUT_MS,
                                       .direct = !parts.is_https};
    return (exchange_until_ok(c->exchange, &target, SLICE_NONE, e) &&
            credentials_of_json(buf_slice(&c->exchange->answer), c->arena, out, e)) ||
           err_wrap(e, "%.100s", parts.authority);
}

/* --- the instance's metadata --- */

static const char *imds_base(const struct credentials_context *c)
{
    const char *base = credentials_variable(c, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = credentials_variable(c, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    if (base != NULL) {
        return base;
    }
    return mode != NULL && strcasecmp(mode, "ipv6") == 0 ? "http://[fd00:ec2::254]"
                                                         : "http://169.254.169.254";
}

/* The first line of the answer, of visible ASCII; in the arena. */
static const char *answer_word(const struct credentials_context *c, const char *what, struct err *e)
{
    struct slice s = buf_slice(&c->exchange->answer);
    size_t n = 0;
    while (n < s.len && s.ptr[n] != '\n' && s.ptr[n] != '\r') {
        if (s.ptr[n] <= ' ' || s.ptr[n] >= 0x7f) {
            (void)err_set(e, ERR_BAD_INPUT, "%s: byte 0x%02x at %zu", what, s.ptr[n], n);
            return NULL;
        }
        n++;
    }
    char *text = n == 0 || n > CREDENTIALS_MAX_TOKEN_CHARS ? NULL : arena_alloc(c->arena, n + 1);
    if (text == NULL) {
        (void)err_set(e, ERR_BAD_INPUT, "%s: empty, or too long", what);
        return NULL;
    }
    memcpy(text, s.ptr, n);
    text[n] = '\0';
    return text;
}

static bool imds_token(const struct credentials_context *c, const char *base,
                       const char **header_line, struct err *e)
{
    static const char *const headers[] = {"X-aws-ec2-metadata-token-ttl-seconds: 21600"};
    const char *url = join(c->arena, base, "/latest/api/token", e);
    const struct http_target target = {.method = "PUT",
                                       .url = url,
                                       .headers = headers,
                                       .n_headers = 1,
                                       .timeout_ms = LINK_LOCAL_TIMEOUT_MS,
                                       .direct = true};
    if (url == NULL || !exchange_until_ok(c->exchange, &target, SLICE_NONE, e)) {
        return false;
    }
    const char *token = answer_word(c, "token", e);
    *header_line = token == NULL ? NULL : header(c->arena, "X-aws-ec2-metadata-token", token, e);
    return *header_line != NULL;
}

static bool imds_get(const struct credentials_context *c, const char *base, const char *path,
                     const char *const *header_line, struct err *e)
{
    const char *url = join(c->arena, base, path, e);
    const struct http_target target = {.method = "GET",
                                       .url = url,
                                       .headers = header_line,
                                       .n_headers = 1,
                                       .timeout_ms = LINK_LOCAL_TIMEOUT_MS,
                                       .direct = true};
    return url != NULL && exchange_until_ok(c->exchange, &target, SLICE_NONE, e);
}

static bool imds_keys(const struct credentials_context *c, const char *base, struct aws_keys *out,
                      struct err *e)
{
    static const char path[] = "/latest/meta-data/iam/security-credentials/";
    const char *token;
    const char *role;
    struct buf with_role;
    if (!imds_token(c, base, &token, e) || !imds_get(c, base, path, &token, e)) {
        return false;
    }
    role = answer_word(c, "role", e);
    if (role == NULL) {
        return false;
    }
    buf_init(&with_role, HTTP_URL_MAX_CHARS);
    buf_printf(&with_role, "%s", path);
    encode_percent(&with_role, slice_str(role), false);
    const char *full = buf_c_str(&with_role);
    bool ok = buf_ok(&with_role) ? imds_get(c, base, full, &token, e)
                                 : err_set(e, ERR_BAD_INPUT, "the role's name is too long");
    buf_fini(&with_role);
    return ok && credentials_of_json(buf_slice(&c->exchange->answer), c->arena, out, e);
}

static bool from_imds(const struct credentials_context *c, bool *is_set_up, struct aws_keys *out,
                      struct err *e)
{
    const char *base = imds_base(c);
    struct http_url parts;
    *is_set_up = !is_true(c, "AWS_EC2_METADATA_DISABLED");
    return !*is_set_up || (check_endpoint(base, &parts, e) &&
                           (imds_keys(c, base, out, e) || err_wrap(e, "%.100s", parts.authority)));
}

const struct credentials_source credentials_sources[] = {
    {"environment", from_environment},   {"web identity", from_web_identity},
    {"shared files", from_shared_files}, {"container", from_container},
    {"instance metadata", from_imds},    {NULL, NULL}};

bool credentials_fetch(const struct credentials_context *c, const char **source,
                       struct aws_keys *out, struct err *e)
{
    *source = NULL;
    for (const struct credentials_source *s = credentials_sources; s->name != NULL; s++) {
        bool is_set_up = false;
        bool ok = s->fetch(c, &is_set_up, out, e);
        if (is_set_up) {
            *source = s->name;
            return ok || err_wrap(e, "AWS credentials: %s", s->name);
        }
    }
    return err_set(
        e, ERR_CONFIG,
        "AWS credentials: none set up (environment, web identity, shared files, container, IMDS)");
}
