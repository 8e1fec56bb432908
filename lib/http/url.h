/* The parts of a URL, as curl understands it, so that what is checked is what is connected to. */
#pragma once

#include "base/err.h"

enum { HTTP_URL_MAX_CHARS = 2048, HTTP_HOST_MAX_CHARS = 255 };

struct http_url {
    bool is_https;
    char host[HTTP_HOST_MAX_CHARS + 1];          /* IPv6 in brackets */
    char authority[HTTP_HOST_MAX_CHARS + 1 + 8]; /* the Host header: ":port" only if it was given */
    char path[HTTP_URL_MAX_CHARS + 1];           /* "/" at least */
    char query[HTTP_URL_MAX_CHARS + 1];          /* without "?"; "" = none */
};

/* ERR_CONFIG unless it is http or https, with a host, without user or password. */
bool http_url_parse(const char *url, struct http_url *out, struct err *e) MUST_CHECK;
/* 127.0.0.0/8, [::1] or localhost: what is sent there doesn't leave the machine. */
bool http_url_is_loopback(const struct http_url *u);
