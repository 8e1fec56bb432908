#include "aws/s3.h"

#include "aws/encode.h"
#include "aws/region.h"
#include "aws/s3_place.h"
#include "aws/sigv4.h"
#include "aws/xml.h"
#include "base/buf.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    MAX_KEY_BYTES = 1024,
    MAX_URL_BYTES = 16 * 1024,
    MAX_HEADERS = 48,
    CALL_ARENA_BYTES = 1 << 20,
    ERROR_MAX_BYTES = 64 * 1024, /* of an answer's body that is looked at for an error */
    CONNECT_TIMEOUT_MS = 5000,
    CREDENTIALS_WAIT_MS = 5000 /* for the process's first keys only */
};

struct s3 {
    struct s3_options options; /* its strings are not kept */
    struct http_client *client;
    struct s3_call *calls; /* all that are under way or wait */
    char region[REGION_MAX_CHARS + 1];
    struct s3_place place;
};

struct s3_call {
    struct s3 *s3;
    struct s3_call *next;
    struct s3_request request;
    s3_done_fn done;
    void *ctx;
    struct http_request *http; /* NULL = waits until due_ms */
    struct arena arena;        /* of this attempt */
    int64_t due_ms;            /* monotonic */
    int n_attempts;
    bool maybe_stored;
    bool ended; /* its callback was called: to be freed */
    char code[64];
};

bool s3_open(const struct s3_options *o, struct s3 **out, struct err *e)
{
    const struct http_client_options http = {.user_agent = o->user_agent,
                                             .ca_file = o->ca_file,
                                             .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                             .max_connections = o->max_connections,
                                             .max_response_bytes = o->max_answer_bytes};
    struct s3 *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    s->options = *o;
    (void)snprintf(s->region, sizeof s->region, "%s", o->region);
    if (!s3_place(o, &s->place, e) || !http_client_new(&http, &s->client, e)) {
        free(s);
        return false;
    }
    *out = s;
    return true;
}

static void call_free(struct s3_call *c)
{
    http_request_free(c->http);
    arena_fini(&c->arena);
    free(c);
}

void s3_close(struct s3 *s)
{
    if (s == NULL) {
        return;
    }
    while (s->calls != NULL) {
        struct s3_call *c = s->calls;
        s->calls = c->next;
        call_free(c);
    }
    http_client_free(s->client);
    free(s);
}

/* --- one attempt --- */

static const char *text_of(struct s3_call *c, struct buf *b, struct err *e)
{
    char *text = buf_ok(b) ? arena_alloc(&c->arena, b->len + 1) : NULL;
    if (text == NULL) {
        (void)err_set(e, ERR_BAD_INPUT, "S3: the request is too long, or out of memory");
        return NULL;
    }
    memcpy(text, b->ptr, b->len);
    text[b->len] = '\0';
    return text;
}

/* "/bucket/key", each byte of the key encoded once. */
static const char *path_of(struct s3_call *c, struct err *e)
{
    struct buf b;
    buf_init(&b, MAX_URL_BYTES);
    buf_printf(&b, "%s/", c->s3->place.prefix);
    encode_percent(&b, c->request.key, true);
    const char *path = text_of(c, &b, e);
    buf_fini(&b);
    return path;
}

static const char *url_of(struct s3_call *c, const char *path, struct err *e)
{
    struct buf b;
    const char *query = c->request.query == NULL ? "" : c->request.query;
    buf_init(&b, 2 * MAX_URL_BYTES);
    buf_printf(&b, "%s%s%s%s", c->s3->place.base, path, query[0] == '\0' ? "" : "?", query);
    const char *url = text_of(c, &b, e);
    buf_fini(&b);
    return url;
}

/* Over TLS the body's own checksum is enough; in clear text it is signed. */
static bool hash_of(const struct s3_call *c, char hash[SIGV4_HASH_CHARS + 1], struct err *e)
{
    if (c->s3->place.is_https && c->request.body.len > 0) {
        (void)snprintf(hash, SIGV4_HASH_CHARS + 1, "%s", SIGV4_UNSIGNED_PAYLOAD);
        return true;
    }
    return sigv4_hash(c->request.body, hash, e);
}

static bool sign(struct s3_call *c, const char *path, const char **headers, size_t *n_headers,
                 struct err *e)
{
    struct aws_keys keys;
    struct sigv4_signed added;
    char hash[SIGV4_HASH_CHARS + 1];
    const char *query = c->request.query == NULL ? "" : c->request.query;
    const struct sigv4_scope scope = {
        .region = c->s3->region, .service = "s3", .path = SIGV4_PATH_S3};
    const struct sigv4_request request = {.method = c->request.method,
                                          .path = slice_str(path),
                                          .query = slice_str(query),
                                          .headers = headers,
                                          .n_headers = *n_headers,
                                          .payload_hash = hash};
    if (!hash_of(c, hash, e) ||
        !credentials_get(c->s3->options.credentials, CREDENTIALS_WAIT_MS, &c->arena, &keys, e) ||
        !sigv4_sign(&keys, &scope, &request, clock_now_ms(), &c->arena, &added, e)) {
        return false;
    }
    for (size_t i = 0; i < added.n_headers; i++) {
        headers[(*n_headers)++] = added.headers[i];
    }
    return true;
}

