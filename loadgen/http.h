/* HTTP requests of the verifier, one after the other (libcurl). */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct http;

struct http *http_open(void);
void http_close(struct http *h);
/* Remote read's POST: a protobuf body in snappy's block format. The answer goes into out. */
bool http_remote_read(struct http *h, const char *url, struct slice body, struct buf *out,
                      struct err *e) MUST_CHECK;
/* A POST of a form (name=value&...). The answer goes into out. */
bool http_form(struct http *h, const char *url, struct slice form, struct buf *out,
               struct err *e) MUST_CHECK;
/* Each piece of the answer as it comes; false from the callback ends it (with its error in e). */
typedef bool (*http_piece)(void *ctx, struct slice piece, struct err *e);
bool http_get(struct http *h, const char *url, http_piece piece, void *ctx,
              struct err *e) MUST_CHECK;
