/* A listening TCP socket, non-blocking: of the admin server and of the gateway. */
#pragma once

#include "base/err.h"

struct listen_place {
    const char *address;
    int port; /* 0 = any free one */
    int backlog;
    /* The configuration's keys, for messages. */
    const char *address_key;
    const char *port_key;
};

/* On success *out is the caller's to close. ERR_CONFIG: no IP address, or the port is not to be
 * had. */
bool listen_open(const struct listen_place *where, int *out, struct err *e) MUST_CHECK;
/* The port that it got. */
int listen_port(int fd);
