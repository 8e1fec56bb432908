#include "base/duration.h"

enum { MAX_NUMBER = 100000000 };

static int64_t unit_ms(char unit)
{
    return unit == 's' ? 1000 : unit == 'm' ? 60000 : unit == 'h' ? 3600000 : unit == 'd' ? 86400000 : 0;
}

bool duration_read(const char *text, int64_t *out_ms)
{
    int64_t n = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && n < MAX_NUMBER; at++) {
        n = n * 10 + (*at - '0');
    }
    *out_ms = n * unit_ms(*at);
    return at != text && n < MAX_NUMBER && unit_ms(*at) > 0 && at[1] == '\0';
}
