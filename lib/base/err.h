/* Errors: one idiom for the whole project. A function that can fail returns bool and takes a
 * struct err *; true = ok; on false the err is set. The kind names what the caller has to do,
 * the text says where and why, and grows outward by err_wrap:
 * "metrics.ingest[3]@9182: resource 2: label 3: bad UTF-8 at byte 17". */
#pragma once

#include <stdbool.h>

enum err_kind {
    ERR_NONE = 0,
    ERR_BAD_INPUT, /* dead-letter it, count it, go on */
    ERR_RETRY,     /* try the same call again */
    ERR_WAIT,      /* not now: hold the input back and call again a little later */
    ERR_ABORT,     /* abort the transaction and rewind */
    ERR_FATAL,     /* exit 1 */
    ERR_CONFIG,    /* exit 2 */
    ERR_FENCED     /* a twin took over: exit 3 */
};

struct err {
    enum err_kind kind;
    int code; /* the callee's own number (errno, a librdkafka code, a policy reason), or 0 */
    char text[240];
};

#define ERR_INIT {.kind = ERR_NONE}
#define MUST_CHECK __attribute__((warn_unused_result))

/* Sets the error and returns false, so that a check reads `return err_set(e, …)`. */
bool err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool err_set_code(struct err *e, enum err_kind kind, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts context in front of the text; returns false. */
bool err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_reset(struct err *e);
/* The exit code that a main function returns for this error: 1, 2 or 3. */
int err_exit_code(const struct err *e);
