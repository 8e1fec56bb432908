/* The admin server: GET /metrics (Prometheus text), /healthz (alive), /ready (200 or 503, with
 * JSON detail). libmicrohttpd, a thread of its own; bound to http_address:http_port (0 = any free
 * port, read back by admin_port). */
#pragma once

#include "run/metrics.h"

struct admin;

/* A page of the worker's own: fills body (JSON). Called on the server's thread. */
struct admin_page {
    const char *path;
    void (*print)(void *ctx, struct buf *body);
};

struct admin_options {
    const char *address;
    int port;
    struct metrics *metrics;
    /* Fills detail with a JSON object; true = ready. Called on the server's thread. */
    bool (*ready)(void *ctx, struct buf *detail);
    /* True = alive: the loop has come round lately. */
    bool (*alive)(void *ctx);
    /* Called before /metrics is printed, may be NULL. */
    void (*refresh)(void *ctx);
    void *ctx;
    const struct admin_page *pages; /* NULL path last; may be NULL */
    void *pages_ctx;
};

bool admin_start(const struct admin_options *o, struct admin **out, struct err *e) MUST_CHECK;
void admin_stop(struct admin *a);
int admin_port(const struct admin *a);
