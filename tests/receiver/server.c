#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api.h"
#include "base/clock.h"

enum { CONNECTION_BYTES = 128 * 1024, MAX_CONNECTIONS = 1000, MAX_API_BYTES = 64 << 20 };

/* A request while its body comes in. */
struct exchange {
    int64_t start_ns;
    struct buf body;
    bool too_large;
};

static bool is_write(const char *method, const char *path)
{
    struct slice s = slice_str(path);
    return strcmp(method, "POST") == 0 && (slice_ends_with(s, slice_str("/api/v1/write")) ||
                                           slice_ends_with(s, slice_str("/api/v1/remote_write")));
}

static enum MHD_Result exchange_begin(struct receiver *rx, struct MHD_Connection *connection,
                                      void **context)
{
    struct exchange *x = calloc(1, sizeof *x);
    if (x == NULL) {
        return MHD_NO;
    }
    pthread_mutex_lock(&rx->lock);
    int64_t max_bytes = rx->rules.max_body_bytes;
    pthread_mutex_unlock(&rx->lock);
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    unsigned long long n_bytes = length == NULL ? 0 : strtoull(length, NULL, 10);
    x->start_ns = clock_mono_ns();
    buf_init(&x->body, max_bytes > 0 ? (size_t)max_bytes : MAX_API_BYTES);
    x->too_large = n_bytes > x->body.max_bytes;
    if (!x->too_large && n_bytes > 0) {
        (void)buf_grow(&x->body, (size_t)n_bytes);
    }
    *context = x;
    return MHD_YES;
}

static void exchange_end(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)connection;
    (void)code;
    struct exchange *x = *context;
    if (x != NULL) {
        buf_fini(&x->body);
        free(x);
    }
    *context = NULL;
}

static void exchange_add(struct exchange *x, const char *bytes, size_t n_bytes)
{
    if (!x->too_large) {
        buf_put(&x->body, bytes, n_bytes);
        x->too_large = !buf_ok(&x->body);
    }
}

/* RST instead of an orderly close. */
static enum MHD_Result connection_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    return MHD_NO;
}

enum { TRUNCATED_BYTES = 100 };

/* A body of TRUNCATED_BYTES that breaks off half-way. */
static ssize_t truncated_read(void *cls, uint64_t at, char *out, size_t max)
{
    (void)cls;
    if (at >= TRUNCATED_BYTES / 2 || max < TRUNCATED_BYTES / 2) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    memset(out, '.', TRUNCATED_BYTES / 2);
    return TRUNCATED_BYTES / 2;
}

static enum MHD_Result truncated_send(struct MHD_Connection *connection, const struct answer *out)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(TRUNCATED_BYTES, 1024, truncated_read, NULL, NULL);
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result sent = MHD_queue_response(connection, (unsigned)out->status, response);
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result answer_send(struct MHD_Connection *connection, struct answer *out)
{
    size_t len = 0;
    uint8_t *body = buf_take(&out->body, &len);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        len, body, body == NULL ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(body);
        return MHD_NO;
    }
    if (len > 0) {
        MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    }
    if (out->retry_after[0] != '\0') {
        MHD_add_response_header(response, "Retry-After", out->retry_after);
    }
    enum MHD_Result sent = MHD_queue_response(connection, (unsigned)out->status, response);
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result write_serve(struct receiver *rx, struct MHD_Connection *connection,
                                   const struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const enum MHD_ValueKind kind = MHD_HEADER_KIND;
    struct incoming in = {
        .fd = info == NULL ? -1 : info->connect_fd,
        .start_ns = x->start_ns,
        .too_large = x->too_large,
        .body = buf_slice(&x->body),
        .encoding = MHD_lookup_connection_value(connection, kind, "Content-Encoding"),
        .type = MHD_lookup_connection_value(connection, kind, "Content-Type"),
        .version =
            MHD_lookup_connection_value(connection, kind, "X-Prometheus-Remote-Write-Version"),
        .agent = MHD_lookup_connection_value(connection, kind, "User-Agent"),
    };
    struct answer out = {.status = 500};
    buf_init(&out.body, MAX_API_BYTES);
    if (rx->count_only) {
        write_count(rx, &in, &out);
    } else {
        write_record(rx, &in, &out);
    }
    enum MHD_Result result = out.closed      ? connection_reset(in.fd)
                             : out.truncated ? truncated_send(connection, &out)
                                             : answer_send(connection, &out);
    buf_fini(&out.body);
    return result;
}

static enum MHD_Result serve(void *cls, struct MHD_Connection *connection, const char *path,
                             const char *method, const char *version, const char *bytes,
                             size_t *n_bytes, void **context)
{
    (void)version;
    struct receiver *rx = cls;
    if (*context == NULL) {
        return exchange_begin(rx, connection, context);
    }
    struct exchange *x = *context;
    if (*n_bytes > 0) {
        exchange_add(x, bytes, *n_bytes);
        *n_bytes = 0;
        return MHD_YES;
    }
    if (is_write(method, path)) {
        return write_serve(rx, connection, x);
    }
    return api_serve(rx, connection, method, path, buf_slice(&x->body));
}

struct MHD_Daemon *server_open(struct receiver *rx, const struct server_options *options,
                               uint16_t *port, struct err *e)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    if (inet_pton(AF_INET, options->address, &address.sin_addr) != 1) {
        err_set(e, ERR_CONFIG, "\"%s\" is not an IPv4 address", options->address);
        return NULL;
    }
    unsigned flags = rx->count_only ? MHD_USE_EPOLL_INTERNAL_THREAD
                                    : MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL_INTERNAL_THREAD;
    unsigned pool = rx->count_only && options->n_threads > 1 ? options->n_threads : 0;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, options->port, NULL, NULL, serve, rx, MHD_OPTION_SOCK_ADDR, &address,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)MAX_CONNECTIONS, MHD_OPTION_THREAD_POOL_SIZE, pool, MHD_OPTION_NOTIFY_COMPLETED,
        exchange_end, NULL, MHD_OPTION_END);
    if (daemon == NULL) {
        err_set(e, ERR_CONFIG, "cannot listen on %s:%u: %s", options->address,
                (unsigned)options->port, strerror(errno));
        return NULL;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    *port = info == NULL ? options->port : info->port;
    return daemon;
}

void server_close(struct receiver *rx, struct MHD_Daemon *daemon)
{
    atomic_store(&rx->stopping, true);
    MHD_stop_daemon(daemon);
}
