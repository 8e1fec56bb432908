#include "aws/sigv4.h"

#include "aws/encode.h"
#include "base/buf.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HASH_BYTES = 32,
    MAX_HEADERS = 64,
    MAX_PARAMETERS = 1024,
    MAX_CANONICAL_BYTES = 1 << 20,
    MAX_SCOPE_CHARS = 200,
    MAX_LIFETIME_S = 604800
};

static const char algorithm[] = "AWS4-HMAC-SHA256";

/* What both forms compute on the way. */
struct signing {
    const struct aws_keys *keys;
    const struct sigv4_scope *scope;
    const struct sigv4_request *request;
    struct arena *arena;
    struct header *headers;
    size_t n_headers;
    struct slice signed_names;            /* "host;x-amz-date" */
    char time[ENCODE_TIME_CHARS + 1];     /* 20150830T123600Z */
    char scope_text[MAX_SCOPE_CHARS + 1]; /* 20150830/us-east-1/service/aws4_request */
    char signature[SIGV4_HASH_CHARS + 1];
};

struct header {
    struct slice name; /* lower case */
    struct slice value;
    size_t at; /* its place in the request */
};

struct parameter {
    struct slice name;
    struct slice value;
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_RETRY, "signing: out of memory");
}

/* Moves what was written into the arena, NUL-ended. */
static bool keep(struct signing *s, struct buf *b, struct slice *out, struct err *e)
{
    char *text = buf_ok(b) ? arena_alloc(s->arena, b->len + 1) : NULL;
    if (text == NULL) {
        return no_memory(e);
    }
    if (b->len > 0) {
        memcpy(text, b->ptr, b->len);
    }
    text[b->len] = '\0';
    *out = slice_of(text, b->len);
    return true;
}

static bool digest(struct slice bytes, uint8_t out[HASH_BYTES])
{
    return EVP_Digest(bytes.ptr, bytes.len, out, NULL, EVP_sha256(), NULL) == 1;
}

static bool hmac(struct slice key, struct slice bytes, uint8_t out[HASH_BYTES])
{
    unsigned n;
    return HMAC(EVP_sha256(), key.ptr, (int)key.len, bytes.ptr, bytes.len, out, &n) != NULL;
}

bool sigv4_hash(struct slice payload, char hex[SIGV4_HASH_CHARS + 1], struct err *e)
{
    uint8_t hash[HASH_BYTES];
    if (!digest(payload, hash)) {
        return err_set(e, ERR_FATAL, "SHA-256 failed");
    }
    encode_hex(hex, hash, sizeof hash);
    hex[SIGV4_HASH_CHARS] = '\0';
    return true;
}

/* --- headers --- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool is_name_char(uint8_t c)
{
    return c > ' ' && c < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
}

/* Runs of blanks become one; none at the ends. */
static struct slice header_value(uint8_t *to, struct slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_space(text.ptr[i])) {
            to[n++] = text.ptr[i];
        } else if (n > 0 && to[n - 1] != ' ') {
            to[n++] = ' ';
        }
    }
    return slice_of(to, n > 0 && to[n - 1] == ' ' ? n - 1 : n);
}

static bool header_of(struct signing *s, const char *line, struct header *out, struct err *e)
{
    const char *colon = strchr(line, ':');
    size_t n_name = colon == NULL ? 0 : (size_t)(colon - line);
    size_t n_line = strlen(line);
    uint8_t *text = arena_alloc(s->arena, n_line + 1);
    if (text == NULL) {
        return no_memory(e);
    }
    if (n_name == 0) {
        return err_set(e, ERR_BAD_INPUT, "signing: a header without a name");
    }
    for (size_t i = 0; i < n_name; i++) {
        uint8_t c = (uint8_t)line[i];
        if (!is_name_char(c)) {
            return err_set(e, ERR_BAD_INPUT, "signing: byte %zu of a header's name is 0x%02x", i,
                           c);
        }
        text[i] = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
    }
    if (strpbrk(line, "\r\n") != NULL) {
        return err_set(e, ERR_BAD_INPUT, "signing: a line break in header \"%.*s\"", (int)n_name,
                       line);
    }
    out->name = slice_of(text, n_name);
    out->value = header_value(text + n_name, slice_of(colon + 1, n_line - n_name - 1));
    return true;
}

