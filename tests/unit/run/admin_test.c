#include "runner.h"

#include "base/clock.h"
#include "run/admin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct world {
    struct metrics *metrics;
    struct admin *admin;
    atomic_bool is_ready;
    atomic_bool is_alive;
    atomic_bool is_huge;
    atomic_int n_refreshed;
};

static bool ready(void *ctx, struct buf *detail)
{
    struct world *w = ctx;
    if (w->is_huge) {
        for (int i = 0; i < 3 << 20; i++) {
            buf_u8(detail, ' ');
        }
    }
    buf_printf(detail, "{\"partitions\":%d}", w->is_ready ? 3 : 0);
    return w->is_ready;
}

static bool alive(void *ctx)
{
    return ((struct world *)ctx)->is_alive;
}

static void refresh(void *ctx)
{
    struct world *w = ctx;
    w->n_refreshed++;
    cell_set(metrics_cell(w->metrics, M_MEMORY_BYTES, NULL), 4711);
}

static struct admin_options options_of(struct world *w)
{
    return (struct admin_options){.address = "127.0.0.1",
                                  .port = 0,
                                  .metrics = w->metrics,
                                  .ready = ready,
                                  .alive = alive,
                                  .refresh = refresh,
                                  .ctx = w};
}

static void world_init(struct world *w)
{
    struct err e = ERR_INIT;
    *w = (struct world){.metrics = metrics_new(), .is_alive = true};
    const struct admin_options o = options_of(w);
    ck_assert_msg(admin_start(&o, &w->admin, &e), "%s", e.text);
    ck_assert_int_gt(admin_port(w->admin), 0);
}

static void world_fini(struct world *w)
{
    admin_stop(w->admin);
    metrics_free(w->metrics);
}

/* host: the last number of 127.0.0.x that we come from. */
static int connect_from(uint32_t host, int port)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl((127U << 24) + host);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&from, sizeof from), 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&where, sizeof where), 0);
    return fd;
}

/* Sends the bytes and reads until the server closes; free() it. */
static char *exchange_from(uint32_t host, int port, const char *request)
{
    int fd = connect_from(host, port);
    ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    struct buf in;
    buf_init(&in, 16 << 20);
    char piece[4096];
    ssize_t n;
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0) {
        buf_put(&in, piece, (size_t)n);
    }
    (void)close(fd);
    char *text = strdup(buf_c_str(&in));
    buf_fini(&in);
    return text;
}

