/* Who the worker is to the store: the headers of a request that say so.
 *
 *   none, basic   the same headers always
 *   bearer        a token, from a file that may change
 *   sigv4         AWS Signature Version 4, service aps: each request, and each time it is sent */
#pragma once

#include "base/err.h"
#include "base/slice.h"
#include "run/config.h"

#include <stdint.h>

enum auth_kind { AUTH_NONE, AUTH_SIGV4, AUTH_BASIC, AUTH_BEARER };

/* "" = not said. Strings live as long as the auth. */
struct auth_options {
    enum auth_kind kind;
    const char *url;
    const char *region; /* else that of AWS's host in url, else the environment's */
    int64_t refresh_ms; /* credentials that were denied are fetched again no sooner */
    const char *username;
    const char *password;
    const char *bearer_token;
    const char *bearer_token_file;
    const char *org_id; /* X-Scope-OrgID */
};

/* Reads the keys of worker.h. ERR_CONFIG names the key that is wrong or missing; files are looked
 * at, nobody is asked. */
bool auth_options_of(const struct config *c, struct auth_options *out, struct err *e) MUST_CHECK;
/* The region that signs: out has room for REGION_MAX_CHARS and a NUL. */
bool auth_region(const struct auth_options *o, char *out, size_t n_out, struct err *e) MUST_CHECK;
/* "aps-workspaces.eu-west-1.amazonaws.com" and its like → "eu-west-1"; false: another host. */
bool auth_region_of_host(const char *host, char *out, size_t n_out);

struct auth;

/* With sigv4 starts fetching credentials and waits some seconds for the first. What is wrong for
 * good is ERR_CONFIG; where only nobody answers yet it is true, and auth_trouble tells. */
bool auth_new(const struct auth_options *o, struct auth **out, struct err *e) MUST_CHECK;
void auth_free(struct auth *a);

/* Does auth_headers differ from one request to the next? */
bool auth_is_per_request(const struct auth *a);
/* "user:password"; "" = none. */
const char *auth_user_password(const struct auth *a);

struct auth_request {
    const char *const *headers; /* "Name: value": what the request has besides */
    size_t n_headers;
    struct slice body;
    int64_t now_ms; /* wall clock */
};

/* All headers to send, borrowed until the next call. ERR_RETRY: there is nothing to sign with. */
bool auth_headers(struct auth *a, const struct auth_request *r, const char *const **headers,
                  size_t *n_headers, struct err *e) MUST_CHECK;

/* Is the answer about who asks, and not about what was sent? error_type: the header
 * x-amzn-ErrorType, NULL = none. */
bool auth_is_denial(const struct auth *a, int status, const char *error_type);
/* Somebody was denied: fetch the credentials, read the token again. */
void auth_renew(struct auth *a);
/* Why there are no (fresh) credentials; "" = there are. Valid until the next call. */
const char *auth_trouble(struct auth *a);
/* What the store said, with whatever repeats a secret masked; valid until the next call. */
struct slice auth_mask(struct auth *a, struct slice text);
