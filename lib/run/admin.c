#include "run/admin.h"

#include "run/listen.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

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

bool admin_start(const struct admin_options *o, struct admin **out, struct err *e)
{
    struct admin *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return err_set(e, ERR_FATAL, "admin server: out of memory");
    }
    a->options = *o;
    const struct listen_place where = {.address = o->address,
                                       .port = o->port,
                                       .backlog = BACKLOG,
                                       .address_key = "http_address",
                                       .port_key = "http_port"};
    int fd;
    if (!listen_open(&where, &fd, e)) {
        free(a);
        return err_wrap(e, "admin server");
    }
    a->port = listen_port(fd);
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