static void on_answer(void *ctx, const struct http_response *r);

static bool attempt(struct s3_call *c, struct err *e)
{
    const char *headers[MAX_HEADERS + 8];
    size_t n_headers = 0;
    struct buf host;
    arena_reset(&c->arena);
    buf_init(&host, MAX_URL_BYTES);
    buf_printf(&host, "Host: %s", c->s3->place.authority);
    headers[n_headers++] = text_of(c, &host, e);
    buf_fini(&host);
    const char *path = path_of(c, e);
    const char *url = path == NULL ? NULL : url_of(c, path, e);
    if (headers[0] == NULL || url == NULL) {
        return false;
    }
    for (size_t i = 0; i < c->request.n_headers; i++) {
        headers[n_headers++] = c->request.headers[i];
    }
    if (!sign(c, path, headers, &n_headers, e)) {
        return false;
    }
    headers[n_headers++] = "Content-Type: application/octet-stream";
    const struct http_target target = {.method = c->request.method,
                                       .url = url,
                                       .headers = headers,
                                       .n_headers = n_headers,
                                       .timeout_ms = c->s3->options.timeout_ms};
    c->n_attempts++;
    return http_request_new(c->s3->client, &target, &c->http, e) &&
           http_request_start(c->http, c->request.body, on_answer, c, e);
}

/* --- its end --- */

static void end(struct s3_call *c, const struct http_response *r, const struct err *e)
{
    const struct s3_answer answer = {.response = r,
                                     .status = r == NULL ? 0 : r->status,
                                     .code = c->code,
                                     .n_attempts = c->n_attempts,
                                     .maybe_stored = c->maybe_stored,
                                     .e = e};
    c->ended = true;
    c->done(c->ctx, &answer);
}

static void wait_for_retry(struct s3_call *c)
{
    const struct s3_options *o = &c->s3->options;
    uint32_t random = 0;
    int64_t most_ms = o->min_backoff_ms;
    (void)!getrandom(&random, sizeof random, 0);
    for (int i = 1; i < c->n_attempts && most_ms < o->max_backoff_ms; i++) {
        most_ms *= 2;
    }
    most_ms = most_ms < o->max_backoff_ms ? most_ms : o->max_backoff_ms;
    c->due_ms = clock_mono_ms() + most_ms / 2 + (int64_t)((uint64_t)most_ms / 2 * random >> 32);
}

static bool on_error_element(void *ctx, const char *path, struct slice text, struct err *e)
{
    struct s3_call *c = ctx;
    (void)e;
    if (strcmp(path, "Error/Code") == 0 && text.len < sizeof c->code) {
        for (size_t i = 0; i < text.len; i++) {
            bool plain = (text.ptr[i] | 0x20) >= 'a' && (text.ptr[i] | 0x20) <= 'z';
            c->code[i] =
                plain || (text.ptr[i] >= '0' && text.ptr[i] <= '9') ? (char)text.ptr[i] : '?';
        }
        c->code[text.len] = '\0';
    }
    return true;
}

/* Also of a 200: CompleteMultipartUpload begins its answer before it knows the outcome. */
static void read_code(struct s3_call *c, const struct http_response *r)
{
    struct arena a;
    struct err e = ERR_INIT;
    const struct xml_sink sink = {.ctx = c, .element = on_error_element};
    c->code[0] = '\0';
    bool is_multipart_end = strcmp(c->request.method, "POST") == 0;
    if (r->body.len == 0 || r->body.len > ERROR_MAX_BYTES ||
        (r->status < 300 && !is_multipart_end)) {
        return;
    }
    arena_init(&a, 4 * ERROR_MAX_BYTES);
    (void)!xml_walk(r->body, &a, &sink, &e); /* a proxy's page has no code */
    arena_fini(&a);
}

static bool code_is(const struct s3_call *c, const char *code)
{
    return strcmp(c->code, code) == 0;
}

static bool is_final(const struct s3_call *c, int status)
{
    return (status >= 200 && status < 300 && c->code[0] == '\0') || status == 304 ||
           status == 412 || (status == 404 && !code_is(c, "NoSuchBucket"));
}

static bool keys_are_stale(const struct s3_call *c)
{
    return code_is(c, "ExpiredToken") || code_is(c, "TokenRefreshRequired") ||
           code_is(c, "InvalidToken");
}

