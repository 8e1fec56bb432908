#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void err_format(struct err *e, const char *fmt, va_list args)
{
    /* A message that does not fit is cut: the place, which stands first, survives. */
    (void)vsnprintf(e->text, sizeof e->text, fmt, args);
}

bool err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    e->kind = kind;
    e->code = 0;
    err_format(e, fmt, args);
    va_end(args);
    return false;
}

bool err_set_code(struct err *e, enum err_kind kind, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    e->kind = kind;
    e->code = code;
    err_format(e, fmt, args);
    va_end(args);
    return false;
}

bool err_wrap(struct err *e, const char *fmt, ...)
{
    char inner[sizeof e->text];
    memcpy(inner, e->text, sizeof inner);

    va_list args;
    va_start(args, fmt);
    err_format(e, fmt, args);
    va_end(args);

    size_t len = strlen(e->text);
    (void)snprintf(e->text + len, sizeof e->text - len, ": %s", inner);
    return false;
}

void err_reset(struct err *e)
{
    e->kind = ERR_NONE;
    e->code = 0;
    e->text[0] = '\0';
}

int err_exit_code(const struct err *e)
{
    switch (e->kind) {
    case ERR_NONE:
        return 0;
    case ERR_CONFIG:
        return 2;
    case ERR_FENCED:
        return 3;
    case ERR_BAD_INPUT:
    case ERR_RETRY:
    case ERR_WAIT:
    case ERR_ABORT:
    case ERR_FATAL:
        return 1;
    }
    return 1;
}
