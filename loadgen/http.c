#include "http.h"

#include <curl/curl.h>
#include <stdlib.h>

enum { CONNECT_TIMEOUT_MS = 5000, STALL_S = 120, OK = 200, MAX_COMPLAINT_BYTES = 160 };

struct http {
    CURL *curl;
};

/* Where an answer goes: a failure's text is kept apart. */
struct answer {
    CURL *curl;
    http_piece piece;
    void *ctx;
    struct err *e;
    bool failed;
    char complaint[MAX_COMPLAINT_BYTES];
    size_t complaint_len;
};

struct http *http_open(void)
{
    struct http *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return NULL;
    }
    h->curl = curl_easy_init();
    if (h->curl == NULL) {
        free(h);
        return NULL;
    }
    return h;
}

void http_close(struct http *h)
{
    if (h != NULL) {
        curl_easy_cleanup(h->curl);
        free(h);
    }
}

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
    struct answer *a = ctx;
    size_t len = size * n;
    long status = 0;
    curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != OK) {
        size_t room = sizeof a->complaint - 1 - a->complaint_len;
        size_t part = len < room ? len : room;
        memcpy(a->complaint + a->complaint_len, bytes, part);
        a->complaint_len += part;
        return len;
    }
    a->failed = !a->piece(a->ctx, slice_of(bytes, len), a->e);
    return a->failed ? 0 : len;
}

static bool perform(struct http *h, const char *url, struct answer *a, struct err *e)
{
    a->curl = h->curl;
    a->e = e;
    curl_easy_setopt(h->curl, CURLOPT_URL, url);
    curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, a);
    CURLcode code = curl_easy_perform(h->curl);
    if (a->failed) {
        return false;
    }
    if (code != CURLE_OK) {
        return err_set(e, ERR_FATAL, "%s: %s", url, curl_easy_strerror(code));
    }
    long status = 0;
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != OK) {
        return err_set_code(e, ERR_FATAL, (int)status, "%s: status %ld: %s", url, status,
                            a->complaint);
    }
    return true;
}

static bool into_buf(void *ctx, struct slice piece, struct err *e)
{
    struct buf *out = ctx;
    buf_put_slice(out, piece);
    return buf_ok(out) || err_set(e, ERR_FATAL, "the answer is too large");
}

bool http_remote_read(struct http *h, const char *url, struct slice body, struct buf *out,
                      struct err *e)
{
    struct curl_slist *headers = NULL;
    headers = curl_slist_append(headers, "Content-Type: application/x-protobuf");
    headers = curl_slist_append(headers, "Content-Encoding: snappy");
    headers = curl_slist_append(headers, "X-Prometheus-Remote-Read-Version: 0.1.0");
    headers = curl_slist_append(headers, "Expect:");
    struct answer a = {.piece = into_buf, .ctx = out};
    curl_easy_reset(h->curl);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, (const char *)body.ptr);
    curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    bool ok = perform(h, url, &a, e);
    curl_slist_free_all(headers);
    return ok;
}

bool http_form(struct http *h, const char *url, struct slice form, struct buf *out, struct err *e)
{
    struct answer a = {.piece = into_buf, .ctx = out};
    curl_easy_reset(h->curl);
    curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, (const char *)form.ptr);
    curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)form.len);
    return perform(h, url, &a, e);
}

bool http_get(struct http *h, const char *url, http_piece piece, void *ctx, struct err *e)
{
    struct answer a = {.piece = piece, .ctx = ctx};
    curl_easy_reset(h->curl);
    return perform(h, url, &a, e);
}
