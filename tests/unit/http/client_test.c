/* The client against real servers: libmicrohttpd, and a bare socket for what a server breaks. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../runner.h"
#include "base/buf.h"
#include "base/clock.h"
#include "http/client.h"

enum { MAX_TEXT = 512 };

/* What came back, copied. */
struct seen {
    int n;
    int status;
    bool maybe_sent;
    bool sent_again;
    int64_t retry_after_ms;
    bool body_is_cut;
    size_t n_body;
    char body[MAX_TEXT];
    char length[24]; /* header Content-Length */
    char error[MAX_TEXT];
};

static void on_done(void *ctx, const struct http_response *r)
{
    struct seen *seen = ctx;
    seen->n++;
    seen->status = r->status;
    seen->maybe_sent = r->maybe_sent;
    seen->sent_again = r->n_sent_again > 0;
    seen->retry_after_ms = r->retry_after_ms;
    seen->n_body = r->body.len;
    seen->body_is_cut = r->body_is_cut;
    const char *length = r->status == 0 ? NULL : http_response_header(r, "content-LENGTH");
    (void)snprintf(seen->length, sizeof seen->length, "%s", length == NULL ? "-" : length);
    ck_assert_ptr_null(r->status == 0 ? NULL : http_response_header(r, "X-Absent"));
    (void)snprintf(seen->body, sizeof seen->body, "%.*s", SLICE_ARG(r->body));
    (void)snprintf(seen->error, sizeof seen->error, "%s", r->error);
}

static struct http_client *client_new(void)
{
    struct err e = ERR_INIT;
    struct http_client *c;
    const struct http_client_options o = {.user_agent = "sluice-test/1",
                                          .connect_timeout_ms = 2000,
                                          .max_connections = 4,
                                          .max_response_bytes = 100};
    ck_assert_msg(http_client_new(&o, &c, &e), "%s", e.text);
    return c;
}

static struct http_request *request_new(struct http_client *c, const char *method, const char *url,
                                        int64_t timeout_ms)
{
    struct err e = ERR_INIT;
    struct http_request *r;
    static const char *const headers[] = {"Content-Encoding: snappy", "X-Test: yes"};
    const struct http_target t = {.method = method,
                                  .url = url,
                                  .headers = headers,
                                  .n_headers = 2,
                                  .timeout_ms = timeout_ms,
                                  .bearer = "secret"};
    ck_assert_msg(http_request_new(c, &t, &r, &e), "%s", e.text);
    return r;
}

static void start(struct http_request *r, struct slice body, struct seen *seen)
{
    struct err e = ERR_INIT;
    *seen = (struct seen){.n = 0};
    ck_assert_msg(http_request_start(r, body, on_done, seen, &e), "%s", e.text);
}

static void wait_for(struct http_client *c, const struct seen *seen)
{
    struct err e = ERR_INIT;
    int64_t end_ms = clock_mono_ms() + 10000;
    while (seen->n == 0 && clock_mono_ms() < end_ms) {
        ck_assert_msg(http_client_drive(c, -1, 100, &e), "%s", e.text);
    }
    ck_assert_int_eq(seen->n, 1);
}

/* --- a server that says what the path asks for --- */

static int n_connections;

static void on_connection(void *ctx, struct MHD_Connection *c, void **socket_ctx,
                          enum MHD_ConnectionNotificationCode code)
{
    (void)ctx;
    (void)c;
    (void)socket_ctx;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        __atomic_add_fetch(&n_connections, 1, __ATOMIC_SEQ_CST);
    }
}