static char *exchange(int port, const char *request)
{
    return exchange_from(1, port, request);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

/* Rows: a request and the state of the worker; the status, a header and how the body ends. */
static const struct {
    const char *name;
    const char *request;
    bool is_ready;
    bool is_alive;
    const char *status;
    const char *header;
    const char *body;
} rows[] = {
    {"metrics", GET("/metrics"), true, true, "200",
     "Content-Type: text/plain; version=0.0.4; charset=utf-8", "\nsluice_memory_bytes 4711\n"},
    {"metrics with a query", GET("/metrics?name=x"), true, true, "200", "Content-Type: text/plain",
     "\nsluice_memory_bytes 4711\n"},
    {"metrics by HTTP 1.0", "GET /metrics HTTP/1.0\r\n\r\n", true, true, "200",
     "Content-Type: text/plain", "\nsluice_memory_bytes 4711\n"},
    {"healthz", GET("/healthz"), false, true, "200", "Content-Type: text/plain", "\r\n\r\nok\n"},
    {"healthz of a stalled loop", GET("/healthz"), true, false, "503", "Content-Type: text/plain",
     "stalled\n"},
    {"ready", GET("/ready"), true, true, "200", "Content-Type: application/json",
     "\r\n\r\n{\"partitions\":3}"},
    {"not ready", GET("/ready"), false, true, "503", "Content-Type: application/json",
     "\r\n\r\n{\"partitions\":0}"},
    {"HEAD", "HEAD /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", true, true, "200",
     "Content-Length: 16", "\r\n\r\n"},
    {"root", GET("/"), true, true, "404", "Content-Type: text/plain",
     "try /metrics, /healthz or /ready\n"},
    {"a longer path", GET("/metrics/x"), true, true, "404", "Content-Type", "\n"},
    {"upward", GET("/../metrics"), true, true, "404", "Content-Type", "\n"},
    {"POST",
     "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", true,
     true, "405", "Allow: GET, HEAD", "only GET\n"},
    {"DELETE", "DELETE /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", true, true, "405",
     "Allow: GET, HEAD", "only GET\n"},
    {"an unknown method", "BREW /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", true,
     true, "405", "Allow", "only GET\n"},
    {"GET with a body",
     "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", true,
     true, "200", "Content-Type", "ok\n"},
};

START_TEST(request)
{
    struct world w;
    world_init(&w);
    w.is_ready = rows[_i].is_ready;
    w.is_alive = rows[_i].is_alive;
    char *text = exchange(admin_port(w.admin), rows[_i].request);
    ck_assert_msg(strlen(text) > 12 && strncmp(text + 9, rows[_i].status, 3) == 0, "%s: %s",
                  rows[_i].name, text);
    ck_assert_msg(strcasestr(text, rows[_i].header) != NULL, "%s: %s", rows[_i].name, text);
    ck_assert_msg(slice_ends_with(slice_str(text), slice_str(rows[_i].body)), "%s: %s",
                  rows[_i].name, text);
    ck_assert_int_eq(w.n_refreshed, strstr(rows[_i].request, "GET /metrics") == rows[_i].request &&
                                        strcmp(rows[_i].status, "200") == 0);
    free(text);
    world_fini(&w);
}
END_TEST

static const struct {
    const char *name;
    const char *request;
} garbage[] = {
    {"no HTTP", "\x16\x03\x01\x02\r\n\r\n"},
    {"no version", "GET\r\n\r\n"},
    {"a length that is no number",
     "GET /ready HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\nConnection: close\r\n\r\n"},
};

START_TEST(garbage_hurts_nobody)
{
    struct world w;
    world_init(&w);
    int fd = connect_from(1, admin_port(w.admin));
    (void)send(fd, garbage[_i].request, strlen(garbage[_i].request), MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    char answer[512];
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    ck_assert_msg(n <= 12 || memcmp(answer + 9, "200", 3) != 0, "%s: %.*s", garbage[_i].name,
                  (int)n, answer);
    (void)close(fd);
    char *text = exchange(admin_port(w.admin), GET("/healthz"));
    ck_assert_msg(strstr(text, " 200 ") != NULL, "%s: afterwards %s", garbage[_i].name, text);
    free(text);
    world_fini(&w);
}
END_TEST

START_TEST(a_header_without_end_is_refused)
{
    struct world w;
    world_init(&w);
    int fd = connect_from(1, admin_port(w.admin));
    (void)send(fd, "GET /", 5, MSG_NOSIGNAL);
    static char filler[4096];
    memset(filler, 'a', sizeof filler);
    int n_sent = 0;
    while (n_sent < 10000 && send(fd, filler, sizeof filler, MSG_NOSIGNAL) > 0) {
        n_sent++;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 0) == 1) {
            break; /* an answer, or closed */
        }
    }
    ck_assert_int_lt(n_sent, 10000);
    (void)close(fd);
    world_fini(&w);
}
END_TEST

START_TEST(an_answer_that_is_too_large_is_500)
{
    struct world w;
    world_init(&w);
    w.is_ready = true;
    w.is_huge = true;
    char *text = exchange(admin_port(w.admin), GET("/ready"));
    ck_assert_ptr_nonnull(strstr(text, " 500 "));
    ck_assert_ptr_nonnull(strstr(text, "too large"));
    free(text);
    world_fini(&w);
}
END_TEST

START_TEST(two_requests_on_one_connection)
{
    struct world w;
    world_init(&w);
    char *text =
        exchange(admin_port(w.admin), "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" GET("/ready"));
    ck_assert_ptr_nonnull(strstr(text, "ok\n"));
    ck_assert_ptr_nonnull(strstr(text, "{\"partitions\":0}"));
    free(text);
    world_fini(&w);
}
END_TEST

