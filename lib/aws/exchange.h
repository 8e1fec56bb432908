/* One HTTP request and its answer, waited for, tried a few times: what the endpoints of credentials
 * need. Answers are bounded (64 KiB), and so is the time. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "http/client.h"

enum { EXCHANGE_ATTEMPTS = 3 };

struct exchange {
    struct http_client *client; /* NULL: offline, each request fails as if nobody answered */
    int stop_fd; /* readable = give up; -1 = never */
    int status;  /* of the last answer; 0 = none */
    struct buf answer;
};

bool exchange_open(struct exchange *x, const char *user_agent, int stop_fd,
                   struct err *e) MUST_CHECK;
void exchange_close(struct exchange *x);

/* Until the status is 200: again, up to three times, after no answer, 429 or 5xx. Any other status,
 * and the last one, is ERR_RETRY. */
bool exchange_until_ok(struct exchange *x, const struct http_target *target, struct slice body,
                       struct err *e) MUST_CHECK;
/* Waits, with jitter, as attempt (from 0) asks for; false when stopped. */
bool exchange_pause(const struct exchange *x, int attempt);