/* "/<status>/<anything>": that status; the answer tells what came: method, bytes, their sum,
 * headers. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *n_upload, void **state)
{
    (void)ctx;
    (void)version;
    size_t *sums = *state;
    if (sums == NULL) {
        *state = calloc(2, sizeof *sums);
        return MHD_YES;
    }
    if (*n_upload > 0) {
        for (size_t i = 0; i < *n_upload; i++) {
            sums[1] += (unsigned char)upload[i];
        }
        sums[0] += *n_upload;
        *n_upload = 0;
        return MHD_YES;
    }
    unsigned status = (unsigned)strtoul(url + 1, NULL, 10);
    char text[MAX_TEXT];
    const char *expect = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Expect");
    (void)snprintf(text, sizeof text, "%s %zu %zu %s %s %s %s", method, sums[0], sums[1],
                   MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Test"),
                   MHD_lookup_connection_value(c, MHD_HEADER_KIND, "User-Agent"),
                   MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization"),
                   expect == NULL ? "-" : expect);
    if (strstr(url, "long") != NULL) {
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
    }
    struct MHD_Response *r =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
    if (strstr(url, "seconds") != NULL) {
        (void)MHD_add_response_header(r, "Retry-After", "7");
    } else if (strstr(url, "date") != NULL) {
        char date[64];
        time_t at = time(NULL) + 30;
        struct tm tm;
        (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &tm));
        (void)MHD_add_response_header(r, "Retry-After", date);
    } else if (strstr(url, "garbled") != NULL) {
        (void)MHD_add_response_header(r, "Retry-After", "soon");
    }
    if (status >= 300 && status < 400) {
        (void)MHD_add_response_header(r, "Location", "/200/moved");
    }
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    free(sums);
    *state = NULL;
    return result;
}

static struct MHD_Daemon *server_start(char *url, size_t n_url, const char *path)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    n_connections = 0;
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, &at,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL, MHD_OPTION_END);
    ck_assert_ptr_nonnull(d);
    unsigned port = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port;
    (void)snprintf(url, n_url, "http://127.0.0.1:%u%s", port, path);
    return d;
}

static const struct {
    const char *path;
    int status;
    int64_t least_retry_ms;
    int64_t most_retry_ms;
} rows[] = {
    {"/200/x", 200, 0, 0},
    {"/204/x", 204, 0, 0},
    {"/400/x", 400, 0, 0},
    {"/429/seconds", 429, 7000, 7000},
    {"/503/date", 503, 27000, 31000},
    {"/503/garbled", 503, 0, 0},
    {"/302/x", 302, 0, 0},
};

START_TEST(answers_and_retry_after)
{
    char url[128];
    struct seen seen;
    struct MHD_Daemon *d = server_start(url, sizeof url, rows[_i].path);
    struct http_client *c = client_new();
    struct http_request *r = request_new(c, "POST", url, 5000);
    start(r, SLICE_LITERAL("hello"), &seen);
    wait_for(c, &seen);
    ck_assert_int_eq(seen.status, rows[_i].status);
    ck_assert_int_ge(seen.retry_after_ms, rows[_i].least_retry_ms);
    ck_assert_int_le(seen.retry_after_ms, rows[_i].most_retry_ms);
    if (seen.status != 204) {
        ck_assert_str_eq(seen.body, "POST 5 532 yes sluice-test/1 Bearer secret -");
    }
    ck_assert_str_eq(seen.error, "");
    http_request_free(r);
    http_client_free(c);
    MHD_stop_daemon(d);
}
END_TEST

START_TEST(large_bodies_and_kept_open_connections)
{
    enum { N_BYTES = 3 << 20, N_REQUESTS = 4 };
    char url[128], want[MAX_TEXT];
    struct seen seen[N_REQUESTS];
    struct MHD_Daemon *d = server_start(url, sizeof url, "/200/x");
    struct http_client *c = client_new();
    struct http_request *r[N_REQUESTS];
    char *body = malloc(N_BYTES);
    ck_assert_ptr_nonnull(body);
    memset(body, 3, N_BYTES);
    for (int i = 0; i < N_REQUESTS; i++) {
        r[i] = request_new(c, "POST", url, 5000);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N_REQUESTS; i++) {
            start(r[i], slice_of(body, N_BYTES), &seen[i]);
        }
        ck_assert_uint_eq(http_client_n_busy(c), N_REQUESTS);
        for (int i = 0; i < N_REQUESTS; i++) {
            wait_for(c, &seen[i]);
            (void)snprintf(want, sizeof want, "POST %d %d yes sluice-test/1 Bearer secret -",
                           N_BYTES, 3 * N_BYTES);
            ck_assert_str_eq(seen[i].body, want);
            ck_assert(!seen[i].sent_again);
        }
        ck_assert_uint_eq(http_client_n_busy(c), 0);
    }
    ck_assert_int_le(n_connections, N_REQUESTS);
    for (int i = 0; i < N_REQUESTS; i++) {
        http_request_free(r[i]);
    }
    free(body);
    http_client_free(c);
    MHD_stop_daemon(d);
}
END_TEST

START_TEST(other_methods_empty_bodies_long_answers)
{
    char url[128];
    struct seen seen;
    struct MHD_Daemon *d = server_start(url, sizeof url, "/200/x");
    struct http_client *c = client_new();
    static const char *const methods[] = {"GET", "PUT", "POST", "DELETE"};
    for (int i = 0; i < 4; i++) {
        struct http_request *r = request_new(c, methods[i], url, 5000);
        start(r, SLICE_NONE, &seen);
        wait_for(c, &seen);
        ck_assert_int_eq(seen.status, 200);
        ck_assert(strncmp(seen.body, methods[i], 3) == 0);
        ck_assert(!seen.body_is_cut);
        http_request_free(r);
    }
    struct http_request *head = request_new(c, "HEAD", url, 5000);
    start(head, SLICE_NONE, &seen);
    wait_for(c, &seen);
    ck_assert_int_eq(seen.status, 200);
    ck_assert_uint_eq(seen.n_body, 0);
    ck_assert_str_ne(seen.length, "0");
    ck_assert_str_ne(seen.length, "-");
    http_request_free(head);
    (void)snprintf(strrchr(url, '/'), 6, "/long");
    struct http_request *r = request_new(c, "POST", url, 5000);
    start(r, SLICE_LITERAL("x"), &seen);
    wait_for(c, &seen);
    ck_assert_uint_eq(seen.n_body, 100);
    ck_assert(seen.body_is_cut);
    ck_assert_str_eq(seen.length, "511");
    http_request_free(r);
    http_client_free(c);
    MHD_stop_daemon(d);
}
END_TEST

/* --- a server of one's own --- */

