/* Requests to one S3 bucket: signed, retried with jitter, over kept-open connections; many at a
 * time, on one thread, answers by callback out of s3_drive alone. What the requests are is
 * s3_object.h's. */
#pragma once

#include "aws/credentials.h"
#include "http/client.h"

struct s3;
struct s3_call;

struct s3_options {
    const char *bucket;
    const char *region;
    const char *endpoint; /* "http://127.0.0.1:9000"; NULL or "" = AWS's, of the region */
    bool path_style; /* endpoint/bucket/key; also for a bucket with dots, which TLS names can't have
                      */
    bool fips;       /* of AWS's own endpoints */
    bool dual_stack;
    const char *ca_file;
    const char *user_agent;
    int64_t timeout_ms; /* of one attempt */
    int max_attempts;
    int64_t min_backoff_ms; /* doubles up to max_backoff_ms, half of it random */
    int64_t max_backoff_ms;
    size_t max_connections;
    size_t max_answer_bytes;
    struct credentials *credentials; /* the caller's, for longer than the s3 */
};

bool s3_open(const struct s3_options *o, struct s3 **out, struct err *e) MUST_CHECK;
/* Gives calls under way up, without callbacks. */
void s3_close(struct s3 *s);

/* What is borrowed is so until done was called. */
struct s3_request {
    const char *method;
    struct slice key;           /* raw; empty = the bucket itself */
    const char *query;          /* percent-encoded, "uploads="; NULL = none */
    const char *const *headers; /* "Name: value", besides Host and the signature's */
    size_t n_headers;
    struct slice body;
};

/* For the callback. */
struct s3_answer {
    const struct http_response *response; /* the last; headers by http_response_header */
    int status;                           /* 2xx, 304, 404 or 412, when ok */
    const char *code;                     /* of S3's error, "PreconditionFailed"; "" = none */
    int n_attempts;
    bool maybe_stored; /* an earlier attempt may have been carried out: 412 may be one's own */
    const struct err
        *e; /* NULL = ok; else ERR_RETRY (attempts are used up), ERR_CONFIG (denied, no bucket) */
};

typedef void (*s3_done_fn)(void *ctx, const struct s3_answer *answer);

bool s3_start(struct s3 *s, const struct s3_request *r, s3_done_fn done, void *ctx,
              struct err *e) MUST_CHECK;
/* Moves what is under way, and starts what is to be tried again; waits up to timeout_ms. */
bool s3_drive(struct s3 *s, int wake_fd, int timeout_ms, struct err *e) MUST_CHECK;
