#include "http/client.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"

struct http_client {
    CURLM *multi;
    char *user_agent; /* owned */
    char *ca_file;    /* owned; NULL = the system's */
    int64_t connect_timeout_ms;
    size_t max_response_bytes;
    size_t n_busy;
};

struct http_request {
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    struct slice body; /* the caller's, while it is under way */
    size_t n_body_read;
    bool sent_again;
    bool body_is_cut;
    bool busy;
    struct buf answer;
    http_done_fn done;
    void *ctx;
    char error[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void curl_start(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool http_client_new(const struct http_client_options *o, struct http_client **out, struct err *e)
{
    (void)pthread_once(&curl_once, curl_start);
    struct http_client *c = calloc(1, sizeof *c);
    if (c == NULL || curl_ready != CURLE_OK) {
        free(c);
        return err_set(e, ERR_FATAL, "curl: %s", curl_easy_strerror(curl_ready));
    }
    bool own_ca = o->ca_file != NULL && o->ca_file[0] != '\0';
    c->multi = curl_multi_init();
    c->user_agent = strdup(o->user_agent);
    c->ca_file = own_ca ? strdup(o->ca_file) : NULL;
    c->connect_timeout_ms = o->connect_timeout_ms;
    c->max_response_bytes = o->max_response_bytes;
    if (c->multi == NULL || c->user_agent == NULL || (own_ca && c->ca_file == NULL)) {
        http_client_free(c);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    (void)curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    (void)curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)o->max_connections);
    (void)curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)o->max_connections);
    *out = c;
    return true;
}

void http_client_free(struct http_client *c)
{
    if (c == NULL) {
        return;
    }
    if (c->multi != NULL) {
        (void)curl_multi_cleanup(c->multi);
    }
    free(c->user_agent);
    free(c->ca_file);
    free(c);
}

size_t http_client_n_busy(const struct http_client *c)
{
    return c->n_busy;
}

/* The body goes by callback and not as a buffer: then curl has to ask for a rewind before it sends
 * a second time over a new connection, which it does on its own when a kept-open one breaks. */
static size_t on_read(char *to, size_t size, size_t n, void *request)
{
    struct http_request *r = request;
    size_t left = r->body.len - r->n_body_read;
    size_t n_bytes = size * n < left ? size * n : left;
    if (n_bytes > 0) {
        memcpy(to, r->body.ptr + r->n_body_read, n_bytes);
    }
    r->n_body_read += n_bytes;
    return n_bytes;
}

static int on_seek(void *request, curl_off_t offset, int origin)
{
    struct http_request *r = request;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > r->body.len) {
        return CURL_SEEKFUNC_FAIL;
    }
    r->sent_again = r->sent_again || r->n_body_read > 0;
    r->n_body_read = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t on_write(char *bytes, size_t size, size_t n, void *request)
{
    struct http_request *r = request;
    size_t n_bytes = size * n;
    size_t room = r->answer.max_bytes - r->answer.len;
    r->body_is_cut = r->body_is_cut || n_bytes > room;
    buf_put(&r->answer, bytes, n_bytes < room ? n_bytes : room);
    return n_bytes;
}

/* NULL when out of memory. */
static struct curl_slist *headers_list(const char *const *headers, size_t n_headers)
{
    /* Without "Expect:" curl asks first and waits before it sends a large body. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; list != NULL && i < n_headers; i++) {
        struct curl_slist *longer = curl_slist_append(list, headers[i]);
        if (longer == NULL) {
            curl_slist_free_all(list);
        }
        list = longer;
    }
    return list;
}

static bool has_body(const struct http_target *t)
{
    return strcmp(t->method, "POST") == 0 || strcmp(t->method, "PUT") == 0;
}

static void options_transport(struct http_request *r, const struct http_client *c,
                              const struct http_target *t)
{
    CURL *easy = r->easy;
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, (void *)r);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->error);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* as it was signed */
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    if (strncmp(t->url, "https:", 6) == 0) {
        /* Rather wait for the first handshake, which tells whether one connection is enough. */
        (void)curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    }
    (void)curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)t->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, c->user_agent);
    (void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, (void *)r);
    if (c->ca_file != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, c->ca_file);
    }
    if (t->direct) {
        (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    }
}

static void options_message(struct http_request *r, const struct http_target *t)
{
    CURL *easy = r->easy;
    if (has_body(t)) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        (void)curl_easy_setopt(easy, CURLOPT_READDATA, (void *)r);
        (void)curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        (void)curl_easy_setopt(easy, CURLOPT_SEEKDATA, (void *)r);
    }
    if (strcmp(t->method, "HEAD") == 0) {
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L); /* the answer's length has no body */
    }
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, t->method);
    if (t->bearer != NULL && t->bearer[0] != '\0') {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        (void)curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, t->bearer);
    } else if (t->user_password != NULL && t->user_password[0] != '\0') {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        (void)curl_easy_setopt(easy, CURLOPT_USERPWD, t->user_password);
    }
}

