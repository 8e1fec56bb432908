/* HTTP requests by libcurl's multi interface: one thread, many requests under way, connections
 * kept open; HTTP/2 where the server offers it over TLS, as many requests on a connection as it
 * allows, else 1.1. Redirects are not followed.
 * Answers come by callback, out of http_client_drive alone. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

struct http_client;
/* One request at a time, used again and again: it keeps its curl handle. */
struct http_request;

struct http_client_options {
    const char *user_agent;
    const char *ca_file; /* NULL or "" = the system's */
    int64_t connect_timeout_ms;
    size_t max_connections;
    size_t max_response_bytes; /* more of a body is read and thrown away */
};

/* Where a request goes; copied. */
struct http_target {
    const char *method; /* "POST", "PUT": with a body; "GET", "HEAD", …: without */
    const char *url;
    const char *const *headers; /* "Name: value" */
    size_t n_headers;
    int64_t timeout_ms;        /* from the start to the end of the answer */
    const char *bearer;        /* token; NULL or "" = none */
    const char *user_password; /* "user:password" for basic authentication; NULL or "" = none */
    bool direct;               /* never by a proxy, whatever the environment says */
};

/* Borrowed for the callback. */
struct http_response {
    int status;             /* 0 = no answer: see error */
    bool maybe_sent;        /* false: certainly nothing of it reached the server's program */
    bool sent_again;        /* a kept-open connection broke: curl sent it twice, on its own */
    int64_t retry_after_ms; /* of the header, seconds or date; 0 = none */
    double seconds;         /* start to end */
    struct slice body;
    bool body_is_cut;  /* it was longer than max_response_bytes */
    const char *error; /* curl's words; "" with an answer */
    const struct http_request *request;
};

/* A header of the answer by its name, in any case; NULL when absent. Valid for the callback. */
const char *http_response_header(const struct http_response *r, const char *name);
/* When the server says that it answered (Date), wall clock; 0 = it doesn't say, or not readably. */
int64_t http_response_date_ms(const struct http_response *r);

typedef void (*http_done_fn)(void *ctx, const struct http_response *response);

bool http_client_new(const struct http_client_options *o, struct http_client **out,
                     struct err *e) MUST_CHECK;
/* After all its requests are freed. */
void http_client_free(struct http_client *c);

bool http_request_new(struct http_client *c, const struct http_target *target,
                      struct http_request **out, struct err *e) MUST_CHECK;
/* One that is under way is given up without a callback. */
void http_request_free(struct http_request *r);
/* Other headers in the place of the target's, copied. Not while it is under way (an assert). */
bool http_request_set_headers(struct http_request *r, const char *const *headers, size_t n_headers,
                              struct err *e) MUST_CHECK;
/* The body is borrowed until done was called. Not while it is under way (an assert). */
bool http_request_start(struct http_request *r, struct slice body, http_done_fn done, void *ctx,
                        struct err *e) MUST_CHECK;
bool http_request_busy(const struct http_request *r);
/* Gives it up, without a callback. */
void http_request_cancel(struct http_request *r);
size_t http_client_n_busy(const struct http_client *c);

/* Moves what is under way; calls back what is done. Waits until something could be done, wake_fd
 * (-1 = none) is readable, or timeout_ms is over; not when an answer was there at once. */
bool http_client_drive(struct http_client *c, int wake_fd, int timeout_ms,
                       struct err *e) MUST_CHECK;
