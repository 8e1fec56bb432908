/* The threads that serve: a lane is one thread with its own epoll (a libmicrohttpd daemon without a
 * listening socket), to which accepted connections are handed. A set is one lane per judge, all
 * plain or all TLS. New certificates are a new set: it gets the new connections, while the old one
 * serves its own to the end, telling each to close. */
#pragma once

#include "request.h"

struct lane_set;

/* PEM texts. No ca: client certificates are not asked for. */
struct lane_tls {
    const char *certificate;
    const char *key;
    const char *ca;
};

struct lane_options {
    struct service *service;
    int n_lanes;
    size_t max_connections; /* in all; how they spread over the lanes is not foreseen */
    size_t max_header_bytes;
    unsigned idle_s; /* without any byte */
};

/* tls NULL: plain HTTP. ERR_CONFIG: certificate, key or CA are not to be used. */
bool lane_set_open(const struct lane_options *o, const struct lane_tls *tls, struct lane_set **out,
                   struct err *e) MUST_CHECK;
/* Hands on a connection, which is then the lanes' to close, whatever happens. False: it is closed
 * already, and connection_changed will not tell of it. */
bool lane_set_take(struct lane_set *s, int fd, const struct sockaddr *address, socklen_t len) MUST_CHECK;
/* From now on each answer closes its connection. */
void lane_set_retire(struct lane_set *s);
size_t lane_set_connections(const struct lane_set *s);
/* Closes what is left. No connection may be asleep. */
void lane_set_close(struct lane_set *s);
