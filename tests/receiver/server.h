/* HTTP around the double (libmicrohttpd): the write paths and the API that main.c documents. */
#pragma once

#include "receiver.h"

struct MHD_Daemon;

struct server_options {
    const char *address;
    uint16_t port;      /* 0 = any free one */
    unsigned n_threads; /* count mode: epoll threads; else each connection has its own */
};

/* NULL: e says why (ERR_CONFIG). port: the one in use. */
struct MHD_Daemon *server_open(struct receiver *rx, const struct server_options *options,
                               uint16_t *port, struct err *e) MUST_CHECK;
void server_close(struct receiver *rx, struct MHD_Daemon *daemon);