enum scene { SCENE_SILENT, SCENE_CLOSES, SCENE_BREAKS_KEPT };

struct bare {
    int fd;
    enum scene scene;
    pthread_t thread;
    int n_requests;
};

static int bare_listen(char *url, size_t n_url)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, n), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    (void)snprintf(url, n_url, "http://127.0.0.1:%u/", ntohs(at.sin_port));
    return fd;
}

/* Reads until the body's last byte 'Z'. False: the peer went. */
static bool bare_read(int fd)
{
    char bytes[4096];
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0) {
            return false;
        }
        if (bytes[n - 1] == 'Z') {
            return true;
        }
    }
}

static void reset(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(fd);
}

static void *bare_run(void *ctx)
{
    struct bare *b = ctx;
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (;;) {
        int fd = accept(b->fd, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        while (bare_read(fd)) {
            int n = __atomic_add_fetch(&b->n_requests, 1, __ATOMIC_SEQ_CST);
            if (b->scene == SCENE_SILENT) {
                continue;
            }
            if (b->scene == SCENE_CLOSES || n == 2) {
                break;
            }
            (void)!send(fd, ok, sizeof ok - 1, MSG_NOSIGNAL);
        }
        reset(fd);
    }
}

static void bare_start(struct bare *b, enum scene scene, char *url, size_t n_url)
{
    *b = (struct bare){.fd = bare_listen(url, n_url), .scene = scene};
    ck_assert_int_eq(pthread_create(&b->thread, NULL, bare_run, b), 0);
}

static void bare_stop(struct bare *b)
{
    (void)shutdown(b->fd, SHUT_RDWR);
    (void)pthread_join(b->thread, NULL);
    (void)close(b->fd);
}

START_TEST(no_answer_in_time)
{
    char url[128];
    struct bare b;
    struct seen seen;
    bare_start(&b, SCENE_SILENT, url, sizeof url);
    struct http_client *c = client_new();
    struct http_request *r = request_new(c, "POST", url, 300);
    int64_t began = clock_mono_ms();
    start(r, SLICE_LITERAL("aZ"), &seen);
    wait_for(c, &seen);
    ck_assert_int_eq(seen.status, 0);
    ck_assert(seen.maybe_sent);
    ck_assert_int_ge(clock_mono_ms() - began, 290);
    ck_assert(seen.error[0] != '\0');
    http_request_free(r);
    http_client_free(c);
    bare_stop(&b);
}
END_TEST

START_TEST(a_new_connection_that_breaks_is_an_error)
{
    char url[128];
    struct bare b;
    struct seen seen;
    bare_start(&b, SCENE_CLOSES, url, sizeof url);
    struct http_client *c = client_new();
    struct http_request *r = request_new(c, "POST", url, 3000);
    start(r, SLICE_LITERAL("aZ"), &seen);
    wait_for(c, &seen);
    ck_assert_int_eq(seen.status, 0);
    ck_assert(seen.maybe_sent);
    ck_assert_int_eq(b.n_requests, 1);
    http_request_free(r);
    http_client_free(c);
    bare_stop(&b);
}
END_TEST

/* The second request is read whole and the connection reset: it may have been acted on. Either curl
 * sends it again by itself, and says so, or it is an error. */
START_TEST(a_kept_open_connection_that_breaks_is_told)
{
    char url[128];
    struct bare b;
    struct seen seen;
    bare_start(&b, SCENE_BREAKS_KEPT, url, sizeof url);
    struct http_client *c = client_new();
    struct http_request *r = request_new(c, "POST", url, 3000);
    start(r, SLICE_LITERAL("aZ"), &seen);
    wait_for(c, &seen);
    ck_assert_int_eq(seen.status, 200);
    ck_assert(!seen.sent_again);
    start(r, SLICE_LITERAL("bZ"), &seen);
    wait_for(c, &seen);
    ck_assert(seen.maybe_sent);
    ck_assert_msg(seen.status == 0 || (seen.status == 200 && seen.sent_again && b.n_requests == 3),
                  "status %d, sent again %d, %d requests", seen.status, seen.sent_again,
                  b.n_requests);
    http_request_free(r);
    http_client_free(c);
    bare_stop(&b);
}
END_TEST

START_TEST(nobody_there_means_not_sent)
{
    char url[128];
    struct seen seen;
    int fd = bare_listen(url, sizeof url);
    (void)close(fd);
    struct http_client *c = client_new();
    struct http_request *r = request_new(c, "POST", url, 3000);
    start(r, SLICE_LITERAL("aZ"), &seen);
    wait_for(c, &seen);
    ck_assert_int_eq(seen.status, 0);
    ck_assert(!seen.maybe_sent);
    http_request_free(r);
    http_client_free(c);
}
END_TEST

START_TEST(the_wake_fd_ends_a_wait_and_cancelled_ones_stay_silent)
{
    char url[128];
    struct bare b;
    struct seen seen;
    struct err e = ERR_INIT;
    bare_start(&b, SCENE_SILENT, url, sizeof url);
    struct http_client *c = client_new();
    struct http_request *r = request_new(c, "POST", url, 20000);
    start(r, SLICE_LITERAL("aZ"), &seen);
    int wake = eventfd(1, EFD_NONBLOCK);
    int64_t began = clock_mono_ms();
    ck_assert(http_client_drive(c, wake, 5000, &e));
    ck_assert_int_lt(clock_mono_ms() - began, 2000);
    http_request_cancel(r);
    ck_assert(!http_request_busy(r));
    ck_assert(http_client_drive(c, -1, 10, &e));
    ck_assert_int_eq(seen.n, 0);
    start(r, SLICE_LITERAL("aZ"), &seen);
    http_request_free(r); /* under way */
    ck_assert_uint_eq(http_client_n_busy(c), 0);
    (void)close(wake);
    http_client_free(c);
    bare_stop(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *c = tcase_create("client");
    tcase_set_timeout(c, 30);
    tcase_add_loop_test(c, answers_and_retry_after, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(c, large_bodies_and_kept_open_connections);
    tcase_add_test(c, other_methods_empty_bodies_long_answers);
    tcase_add_test(c, no_answer_in_time);
    tcase_add_test(c, a_new_connection_that_breaks_is_an_error);
    tcase_add_test(c, a_kept_open_connection_that_breaks_is_told);
    tcase_add_test(c, nobody_there_means_not_sent);
    tcase_add_test(c, the_wake_fd_ends_a_wait_and_cancelled_ones_stay_silent);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
