/* AWS Signature Version 4: the Authorization header, and the query form (a presigned URL).
 *
 *   canonical request ──SHA-256──► string to sign ──HMAC(key of day, region, service)──► signature
 *
 * Pure: no I/O, no clock. Source: "Create a signed AWS API request" (AWS IAM User Guide), and for
 * the S3 rules "Authenticating Requests (AWS Signature Version 4)" (S3 API Reference). */
#pragma once

#include "aws/keys.h"
#include "base/arena.h"
#include "base/err.h"

enum { SIGV4_HASH_CHARS = 64 };

/* In the place of a payload's hash, where the service allows it (S3 over TLS). */
#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
#define SIGV4_EMPTY_PAYLOAD "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* How a request's path becomes the canonical one. */
enum sigv4_path {
    SIGV4_PATH_NORMAL,  /* dot segments and empty ones removed, then encoded once more */
    SIGV4_PATH_ENCODED, /* as it stands, encoded once more */
    SIGV4_PATH_S3       /* as it stands: a key is any bytes, and is encoded once only */
};

struct sigv4_scope {
    const char *region;
    const char *service; /* "aps", "s3", "kafka-cluster" */
    enum sigv4_path path;
};

/* What is sent, as it is sent; borrowed for the call. */
struct sigv4_request {
    const char *method;
    struct slice path;          /* percent-encoded; "" = "/" */
    struct slice query;         /* percent-encoded, without "?" */
    const char *const *headers; /* "Name: value": those to sign; "Host: …" must be among them */
    size_t n_headers;
    const char *payload_hash; /* sigv4_hash of the body, or one of the two above; NULL = empty */
};

/* Headers to send besides, "Name: value"; in the arena. */
struct sigv4_signed {
    const char *
        headers[4]; /* X-Amz-Date, X-Amz-Security-Token, X-Amz-Content-Sha256 (S3), Authorization */
    size_t n_headers;
};

/* Lower-case hex and a NUL. */
bool sigv4_hash(struct slice payload, char hex[SIGV4_HASH_CHARS + 1], struct err *e) MUST_CHECK;

/* ERR_BAD_INPUT: the request can't be signed (no host, a line break in a header, …). ERR_RETRY: no
 * memory. */
bool sigv4_sign(const struct aws_keys *keys, const struct sigv4_scope *scope,
                const struct sigv4_request *request, int64_t now_ms, struct arena *a,
                struct sigv4_signed *out, struct err *e) MUST_CHECK;

struct sigv4_presigning {
    int64_t now_ms;
    int64_t lifetime_s; /* 1 … 604800 */
};

/* *query is the whole query string, the signature last; in the arena. */
bool sigv4_presign(const struct aws_keys *keys, const struct sigv4_scope *scope,
                   const struct sigv4_request *request, const struct sigv4_presigning *p,
                   struct arena *a, struct slice *query, struct err *e) MUST_CHECK;