static int compare_headers(const void *a, const void *b)
{
    const struct header *x = a;
    const struct header *y = b;
    int order = slice_cmp(x->name, y->name);
    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

static bool add_header(struct signing *s, const char *line, struct err *e)
{
    if (s->n_headers == MAX_HEADERS) {
        return err_set(e, ERR_BAD_INPUT, "signing: more than %d headers", MAX_HEADERS);
    }
    struct header *h = &s->headers[s->n_headers];
    h->at = s->n_headers++;
    return header_of(s, line, h, e);
}

/* After this the headers are sorted, and signed_names names each once. */
static bool order_headers(struct signing *s, struct err *e)
{
    struct buf names;
    bool has_host = false;
    buf_init(&names, MAX_CANONICAL_BYTES);
    qsort(s->headers, s->n_headers, sizeof s->headers[0], compare_headers);
    for (size_t i = 0; i < s->n_headers; i++) {
        if (i == 0 || !slice_eq(s->headers[i].name, s->headers[i - 1].name)) {
            buf_put(&names, ";", i == 0 ? 0 : 1);
            buf_put_slice(&names, s->headers[i].name);
            has_host = has_host || slice_eq_str(s->headers[i].name, "host");
        }
    }
    bool ok = has_host ? keep(s, &names, &s->signed_names, e)
                       : err_set(e, ERR_BAD_INPUT, "signing: no Host header");
    buf_fini(&names);
    return ok;
}

/* "name:value,value\n", in order. */
static void put_headers(struct buf *b, const struct signing *s)
{
    for (size_t i = 0; i < s->n_headers; i++) {
        const struct header *h = &s->headers[i];
        bool again = i > 0 && slice_eq(h->name, s->headers[i - 1].name);
        if (!again) {
            buf_put(b, "\n", i == 0 ? 0 : 1);
            buf_put_slice(b, h->name);
        }
        buf_u8(b, again ? ',' : ':');
        buf_put_slice(b, h->value);
    }
    buf_u8(b, '\n');
}

/* --- path and query --- */

/* The next segment from *at on, without slashes; false at the end. */
static bool next_segment(struct slice path, size_t *at, struct slice *out)
{
    while (*at < path.len && path.ptr[*at] == '/') {
        ++*at;
    }
    size_t from = *at;
    while (*at < path.len && path.ptr[*at] != '/') {
        ++*at;
    }
    *out = slice_of(path.ptr + from, *at - from);
    return out->len > 0;
}

/* RFC 3986, 5.2.4, and no empty segments. A slash at the end stays. */
static void put_normal_path(struct buf *b, struct slice path)
{
    struct slice segment = SLICE_NONE;
    size_t at = 0;
    size_t base = b->len;
    bool is_open = true; /* what stands is a folder: a slash at the end belongs to it */
    while (next_segment(path, &at, &segment)) {
        is_open = slice_eq_str(segment, ".") || slice_eq_str(segment, "..");
        if (slice_eq_str(segment, "..")) {
            while (b->len > base && b->ptr[--b->len] != '/') {
            }
        } else if (!is_open) {
            buf_u8(b, '/');
            encode_percent(b, segment, false);
        }
    }
    if (b->len == base || is_open || path.ptr[path.len - 1] == '/') {
        buf_u8(b, '/');
    }
}

static bool put_path(struct buf *b, const struct signing *s, struct err *e)
{
    struct slice path = s->request->path;
    if (path.len == 0) {
        buf_u8(b, '/');
        return true;
    }
    if (path.ptr[0] != '/') {
        return err_set(e, ERR_BAD_INPUT, "signing: the path doesn't begin with \"/\"");
    }
    switch (s->scope->path) {
    case SIGV4_PATH_NORMAL:
        put_normal_path(b, path);
        return true;
    case SIGV4_PATH_ENCODED:
        encode_percent(b, path, true);
        return true;
    case SIGV4_PATH_S3:
        buf_put_slice(b, path);
        return true;
    }
    return true;
}

static int compare_parameters(const void *a, const void *b)
{
    const struct parameter *x = a;
    const struct parameter *y = b;
    int order = slice_cmp(x->name, y->name);
    return order != 0 ? order : slice_cmp(x->value, y->value);
}

static bool encoded(struct signing *s, struct slice raw, struct slice *out, struct err *e)
{
    struct buf b;
    buf_init(&b, MAX_CANONICAL_BYTES);
    encode_percent_again(&b, raw);
    bool ok = keep(s, &b, out, e);
    buf_fini(&b);
    return ok;
}

static bool parameter_of(struct signing *s, struct slice piece, struct parameter *p, struct err *e)
{
    const uint8_t *equals = memchr(piece.ptr, '=', piece.len);
    size_t n_name = equals == NULL ? piece.len : (size_t)(equals - piece.ptr);
    size_t n_skip = equals == NULL ? n_name : n_name + 1;
    return encoded(s, slice_of(piece.ptr, n_name), &p->name, e) &&
           encoded(s, slice_of(piece.ptr + n_skip, piece.len - n_skip), &p->value, e);
}

static size_t count_pieces(struct slice query)
{
    size_t n = 1;
    for (size_t i = 0; i < query.len; i++) {
        n += query.ptr[i] == '&';
    }
    return n;
}

static bool put_query(struct buf *b, struct signing *s, struct slice query, struct err *e)
{
    size_t n_max = count_pieces(query);
    size_t n = 0;
    if (n_max > MAX_PARAMETERS) {
        return err_set(e, ERR_BAD_INPUT, "signing: more than %d query parameters", MAX_PARAMETERS);
    }
    struct parameter *all = ARENA_ARRAY(s->arena, struct parameter, n_max);
    if (all == NULL) {
        return no_memory(e);
    }
    for (size_t from = 0; from < query.len;) {
        const uint8_t *end = memchr(query.ptr + from, '&', query.len - from);
        size_t len = end == NULL ? query.len - from : (size_t)(end - query.ptr) - from;
        if (len > 0 && !parameter_of(s, slice_of(query.ptr + from, len), &all[n++], e)) {
            return false;
        }
        from += len + 1;
    }
    qsort(all, n, sizeof all[0], compare_parameters);
    for (size_t i = 0; i < n; i++) {
        buf_put(b, "&", i == 0 ? 0 : 1);
        buf_put_slice(b, all[i].name);
        buf_u8(b, '=');
        buf_put_slice(b, all[i].value);
    }
    return true;
}

/* --- the signature --- */

static bool put_canonical(struct buf *b, struct signing *s, struct slice query, struct err *e)
{
    const char *hash = s->request->payload_hash;
    buf_printf(b, "%s\n", s->request->method);
    if (!put_path(b, s, e)) {
        return false;
    }
    buf_u8(b, '\n');
    if (!put_query(b, s, query, e)) {
        return false;
    }
    buf_u8(b, '\n');
    put_headers(b, s);
    buf_u8(b, '\n');
    buf_put_slice(b, s->signed_names);
    buf_printf(b, "\n%s", hash == NULL ? SIGV4_EMPTY_PAYLOAD : hash);
    return buf_ok(b) || err_set(e, ERR_BAD_INPUT, "signing: the request's head is over 1 MiB");
}

static bool signing_key(const struct signing *s, uint8_t key[HASH_BYTES])
{
    enum { MAX_SECRET_CHARS = 1024, DAY_CHARS = 8 };
    char seed[MAX_SECRET_CHARS + 8];
    int n = snprintf(seed, sizeof seed, "AWS4%s", s->keys->secret_key);
    bool ok = n > 0 && (size_t)n < sizeof seed &&
              hmac(slice_of(seed, (size_t)n), slice_of(s->time, DAY_CHARS), key) &&
              hmac(slice_of(key, HASH_BYTES), slice_str(s->scope->region), key) &&
              hmac(slice_of(key, HASH_BYTES), slice_str(s->scope->service), key) &&
              hmac(slice_of(key, HASH_BYTES), SLICE_LITERAL("aws4_request"), key);
    OPENSSL_cleanse(seed, sizeof seed);
    return ok;
}

/* Fills s->signature. */
static bool compute(struct signing *s, struct slice query, struct err *e)
{
    struct buf b;
    char hash[SIGV4_HASH_CHARS + 1];
    uint8_t key[HASH_BYTES];
    buf_init(&b, MAX_CANONICAL_BYTES);
    bool ok = put_canonical(&b, s, query, e) && sigv4_hash(buf_slice(&b), hash, e);
    if (!ok) {
        goto out;
    }
    buf_reset(&b);
    buf_printf(&b, "%s\n%s\n%s\n%s", algorithm, s->time, s->scope_text, hash);
    if (!buf_ok(&b)) {
        ok = no_memory(e);
    } else if (!signing_key(s, key) || !hmac(slice_of(key, sizeof key), buf_slice(&b), key)) {
        ok = err_set(e, ERR_BAD_INPUT, "signing: the secret key can't be used");
    } else {
        encode_hex(s->signature, key, sizeof key);
    }
out:
    OPENSSL_cleanse(key, sizeof key);
    buf_fini(&b);
    return ok;
}

static bool has_token(const struct aws_keys *keys)
{
    return keys->session_token != NULL && keys->session_token[0] != '\0';
}

static bool begin(struct signing *s, int64_t now_ms, struct err *e)
{
    const char *access = s->keys->access_key;
    if (access == NULL || access[0] == '\0' || s->keys->secret_key == NULL ||
        s->keys->secret_key[0] == '\0') {
        return err_set(e, ERR_BAD_INPUT, "signing: the access key or the secret key is empty");
    }
    if (!encode_basic_time(now_ms, s->time)) {
        return err_set(e, ERR_BAD_INPUT, "signing: %lld ms is no time", (long long)now_ms);
    }
    int n = snprintf(s->scope_text, sizeof s->scope_text, "%.8s/%s/%s/aws4_request", s->time,
                     s->scope->region, s->scope->service);
    if (n < 0 || (size_t)n >= sizeof s->scope_text) {
        return err_set(e, ERR_BAD_INPUT, "signing: region and service are too long");
    }
    s->headers = ARENA_ARRAY(s->arena, struct header, MAX_HEADERS);
    if (s->headers == NULL) {
        return no_memory(e);
    }
    for (size_t i = 0; i < s->request->n_headers; i++) {
        if (!add_header(s, s->request->headers[i], e)) {
            return false;
        }
    }
    return true;
}

/* "Name: value" into the arena and among the headers to send; all but Authorization are signed. */
static bool put_out(struct signing *s, struct sigv4_signed *out, const char *name,
                    const char *value, struct err *e)
{
    struct buf b;
    struct slice line = SLICE_NONE;
    buf_init(&b, MAX_CANONICAL_BYTES);
    buf_printf(&b, "%s: %s", name, value);
    bool ok = keep(s, &b, &line, e);
    buf_fini(&b);
    if (ok) {
        out->headers[out->n_headers++] = (const char *)line.ptr;
    }
    return ok;
}

static bool sign_out(struct signing *s, struct sigv4_signed *out, const char *name,
                     const char *value, struct err *e)
{
    return put_out(s, out, name, value, e) && add_header(s, out->headers[out->n_headers - 1], e);
}

bool sigv4_sign(const struct aws_keys *keys, const struct sigv4_scope *scope,
                const struct sigv4_request *request, int64_t now_ms, struct arena *a,
                struct sigv4_signed *out, struct err *e)
{
    struct signing s = {.keys = keys, .scope = scope, .request = request, .arena = a};
    const char *hash = request->payload_hash == NULL ? SIGV4_EMPTY_PAYLOAD : request->payload_hash;
    out->n_headers = 0;
    if (!begin(&s, now_ms, e) || !sign_out(&s, out, "X-Amz-Date", s.time, e) ||
        (has_token(keys) && !sign_out(&s, out, "X-Amz-Security-Token", keys->session_token, e)) ||
        (scope->path == SIGV4_PATH_S3 && !sign_out(&s, out, "X-Amz-Content-Sha256", hash, e)) ||
        !order_headers(&s, e) || !compute(&s, request->query, e)) {
        return false;
    }
    struct buf b;
    buf_init(&b, MAX_CANONICAL_BYTES);
    buf_printf(&b, "%s Credential=%s/%s, SignedHeaders=%.*s, Signature=%s", algorithm,
               keys->access_key, s.scope_text, SLICE_ARG(s.signed_names), s.signature);
    const char *value = buf_c_str(&b);
    bool ok = buf_ok(&b) ? put_out(&s, out, "Authorization", value, e) : no_memory(e);
    buf_fini(&b);
    return ok;
}

/* The parameters in botocore's order: then equal requests give equal URLs. */
static void put_parameters(struct buf *b, const struct signing *s, int64_t lifetime_s)
{
    if (s->request->query.len > 0) {
        buf_put_slice(b, s->request->query);
        buf_u8(b, '&');
    }
    buf_printf(b, "X-Amz-Algorithm=%s&X-Amz-Credential=", algorithm);
    encode_percent(b, slice_str(s->keys->access_key), false);
    buf_put(b, "%2F", 3);
    encode_percent(b, slice_str(s->scope_text), false);
    buf_printf(b, "&X-Amz-Date=%s&X-Amz-Expires=%lld&X-Amz-SignedHeaders=", s->time,
               (long long)lifetime_s);
    encode_percent(b, s->signed_names, false);
    if (has_token(s->keys)) {
        buf_printf(b, "&X-Amz-Security-Token=");
        encode_percent(b, slice_str(s->keys->session_token), false);
    }
}

bool sigv4_presign(const struct aws_keys *keys, const struct sigv4_scope *scope,
                   const struct sigv4_request *request, const struct sigv4_presigning *p,
                   struct arena *a, struct slice *query, struct err *e)
{
    struct signing s = {.keys = keys, .scope = scope, .request = request, .arena = a};
    struct buf b;
    if (p->lifetime_s < 1 || p->lifetime_s > MAX_LIFETIME_S) {
        return err_set(e, ERR_BAD_INPUT, "signing: a lifetime of %lld s is not in 1…%d",
                       (long long)p->lifetime_s, MAX_LIFETIME_S);
    }
    if (!begin(&s, p->now_ms, e) || !order_headers(&s, e)) {
        return false;
    }
    buf_init(&b, MAX_CANONICAL_BYTES);
    put_parameters(&b, &s, p->lifetime_s);
    bool ok = buf_ok(&b) ? compute(&s, buf_slice(&b), e) : no_memory(e);
    if (ok) {
        buf_printf(&b, "&X-Amz-Signature=%s", s.signature);
        ok = keep(&s, &b, query, e);
    }
    buf_fini(&b);
    return ok;
}
