/* Places in a log as people name them: an offset, a time, a time ago. One grammar for every --from,
 * --to and reset of the operator's tool. */
#pragma once

#include "base/err.h"

#include <stdint.h>

enum moment_kind {
    MOMENT_NONE,
    MOMENT_EARLIEST,
    MOMENT_END,
    MOMENT_OFFSET,
    MOMENT_TIME,
    MOMENT_BACK
};

struct moment {
    enum moment_kind kind;
    int64_t value; /* the offset; ms since the epoch; ms back */
};

/* "earliest", "end", "4711", "-30m" (s, m, h, d), RFC 3339 ("2026-11-27T10:00:00Z", "…:00.5+01:00";
 * or with a space, without zone, seconds or the time of the day; no zone is UTC), "@1764237600"
 * (seconds since the epoch, .5 too). NULL: MOMENT_NONE. ERR_CONFIG names the option. */
bool moment_read(const char *option, const char *text, struct moment *out,
                 struct err *e) MUST_CHECK;
/* As a time, for who asks for one; now_ms counts for "-30m". False: it is none. */
bool moment_time_ms(const struct moment *m, int64_t now_ms, int64_t *out);