bool http_request_set_headers(struct http_request *r, const char *const *headers, size_t n_headers,
                              struct err *e)
{
    assert(!r->busy);
    struct curl_slist *list = headers_list(headers, n_headers);
    if (list == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    (void)curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, list);
    curl_slist_free_all(r->headers);
    r->headers = list;
    return true;
}

bool http_request_new(struct http_client *c, const struct http_target *target,
                      struct http_request **out, struct err *e)
{
    struct http_request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    r->client = c;
    buf_init(&r->answer, c->max_response_bytes);
    r->easy = curl_easy_init();
    if (r->easy == NULL) {
        http_request_free(r);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!http_request_set_headers(r, target->headers, target->n_headers, e)) {
        http_request_free(r);
        return false;
    }
    options_transport(r, c, target);
    options_message(r, target);
    CURLcode code = curl_easy_setopt(r->easy, CURLOPT_URL, target->url);
    if (code != CURLE_OK) {
        http_request_free(r);
        return err_set(e, ERR_CONFIG, "url: %s", curl_easy_strerror(code));
    }
    *out = r;
    return true;
}

void http_request_cancel(struct http_request *r)
{
    if (r->busy) {
        (void)curl_multi_remove_handle(r->client->multi, r->easy);
        r->busy = false;
        r->client->n_busy--;
    }
}

void http_request_free(struct http_request *r)
{
    if (r == NULL) {
        return;
    }
    http_request_cancel(r);
    if (r->easy != NULL) {
        curl_easy_cleanup(r->easy);
    }
    curl_slist_free_all(r->headers);
    buf_fini(&r->answer);
    free(r);
}

bool http_request_busy(const struct http_request *r)
{
    return r->busy;
}

bool http_request_start(struct http_request *r, struct slice body, http_done_fn done, void *ctx,
                        struct err *e)
{
    assert(!r->busy);
    r->body = body;
    r->n_body_read = 0;
    r->sent_again = false;
    r->body_is_cut = false;
    r->done = done;
    r->ctx = ctx;
    r->error[0] = '\0';
    buf_reset(&r->answer);
    (void)curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    CURLMcode code = curl_multi_add_handle(r->client->multi, r->easy);
    if (code != CURLM_OK) {
        return err_set(e, ERR_FATAL, "curl: %s", curl_multi_strerror(code));
    }
    r->busy = true;
    r->client->n_busy++;
    return true;
}

/* Failures before the first byte of the request left. */
static bool never_sent(CURLcode code)
{
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_PEER_FAILED_VERIFICATION:
        return true;
    default:
        return false;
    }
}

static void request_done(struct http_request *r, CURLcode code)
{
    struct http_response response = {.error = "", .request = r};
    long status = 0;
    curl_off_t retry_after_s = 0;
    double seconds = 0;
    (void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    (void)curl_easy_getinfo(r->easy, CURLINFO_TOTAL_TIME, &seconds);
    http_request_cancel(r);
    response.seconds = seconds;
    response.sent_again = r->sent_again;
    response.maybe_sent = code == CURLE_OK || r->sent_again || !never_sent(code);
    if (code == CURLE_OK) {
        enum { MAX_S = 1000000 };
        response.status = (int)status;
        response.retry_after_ms = (retry_after_s < MAX_S ? retry_after_s : MAX_S) * 1000;
        response.body = buf_slice(&r->answer);
        response.body_is_cut = r->body_is_cut;
    } else {
        response.error = r->error[0] != '\0' ? r->error : curl_easy_strerror(code);
    }
    r->done(r->ctx, &response);
}

const char *http_response_header(const struct http_response *r, const char *name)
{
    struct curl_header *header = NULL;
    CURLHcode code = curl_easy_header(r->request->easy, name, 0, CURLH_HEADER, -1, &header);
    return code == CURLHE_OK ? header->value : NULL;
}

int64_t http_response_date_ms(const struct http_response *r)
{
    const char *text = http_response_header(r, "Date");
    time_t s = text == NULL ? -1 : curl_getdate(text, NULL);
    return s > 0 ? (int64_t)s * 1000 : 0;
}

static bool take_answers(struct http_client *c)
{
    bool any = false;
    int n_left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(c->multi, &n_left)) != NULL) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        void *request = NULL;
        CURLcode code = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        request_done(request, code);
        any = true;
    }
    return any;
}

bool http_client_drive(struct http_client *c, int wake_fd, int timeout_ms, struct err *e)
{
    for (int round = 0; round < 2; round++) {
        int n_running;
        CURLMcode code = curl_multi_perform(c->multi, &n_running);
        if (code == CURLM_OK && !take_answers(c) && round == 0 && timeout_ms > 0) {
            struct curl_waitfd wake = {.fd = wake_fd, .events = CURL_WAIT_POLLIN};
            code = curl_multi_poll(c->multi, &wake, wake_fd < 0 ? 0 : 1, timeout_ms, NULL);
        } else if (code == CURLM_OK) {
            return true;
        }
        if (code != CURLM_OK) {
            return err_set(e, ERR_FATAL, "curl: %s", curl_multi_strerror(code));
        }
    }
    return true;
}
