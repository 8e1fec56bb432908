#include "auth.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "aws/credentials.h"
#include "aws/credentials_file.h"
#include "aws/region.h"
#include "aws/sigv4.h"
#include "base/arena.h"
#include "base/buf.h"
#include "http/url.h"

enum {
    FIRST_KEYS_MS = 5000,
    ARENA_MAX_BYTES = 1 << 20,
    MAX_HEADERS = 16,
    MAX_TOKEN_BYTES = 16 * 1024,
    MAX_TEXT_BYTES = 64 * 1024,
    MAX_USER_PASSWORD_BYTES = 512,
    /* So much of a secret's beginning is looked for in what a store says. */
    NEEDLE_CHARS = 12,
    LEAST_NEEDLE_CHARS = 4,
    N_NEEDLES = 2
};

struct auth {
    struct auth_options o;
    char user_password[MAX_USER_PASSWORD_BYTES + 1];
    char org_id[200];   /* the header */
    struct arena arena; /* of the request at hand */
    const char *headers[MAX_HEADERS];
    char needles[N_NEEDLES][NEEDLE_CHARS + 1];
    struct buf masked;
    char trouble[240];

    struct credentials *credentials; /* sigv4 */
    char region[REGION_MAX_CHARS + 1];
    struct http_url url;
    char host[HTTP_HOST_MAX_CHARS + 32]; /* the header */

    struct buf bearer; /* the header, with a NUL */
    struct stat seen;  /* of the token's file when it was read */
    bool stale;
};

/* A shorter one than LEAST_NEEDLE_CHARS would mask half of any text. */
static void needle_set(struct auth *a, size_t i, const char *secret)
{
    size_t n = secret == NULL ? 0 : strlen(secret);
    n = n < LEAST_NEEDLE_CHARS ? 0 : n < NEEDLE_CHARS ? n : NEEDLE_CHARS;
    if (n > 0) {
        memcpy(a->needles[i], secret, n);
    }
    a->needles[i][n] = '\0';
}

/* --- bearer --- */

static bool bearer_set(struct auth *a, struct slice token, struct err *e)
{
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] <= ' ' || token.ptr[i] >= 0x7f) {
            return err_set(e, ERR_CONFIG, "byte 0x%02x at %zu is not of a token", token.ptr[i], i);
        }
    }
    if (token.len == 0) {
        return err_set(e, ERR_CONFIG, "empty");
    }
    buf_reset(&a->bearer);
    buf_printf(&a->bearer, "Authorization: Bearer ");
    size_t n_prefix = a->bearer.len;
    buf_put_slice(&a->bearer, token);
    if (buf_c_str(&a->bearer) == NULL || !buf_ok(&a->bearer)) {
        return err_set(e, ERR_CONFIG, "more than %d bytes", MAX_TOKEN_BYTES);
    }
    needle_set(a, 0, (const char *)a->bearer.ptr + n_prefix);
    return true;
}

