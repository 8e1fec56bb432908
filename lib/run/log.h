/* Structured logs: one JSON object a line on stderr, {"ts","level","worker","msg",…}. Called by
 * main.c and the stage loop only (from any thread). Repeats of the same msg beyond 10 a minute are
 * held back; when the minute is over, a line with the same msg says their number ("suppressed"). */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_open(const char *worker, enum log_level least);
enum log_level log_level_of(const char *name); /* LOG_INFO when unknown */

struct log_field {
    const char *key;
    enum { LOG_TEXT, LOG_NUMBER } type;
    const char *text;
    int64_t number;
};

#define LOG_STR(k, v) ((struct log_field){.key = (k), .type = LOG_TEXT, .text = (v)})
#define LOG_INT(k, v) ((struct log_field){.key = (k), .type = LOG_NUMBER, .number = (v)})

void log_line(enum log_level level, const char *msg, const struct log_field *fields, int n_fields);

#define LOG_FIELDS(...)                                                                            \
    (const struct log_field[]){__VA_ARGS__},                                                       \
        (int)(sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

static inline void log_info(const char *msg)
{
    log_line(LOG_INFO, msg, NULL, 0);
}

static inline void log_err(enum log_level level, const char *msg, const struct err *e)
{
    log_line(level, msg, LOG_FIELDS(LOG_STR("error", e->text)));
}
