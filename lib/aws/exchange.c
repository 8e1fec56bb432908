#include "aws/exchange.h"

#include "aws/credentials_parse.h"
#include "base/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>

enum { CONNECT_TIMEOUT_MS = 1500, FIRST_PAUSE_MS = 200, STEP_MS = 1000 };

bool exchange_open(struct exchange *x, const char *user_agent, int stop_fd, struct err *e)
{
    const struct http_client_options o = {.user_agent = user_agent,
                                          .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                          .max_connections = 2,
                                          .max_response_bytes = CREDENTIALS_MAX_ANSWER_BYTES};
    *x = (struct exchange){.stop_fd = stop_fd};
    buf_init(&x->answer, CREDENTIALS_MAX_ANSWER_BYTES);
    return http_client_new(&o, &x->client, e);
}

void exchange_close(struct exchange *x)
{
    http_client_free(x->client);
    x->client = NULL;
    buf_fini(&x->answer);
}

struct waiting {
    struct exchange *exchange;
    bool done;
    bool ok;
    struct err *e;
};

static void on_done(void *ctx, const struct http_response *r)
{
    struct waiting *w = ctx;
    struct exchange *x = w->exchange;
    w->done = true;
    x->status = r->status;
    if (r->status == 0) {
        (void)err_set(w->e, ERR_RETRY, "no answer: %.150s", r->error);
    } else if (r->body_is_cut) {
        (void)err_set(w->e, ERR_BAD_INPUT, "an answer of more than %d bytes",
                      CREDENTIALS_MAX_ANSWER_BYTES);
    } else {
        buf_put_slice(&x->answer, r->body);
        w->ok = buf_ok(&x->answer) || err_set(w->e, ERR_RETRY, "out of memory");
    }
}

static bool is_stopped(const struct exchange *x)
{
    struct pollfd p = {.fd = x->stop_fd, .events = POLLIN};
    return x->stop_fd >= 0 && poll(&p, 1, 0) == 1;
}

static bool await(struct waiting *w, struct err *e)
{
    while (!w->done) {
        if (!http_client_drive(w->exchange->client, w->exchange->stop_fd, STEP_MS, e)) {
            return false;
        }
        if (!w->done && is_stopped(w->exchange)) {
            return err_set(e, ERR_RETRY, "stopped");
        }
    }
    return w->ok;
}

/* Once. False: no answer (ERR_RETRY), or the answer was too long (ERR_BAD_INPUT). */
static bool exchange_once(struct exchange *x, const struct http_target *target, struct slice body,
                          struct err *e)
{
    struct http_request *r = NULL;
    struct waiting w = {.exchange = x, .e = e};
    x->status = 0;
    buf_reset(&x->answer);
    if (x->client == NULL) {
        return err_set(e, ERR_RETRY, "offline");
    }
    bool ok = http_request_new(x->client, target, &r, e) &&
              http_request_start(r, body, on_done, &w, e) && await(&w, e);
    http_request_free(r);
    return ok;
}

bool exchange_pause(const struct exchange *x, int attempt)
{
    uint32_t random = 0;
    (void)!getrandom(&random, sizeof random, 0);
    int longest_ms = FIRST_PAUSE_MS << attempt;
    struct pollfd p = {.fd = x->stop_fd, .events = POLLIN};
    return poll(&p, x->stop_fd < 0 ? 0 : 1,
                longest_ms / 2 + (int)(random % (uint32_t)(longest_ms / 2))) == 0;
}

static bool is_passing(int status)
{
    return status == 0 || status == 429 || status >= 500;
}

bool exchange_until_ok(struct exchange *x, const struct http_target *target, struct slice body,
                       struct err *e)
{
    for (int attempt = 0;; attempt++) {
        bool ok = exchange_once(x, target, body, e);
        if (ok && x->status == 200) {
            return true;
        }
        if (ok) {
            (void)err_set(e, ERR_RETRY, "status %d", x->status);
        }
        if (e->kind == ERR_BAD_INPUT || !is_passing(x->status) ||
            attempt + 1 == EXCHANGE_ATTEMPTS || x->client == NULL || !exchange_pause(x, attempt)) {
            return false;
        }
    }
}
