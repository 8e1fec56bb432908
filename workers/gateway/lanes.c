#include "lanes.h"

#include <stdlib.h>
#include <unistd.h>

static const char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

enum { MAX_TLS_OPTIONS = 8 };

/* What libmicrohttpd allows of its own accord is less than FD_SETSIZE a daemon, epoll or not. The
 * bound is ours (peers.h); a connection that is being closed is still counted there for a moment. */
enum { CLOSING_CONNECTIONS = 1 };

struct lane_set {
    int n;
    unsigned next; /* in turn */
    struct lane *lanes; /* owned */
};

static void say_nothing(void *ctx, const char *fmt, va_list args)
{
    (void)ctx;
    (void)fmt;
    (void)args;
}

static size_t tls_options(const struct lane_tls *tls, struct MHD_OptionItem out[MAX_TLS_OPTIONS])
{
    size_t n = 0;
    if (tls != NULL) {
        out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)tls->certificate};
        out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)tls->key};
        out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)priorities};
    }
    if (tls != NULL && tls->ca != NULL) {
        out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)(uintptr_t)tls->ca};
    }
    out[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return n;
}

static bool lane_open(struct lane *lane, const struct lane_options *o, const struct lane_tls *tls, struct err *e)
{
    struct MHD_OptionItem more[MAX_TLS_OPTIONS];
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC |
                     MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (tls != NULL ? MHD_USE_TLS : 0U);
    (void)tls_options(tls, more);
    lane->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, request_on, lane, MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, request_over, lane, MHD_OPTION_NOTIFY_CONNECTION, connection_changed, lane,
        MHD_OPTION_URI_LOG_CALLBACK, request_begins, lane, MHD_OPTION_CONNECTION_TIMEOUT, o->idle_s,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->max_connections + CLOSING_CONNECTIONS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, o->max_header_bytes, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    if (lane->daemon == NULL) {
        return tls == NULL ? err_set(e, ERR_FATAL, "cannot start a thread that serves")
                           : err_set(e, ERR_CONFIG, "tls_certificate, tls_key or tls_client_ca: not usable, or the "
                                                    "key is not the certificate's");
    }
    return true;
}

bool lane_set_open(const struct lane_options *o, const struct lane_tls *tls, struct lane_set **out, struct err *e)
{
    struct lane_set *s = calloc(1, sizeof *s);
    struct lane *lanes = calloc((size_t)o->n_lanes, sizeof *lanes);
    if (s == NULL || lanes == NULL) {
        free(s);
        free(lanes);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    s->lanes = lanes;
    for (s->n = 0; s->n < o->n_lanes; s->n++) {
        struct lane *lane = &lanes[s->n];
        lane->service = o->service;
        lane->number = s->n;
        if (!lane_open(lane, o, tls, e)) {
            lane_set_close(s);
            return false;
        }
    }
    *out = s;
    return true;
}

bool lane_set_take(struct lane_set *s, int fd, const struct sockaddr *address, socklen_t len)
{
    struct lane *lane = &s->lanes[s->next++ % (unsigned)s->n];
    return MHD_add_connection(lane->daemon, fd, address, len) == MHD_YES; /* closes it when it fails */
}

void lane_set_retire(struct lane_set *s)
{
    for (int i = 0; i < s->n; i++) {
        atomic_store(&s->lanes[i].retired, true);
    }
}

size_t lane_set_connections(const struct lane_set *s)
{
    size_t n = 0;
    for (int i = 0; i < s->n; i++) {
        const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->lanes[i].daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
        n += info == NULL ? 0 : info->num_connections;
    }
    return n;
}

void lane_set_close(struct lane_set *s)
{
    if (s == NULL) {
        return;
    }
    for (int i = 0; i < s->n; i++) {
        MHD_stop_daemon(s->lanes[i].daemon);
    }
    free(s->lanes);
    free(s);
}
