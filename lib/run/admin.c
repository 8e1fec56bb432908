#include "run/admin.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAGE = 64 * 1024 * 1024, MAX_CONNECTIONS = 64, PER_ADDRESS = 16, TIMEOUT_S = 10 };

struct admin {
    struct admin_options options;
    struct MHD_Daemon *daemon;
    int port;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type, struct buf *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->ptr == NULL ? (void *)(uintptr_t)"" : body->ptr,
                                        MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static unsigned fill_page(const struct admin_options *o, const char *path, const char **type, struct buf *body)
{
    *type = "application/json";
    if (strcmp(path, "/metrics") == 0) {
        *type = "text/plain; version=0.0.4; charset=utf-8";
        if (o->refresh != NULL) {
            o->refresh(o->ctx);
        }
        metrics_print(o->metrics, body);
        return MHD_HTTP_OK;
    }
    if (strcmp(path, "/healthz") == 0) {
        bool alive = o->alive == NULL || o->alive(o->ctx);
        buf_printf(body, "{\"alive\":%s}", alive ? "true" : "false");
        return alive ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    }
    if (strcmp(path, "/ready") == 0) {
        bool ready = o->ready == NULL || o->ready(o->ctx, body);
        return ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    }
    buf_printf(body, "{\"error\":\"there are /metrics, /healthz and /ready\"}");
    return MHD_HTTP_NOT_FOUND;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **state)
{
    static int seen;
    struct admin *a = cls;
    (void)version;
    (void)upload;
    if (*state == NULL) {
        *state = &seen; /* the headers; the answer comes with the next call */
        return MHD_YES;
    }
    if (*upload_size != 0) {
        *upload_size = 0; /* a body is read and forgotten */
        return MHD_YES;
    }
    struct buf body;
    const char *type = "application/json";
    unsigned status = MHD_HTTP_METHOD_NOT_ALLOWED;
    buf_init(&body, MAX_PAGE);
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
        status = fill_page(&a->options, path, &type, &body);
    } else {
        buf_printf(&body, "{\"error\":\"only GET\"}");
    }
    enum MHD_Result result = answer(connection, status, type, &body);
    buf_fini(&body);
    return result;
}

bool admin_start(const struct admin_options *o, struct admin **out, struct err *e)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    if (inet_pton(AF_INET, o->address, &address.sin_addr) != 1) {
        return err_set(e, ERR_CONFIG, "http_address: \"%s\" is not an IPv4 address", o->address);
    }
    struct admin *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    a->options = *o;
    a->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)o->port, NULL, NULL, on_request, a, MHD_OPTION_SOCK_ADDR, &address,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)PER_ADDRESS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_END);
    if (a->daemon == NULL) {
        free(a);
        return err_set(e, ERR_FATAL, "cannot listen on %s:%d (http_address, http_port): is the port in use?",
                       o->address, o->port);
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(a->daemon, MHD_DAEMON_INFO_BIND_PORT);
    a->port = info == NULL ? o->port : (int)info->port;
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
