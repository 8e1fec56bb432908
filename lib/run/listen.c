#include "run/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* We bind, not libmicrohttpd: it could not say what is wrong. */
bool listen_open(const struct listen_place *p, int *out, struct err *e)
{
    struct sockaddr_storage where;
    socklen_t len;
    if (!address_of(p->address, p->port, &where, &len)) {
        return err_set(e, ERR_CONFIG, "%s \"%.60s\" is not an IP address", p->address_key, p->address);
    }
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int yes = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (const struct sockaddr *)&where, len) != 0 || listen(fd, p->backlog) != 0) {
        (void)err_set_code(e, ERR_CONFIG, errno,
                           "cannot listen on %s %.60s, %s %d: %s", p->address_key, p->address,
                           p->port_key, p->port, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return false;
    }
    *out = fd;
    return true;
}

int listen_port(int fd)
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
