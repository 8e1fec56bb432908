/* A listening TCP socket, non-blocking: of the admin server and of the gateway. */
#pragma once

#include "base/err.h"

/* port 0: any free one. On success *out is the caller's to close. ERR_CONFIG: no IP address, or
 * the port is not to be had. */
bool listen_open(const char *address, int port, int backlog, int *out, struct err *e) MUST_CHECK;
/* The port that it got. */
int listen_port(int fd);
