#include "run/admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 128,
    MAX_CONNECTIONS_PER_ADDRESS = 32, /* so that one peer cannot keep out the probes */
    TIMEOUT_S = 10,
    CONNECTION_BYTES = 16 * 1024,
    BACKLOG = 64,
    DETAIL_MAX_BYTES = 1 << 20,
    METRICS_MAX_BYTES = 64 << 20,
    PAGE_MAX_BYTES = 16 << 20
};

struct admin {
    struct admin_options options;
    struct MHD_Daemon *daemon;
    int port;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              struct buf *body)
{
    if (!buf_ok(body)) {
        buf_reset(body);
        buf_printf(body, "the answer is too large\n");
        status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        type = "text/plain; charset=utf-8";
    }
    size_t len;
    uint8_t *bytes = buf_take(body, &len);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(bytes);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text)
{
    struct buf body;
    buf_init(&body, DETAIL_MAX_BYTES);
    buf_printf(&body, "%s\n", text);
    return answer(connection, status, "text/plain; charset=utf-8", &body);
}

static enum MHD_Result answer_metrics(const struct admin_options *o,
                                      struct MHD_Connection *connection)
{
    struct buf body;
    buf_init(&body, METRICS_MAX_BYTES);
    if (o->refresh != NULL) {
        o->refresh(o->ctx);
    }
    metrics_print(o->metrics, &body);
    return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static enum MHD_Result answer_ready(const struct admin_options *o,
                                    struct MHD_Connection *connection)
{
    struct buf detail;
    buf_init(&detail, DETAIL_MAX_BYTES);
    bool ready = o->ready(o->ctx, &detail);
    unsigned status = ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    return answer(connection, status, "application/json", &detail);
}

static const struct admin_page *find_page(const struct admin_options *o, const char *url)
{
    for (const struct admin_page *p = o->pages; p != NULL && p->path != NULL; p++) {
        if (strcmp(url, p->path) == 0) {
            return p;
        }
    }
    return NULL;
}

static enum MHD_Result answer_page(const struct admin_options *o, const struct admin_page *page,
                                   struct MHD_Connection *connection)
{
    struct buf body;
    buf_init(&body, PAGE_MAX_BYTES);
    page->print(o->pages_ctx, &body);
    return answer(connection, MHD_HTTP_OK, "application/json", &body);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **state)
{
    (void)version;
    (void)upload;
    static int seen;
    const struct admin_options *o = &((struct admin *)ctx)->options;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return *state == NULL ? answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET")
                              : MHD_NO;
    }
    if (*state == NULL) { /* the header only: libmicrohttpd calls again for the body or its end */
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_bytes > 0) {
        *upload_bytes = 0;
        return MHD_YES;
    }
    if (strcmp(url, "/metrics") == 0) {
        return answer_metrics(o, connection);
    }
    if (strcmp(url, "/ready") == 0) {
        return answer_ready(o, connection);
    }
    if (strcmp(url, "/healthz") == 0) {
        return o->alive(o->ctx) ? answer_text(connection, MHD_HTTP_OK, "ok")
                                : answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "stalled");
    }
    const struct admin_page *page = find_page(o, url);
    if (page != NULL) {
        return answer_page(o, page, connection);
    }
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "try /metrics, /healthz or /ready");
}

static void say_nothing(void *ctx, const char *fmt, va_list args)
{
    (void)ctx;
    (void)fmt;
    (void)args;
}

static bool address_of(const char *text, int port, struct sockaddr_storage *out, socklen_t *len)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        *len = sizeof v4;
        memcpy(out, &v4, sizeof v4);
        return true;
    }
    *len = sizeof v6;
    memcpy(out, &v6, sizeof v6);
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, sizeof v6);
        return true;
    }
    return false;
}

/* We bind, not libmicrohttpd: it could not say what is wrong. -1 on failure. */
static int listen_at(const char *address, int port, struct err *e)
{
    struct sockaddr_storage where;
    socklen_t len;
    if (!address_of(address, port, &where, &len)) {
        (void)err_set(e, ERR_CONFIG, "http_address \"%.60s\" is not an IP address", address);
        return -1;
    }
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int yes = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (const struct sockaddr *)&where, len) != 0 || listen(fd, BACKLOG) != 0) {
        (void)err_set_code(e, ERR_CONFIG, errno,
                           "cannot listen on http_address %.60s, http_port %d: %s", address, port,
                           strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    return fd;
}

static int port_of(int fd)
{
    struct sockaddr_storage where = {0};
    socklen_t len = sizeof where;
    if (getsockname(fd, (struct sockaddr *)&where, &len) != 0) {
        return 0;
    }
    in_port_t port;
    size_t at = where.ss_family == AF_INET6 ? offsetof(struct sockaddr_in6, sin6_port)
                                            : offsetof(struct sockaddr_in, sin_port);
    memcpy(&port, (const char *)&where + at, sizeof port);
    return ntohs(port);
}

bool admin_start(const struct admin_options *o, struct admin **out, struct err *e)
{
    struct admin *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return err_set(e, ERR_FATAL, "admin server: out of memory");
    }
    a->options = *o;
    int fd = listen_at(o->address, o->port, e);
    if (fd < 0) {
        free(a);
        return err_wrap(e, "admin server");
    }
    a->port = port_of(fd);
    a->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, a,
        MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)MAX_CONNECTIONS_PER_ADDRESS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
    if (a->daemon == NULL) {
        /* The descriptor is libmicrohttpd's by now, closed or not. */
        free(a);
        return err_set(e, ERR_FATAL, "admin server: cannot start its thread");
    }
    *out = a;
    return true;
}

void admin_stop(struct admin *a)
{
    if (a != NULL) {
        MHD_stop_daemon(a->daemon);
        free(a);
    }
}

int admin_port(const struct admin *a)
{
    return a->port;
}
