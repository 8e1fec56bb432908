/* One request, as libmicrohttpd tells of it:
 *
 *   headers ──► route, who, quota ──► body ──► unpack, judge ──► records out … acknowledged ──► answer
 *                  └── refused: what comes of the body is thrown away, then the answer
 *                      (a large one: the answer at once, and the connection closes) */
#pragma once

#include "service.h"

/* What the callbacks of a daemon get. */
struct lane {
    struct service *service;
    int number; /* of its judge */
    _Atomic(bool) retired;
    struct MHD_Daemon *daemon; /* owned */
};

enum request_state {
    REQUEST_RECEIVES,
    REQUEST_REFUSED, /* what comes of its body is thrown away */
    REQUEST_LINGERS, /* the same, and it was answered already */
    REQUEST_FLIES    /* its records are on their way */
};

struct request {
    struct flight flight; /* first: a struct flight * is a struct request * */
    struct service *service;
    struct lane *lane;
    struct MHD_Connection *connection;
    struct peer *peer; /* its connection's */
    enum request_state state;
    struct routed routed;
    struct tenant *tenant; /* nobody until it is known */
    bool is_loaded;        /* counts in the load */
    struct buf body;
    size_t n_body_bytes_loaded; /* what the load has of the body */
    size_t n_to_discard;        /* REQUEST_REFUSED: so much more at most */
    struct answer answer;
    bool is_answered;
    struct outcome outcome;
    int64_t body_end_ns;
};

enum MHD_Result request_on(void *lane, struct MHD_Connection *c, const char *url, const char *method,
                           const char *version, const char *upload, size_t *upload_bytes, void **state);
void request_over(void *lane, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code);
/* A request's line has been read. */
void *request_begins(void *lane, const char *uri, struct MHD_Connection *c);
void connection_changed(void *lane, struct MHD_Connection *c, void **peer,
                        enum MHD_ConnectionNotificationCode code);
/* What service.flights needs. */
void request_landed(void *service, struct flight *f);
void request_free(struct flight *f);