static bool bearer_read(struct auth *a, struct err *e)
{
    const char *path = a->o.bearer_token_file;
    struct slice token;
    bool absent;
    arena_reset(&a->arena);
    if (!credentials_file(path, MAX_TOKEN_BYTES, &a->arena, &token, &absent, e)) {
        return err_wrap(e, "bearer_token_file");
    }
    if (absent) {
        return err_set(e, ERR_CONFIG, "bearer_token_file: %.160s: no such file", path);
    }
    while (token.len > 0 && strchr(" \t\r\n", token.ptr[token.len - 1]) != NULL) {
        token.len--;
    }
    return bearer_set(a, token, e) || err_wrap(e, "bearer_token_file: %.120s", path);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Reads the file if it isn't the one that was read. What is half written or gone for a moment is
 * read at the next request; until then the old token serves. */
static void bearer_refresh(struct auth *a)
{
    struct stat now = {.st_size = 0};
    struct err e = ERR_INIT;
    if (a->o.bearer_token_file[0] == '\0' ||
        (stat(a->o.bearer_token_file, &now) == 0 && same_file(&now, &a->seen) && !a->stale)) {
        return;
    }
    bool ok = bearer_read(a, &e);
    (void)snprintf(a->trouble, sizeof a->trouble, "%s", ok ? "" : e.text);
    a->stale = !ok;
    a->seen = now;
}

static bool bearer_open(struct auth *a, struct err *e)
{
    if (a->o.bearer_token[0] != '\0') {
        return bearer_set(a, slice_str(a->o.bearer_token), e) || err_wrap(e, "bearer_token");
    }
    return bearer_read(a, e);
}

/* --- sigv4 --- */

static bool sigv4_open(struct auth *a, struct err *e)
{
    const struct credentials_options o = {.user_agent = "sluice/" SLUICE_VERSION,
                                          .min_refresh_ms = a->o.refresh_ms};
    struct aws_keys keys;
    if (!auth_region(&a->o, a->region, sizeof a->region, e) ||
        !http_url_parse(a->o.url, &a->url, e) || !credentials_open(&o, &a->credentials, e)) {
        return false;
    }
    (void)snprintf(a->host, sizeof a->host, "Host: %s", a->url.authority);
    if (credentials_get(a->credentials, FIRST_KEYS_MS, &a->arena, &keys, e)) {
        return true;
    }
    (void)snprintf(a->trouble, sizeof a->trouble, "%s", e->text);
    return e->kind != ERR_CONFIG;
}

/* a->headers[0 … n): what goes out besides; the signature covers all of it. */
static bool sign(struct auth *a, const struct auth_request *r, size_t *n_headers, struct err *e)
{
    struct aws_keys keys;
    struct sigv4_signed added;
    char hash[SIGV4_HASH_CHARS + 1];
    const struct sigv4_scope scope = {
        .region = a->region, .service = "aps", .path = SIGV4_PATH_NORMAL};
    arena_reset(&a->arena);
    a->headers[(*n_headers)++] = a->host;
    const struct sigv4_request request = {.method = "POST",
                                          .path = slice_str(a->url.path),
                                          .query = slice_str(a->url.query),
                                          .headers = a->headers,
                                          .n_headers = *n_headers,
                                          .payload_hash = hash};
    if (!credentials_get(a->credentials, 0, &a->arena, &keys, e)) {
        e->kind = ERR_RETRY; /* the set-up was good once, or is being repaired */
        return false;
    }
    if (!sigv4_hash(r->body, hash, e) ||
        !sigv4_sign(&keys, &scope, &request, r->now_ms, &a->arena, &added, e)) {
        return err_wrap(e, "signing");
    }
    needle_set(a, 0, keys.session_token);
    for (size_t i = 0; i < added.n_headers; i++) {
        a->headers[(*n_headers)++] = added.headers[i];
    }
    return true;
}

/* --- outside --- */

static bool basic_open(struct auth *a, struct err *e)
{
    unsigned char encoded[MAX_USER_PASSWORD_BYTES / 3 * 4 + 8];
    int n =
        snprintf(a->user_password, sizeof a->user_password, "%s:%s", a->o.username, a->o.password);
    if (n >= (int)sizeof a->user_password) {
        return err_set(e, ERR_CONFIG, "username and password are too long");
    }
    (void)EVP_EncodeBlock(encoded, (const unsigned char *)a->user_password, n);
    needle_set(a, 0, a->o.password);
    needle_set(a, 1, (const char *)encoded);
    return true;
}

static bool open_kind(struct auth *a, struct err *e)
{
    switch (a->o.kind) {
    case AUTH_NONE:
        return true;
    case AUTH_BASIC:
        return basic_open(a, e);
    case AUTH_BEARER:
        return bearer_open(a, e);
    case AUTH_SIGV4:
        return sigv4_open(a, e);
    }
    return true;
}

bool auth_new(const struct auth_options *o, struct auth **out, struct err *e)
{
    struct auth *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    a->o = *o;
    arena_init(&a->arena, ARENA_MAX_BYTES);
    buf_init(&a->masked, MAX_TEXT_BYTES);
    buf_init(&a->bearer, MAX_TOKEN_BYTES + 64);
    (void)snprintf(a->org_id, sizeof a->org_id, "X-Scope-OrgID: %s", o->org_id);
    if (!open_kind(a, e)) {
        auth_free(a);
        return false;
    }
    *out = a;
    return true;
}

void auth_free(struct auth *a)
{
    if (a == NULL) {
        return;
    }
    credentials_close(a->credentials);
    arena_fini(&a->arena);
    buf_fini(&a->masked);
    buf_fini(&a->bearer);
    free(a);
}

bool auth_is_per_request(const struct auth *a)
{
    return a->o.kind == AUTH_SIGV4 || a->o.kind == AUTH_BEARER;
}

const char *auth_user_password(const struct auth *a)
{
    return a->user_password;
}

bool auth_headers(struct auth *a, const struct auth_request *r, const char *const **headers,
                  size_t *n_headers, struct err *e)
{
    enum { ADDED = 6 }; /* org id, host, and what is signed or the token */
    size_t n = 0;
    if (r->n_headers > MAX_HEADERS - ADDED) {
        return err_set(e, ERR_FATAL, "more than %d headers", MAX_HEADERS - ADDED);
    }
    while (n < r->n_headers) {
        a->headers[n] = r->headers[n];
        n++;
    }
    if (a->o.org_id[0] != '\0') {
        a->headers[n++] = a->org_id;
    }
    if (a->o.kind == AUTH_BEARER) {
        bearer_refresh(a);
        a->headers[n++] = (const char *)a->bearer.ptr;
    } else if (a->o.kind == AUTH_SIGV4 && !sign(a, r, &n, e)) {
        return false;
    }
    *headers = a->headers;
    *n_headers = n;
    return true;
}

/* AWS's services say these by 403, those of the older protocols by 400. */
static bool is_denial_type(const char *type)
{
    static const char *const types[] = {
        "AccessDenied",       "ExpiredToken",     "IncompleteSignature",
        "InvalidClientToken", "InvalidSignature", "MissingAuthenticationToken",
        "NotAuthorized",      "RequestExpired",   "SignatureDoesNotMatch",
        "UnrecognizedClient",
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strncmp(type, types[i], strlen(types[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool auth_is_denial(const struct auth *a, int status, const char *error_type)
{
    return status == 401 || status == 403 ||
           (status == 400 && a->o.kind == AUTH_SIGV4 && error_type != NULL &&
            is_denial_type(error_type));
}

void auth_renew(struct auth *a)
{
    a->stale = true;
    if (a->credentials != NULL) {
        credentials_refresh(a->credentials);
    }
}

const char *auth_trouble(struct auth *a)
{
    if (a->credentials != NULL) {
        struct credentials_status status;
        credentials_status(a->credentials, &status);
        memcpy(a->trouble, status.failure, sizeof a->trouble);
    }
    return a->trouble;
}

static bool ends_secret(uint8_t c)
{
    return c <= ' ' || strchr("\"'<>,;&", c) != NULL;
}

static void mask_needle(struct slice text, const char *needle, uint8_t *out)
{
    size_t n = strlen(needle);
    for (size_t i = 0; n > 0 && i + n <= text.len; i++) {
        if (memcmp(text.ptr + i, needle, n) != 0) {
            continue;
        }
        size_t end = i + n;
        while (end < text.len && !ends_secret(text.ptr[end])) {
            end++;
        }
        memset(out + i, '*', end - i);
        i = end - 1;
    }
}

struct slice auth_mask(struct auth *a, struct slice text)
{
    if (a->needles[0][0] == '\0' && a->needles[1][0] == '\0') {
        return text;
    }
    buf_reset(&a->masked);
    buf_put_slice(&a->masked, text);
    if (!buf_ok(&a->masked)) {
        return SLICE_NONE;
    }
    for (size_t i = 0; i < N_NEEDLES; i++) {
        mask_needle(text, a->needles[i], a->masked.ptr);
    }
    return buf_slice(&a->masked);
}