START_TEST(one_peer_cannot_keep_the_others_out)
{
    enum { N = 300, MOST = 32 };
    struct world w;
    int fds[N];
    world_init(&w);
    for (int i = 0; i < N; i++) {
        fds[i] = connect_from(1, admin_port(w.admin));
    }
    char *text = exchange_from(2, admin_port(w.admin), GET("/healthz"));
    ck_assert_msg(strstr(text, " 200 ") != NULL, "%s", text);
    free(text);
    int n_closed = 0;
    for (int i = 0; i < N; i++) {
        struct pollfd p = {.fd = fds[i], .events = POLLIN};
        n_closed += poll(&p, 1, i == 0 ? 100 : 0) == 1;
    }
    ck_assert_int_eq(n_closed, N - MOST);
    int64_t start_ms = clock_mono_ms();
    world_fini(&w); /* does not wait for the idle ones */
    ck_assert_int_lt(clock_mono_ms() - start_ms, 3000);
    for (int i = 0; i < N; i++) {
        (void)close(fds[i]);
    }
}
END_TEST

START_TEST(an_idle_connection_is_closed)
{
    struct world w;
    world_init(&w);
    int fd = connect_from(1, admin_port(w.admin));
    ck_assert_int_eq(send(fd, "GET /healthz HT", 15, MSG_NOSIGNAL), 15);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, 20000), 1);
    (void)close(fd);
    world_fini(&w);
}
END_TEST

START_TEST(a_port_in_use_is_said)
{
    struct world w;
    world_init(&w);
    struct err e = ERR_INIT;
    struct admin *second;
    struct admin_options o = options_of(&w);
    o.port = admin_port(w.admin);
    ck_assert(!admin_start(&o, &second, &e));
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    ck_assert_msg(strstr(e.text, "http_port") != NULL && strstr(e.text, "in use") != NULL, "%s",
                  e.text);
    world_fini(&w);
}
END_TEST

static const struct {
    const char *name;
    const char *address;
    bool ok;
} addresses[] = {
    {"all", "0.0.0.0", true},
    {"loopback", "127.0.0.1", true},
    {"a name", "localhost", false},
    {"nothing", "", false},
    {"out of range", "1.2.3.256", false},
    {"not ours", "192.0.2.1", false},
};

START_TEST(address)
{
    struct world w = {.metrics = metrics_new(), .is_alive = true};
    struct err e = ERR_INIT;
    struct admin *a = NULL;
    struct admin_options o = options_of(&w);
    o.address = addresses[_i].address;
    bool ok = admin_start(&o, &a, &e);
    ck_assert_msg(ok == addresses[_i].ok, "%s: %s", addresses[_i].name, e.text);
    ck_assert(ok || (e.kind == ERR_CONFIG && strstr(e.text, "http_address") != NULL));
    admin_stop(a);
    metrics_free(w.metrics);
}
END_TEST

START_TEST(an_ended_server_gives_its_port_back)
{
    struct world w;
    world_init(&w);
    int port = admin_port(w.admin);
    free(exchange(port, GET("/healthz")));
    admin_stop(w.admin);
    struct err e = ERR_INIT;
    struct admin_options o = options_of(&w);
    o.port = port;
    ck_assert_msg(admin_start(&o, &w.admin, &e), "%s", e.text);
    ck_assert_int_eq(admin_port(w.admin), port);
    world_fini(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin");
    TCase *tc = tcase_create("admin");
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, request, 0, sizeof rows / sizeof rows[0]);
    tcase_add_loop_test(tc, garbage_hurts_nobody, 0, sizeof garbage / sizeof garbage[0]);
    tcase_add_test(tc, a_header_without_end_is_refused);
    tcase_add_test(tc, an_answer_that_is_too_large_is_500);
    tcase_add_test(tc, two_requests_on_one_connection);
    tcase_add_test(tc, one_peer_cannot_keep_the_others_out);
    tcase_add_test(tc, an_idle_connection_is_closed);
    tcase_add_test(tc, a_port_in_use_is_said);
    tcase_add_loop_test(tc, address, 0, sizeof addresses / sizeof addresses[0]);
    tcase_add_test(tc, an_ended_server_gives_its_port_back);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