static bool is_passing(const struct s3_call *c, int status)
{
    return status == 0 || status == 429 || (status >= 500 && status != 501) || keys_are_stale(c) ||
           code_is(c, "RequestTimeout") || code_is(c, "InternalError") || code_is(c, "SlowDown") ||
           code_is(c, "OperationAborted") || code_is(c, "ConditionalRequestConflict");
}

static void fail(struct s3_call *c, const struct http_response *r)
{
    struct err e = ERR_INIT;
    bool passing = is_passing(c, r->status);
    const char *region = r->status == 301 ? http_response_header(r, "x-amz-bucket-region") : NULL;
    if (r->status == 0) {
        (void)err_set(&e, ERR_RETRY, "no answer: %.150s", r->error);
    } else if (region != NULL) {
        (void)err_set(&e, ERR_CONFIG, "the bucket is in another region, %.32s", region);
    } else {
        (void)err_set_code(&e, passing ? ERR_RETRY : ERR_CONFIG, r->status, "status %d %s",
                           r->status, c->code);
    }
    (void)err_wrap(&e, "S3: %s %.*s", c->request.method,
                   c->request.key.len < 100 ? (int)c->request.key.len : 100,
                   (const char *)c->request.key.ptr);
    end(c, r, &e);
}

static void on_answer(void *ctx, const struct http_response *r)
{
    struct s3_call *c = ctx;
    read_code(c, r);
    if (is_final(c, r->status) && r->body_is_cut) {
        struct err e = ERR_INIT;
        (void)err_set(&e, ERR_BAD_INPUT, "S3: an answer of more than %zu bytes",
                      c->s3->options.max_answer_bytes);
        end(c, r, &e);
    } else if (is_final(c, r->status)) {
        c->maybe_stored = c->maybe_stored || r->n_sent_again > 0;
        end(c, r, NULL);
    } else if (is_passing(c, r->status) && c->n_attempts < c->s3->options.max_attempts) {
        c->maybe_stored = c->maybe_stored || r->maybe_sent;
        if (keys_are_stale(c)) {
            credentials_refresh(c->s3->options.credentials);
        }
        wait_for_retry(c);
    } else {
        fail(c, r);
    }
}

/* --- many --- */

bool s3_start(struct s3 *s, const struct s3_request *r, s3_done_fn done, void *ctx, struct err *e)
{
    if (r->key.len > MAX_KEY_BYTES || r->n_headers > MAX_HEADERS) {
        return err_set(e, ERR_BAD_INPUT, "S3: the key is over %d bytes, or more than %d headers",
                       MAX_KEY_BYTES, MAX_HEADERS);
    }
    struct s3_call *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return err_set(e, ERR_RETRY, "out of memory");
    }
    *c = (struct s3_call){.s3 = s, .request = *r, .done = done, .ctx = ctx, .next = s->calls};
    arena_init(&c->arena, CALL_ARENA_BYTES);
    s->calls = c;
    return true;
}

/* Keys that aren't there yet count as an attempt; what can't be signed ends the call. */
static void begin(struct s3_call *c)
{
    struct err e = ERR_INIT;
    http_request_free(c->http);
    c->http = NULL;
    if (attempt(c, &e)) {
        return;
    }
    http_request_free(c->http);
    c->http = NULL;
    c->n_attempts++;
    if (e.kind == ERR_RETRY && c->n_attempts < c->s3->options.max_attempts) {
        wait_for_retry(c);
    } else {
        end(c, NULL, &e);
    }
}

static bool is_waiting(const struct s3_call *c)
{
    return !c->ended && (c->http == NULL || !http_request_busy(c->http));
}

/* Starts what is due; the time until the next is, at most most_ms. */
static int start_due(struct s3 *s, int most_ms)
{
    int64_t now_ms = clock_mono_ms();
    for (struct s3_call *c = s->calls; c != NULL; c = c->next) {
        if (is_waiting(c) && c->due_ms <= now_ms) {
            begin(c);
        }
        if (c->ended) {
            most_ms = 0;
        } else if (is_waiting(c) && c->due_ms - now_ms < most_ms) {
            most_ms = c->due_ms > now_ms ? (int)(c->due_ms - now_ms) : 0;
        }
    }
    return most_ms;
}

static void free_ended(struct s3 *s)
{
    for (struct s3_call **at = &s->calls; *at != NULL;) {
        struct s3_call *c = *at;
        if (c->ended) {
            *at = c->next;
            call_free(c);
        } else {
            at = &c->next;
        }
    }
}

bool s3_drive(struct s3 *s, int wake_fd, int timeout_ms, struct err *e)
{
    bool ok = http_client_drive(s->client, wake_fd, start_due(s, timeout_ms), e);
    free_ended(s);
    return ok;
}
