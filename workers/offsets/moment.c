#include "moment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_BACK = 1000000 };

static bool read_back(const char *text, struct moment *out)
{
    char *end = NULL;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    int64_t unit_ms = *end == 's' ? 1000 : *end == 'm' ? 60000 : *end == 'h' ? 3600000 : *end == 'd' ? 86400000 : 0;
    *out = (struct moment){MOMENT_BACK, -n * unit_ms};
    return errno == 0 && n < 0 && n > -MAX_BACK && unit_ms > 0 && end[1] == '\0';
}

static bool read_offset(const char *text, struct moment *out)
{
    char *end = NULL;
    errno = 0;
    *out = (struct moment){MOMENT_OFFSET, strtoll(text, &end, 10)};
    return errno == 0 && end != text && *end == '\0' && out->value >= 0;
}

static bool read_epoch(const char *text, struct moment *out)
{
    char *end = NULL;
    double seconds = strtod(text, &end);
    bool ok = end != text && *end == '\0' && seconds >= 0 && seconds < 1e11;
    *out = (struct moment){MOMENT_TIME, ok ? (int64_t)(seconds * 1000 + 0.5) : 0};
    return ok;
}

static bool read_date(const char *text, struct moment *out)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ",  "%Y-%m-%d %H:%M:%S UTC",
                                        "%Y-%m-%dT%H:%M:%S",  "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
                                        "%Y-%m-%d %H:%M",     "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end != NULL && *end == '\0') {
            *out = (struct moment){MOMENT_TIME, (int64_t)timegm(&tm) * 1000};
            return true;
        }
    }
    return false;
}

bool moment_read(const char *option, const char *text, struct moment *out, struct err *e)
{
    *out = (struct moment){MOMENT_NONE, 0};
    if (text == NULL) {
        return true;
    }
    if (strcmp(text, "earliest") == 0 || strcmp(text, "end") == 0) {
        out->kind = text[1] == 'a' ? MOMENT_EARLIEST : MOMENT_END;
        return true;
    }
    bool ok = text[0] == '-'   ? read_back(text, out)
              : text[0] == '@' ? read_epoch(text + 1, out)
                               : read_offset(text, out) || read_date(text, out);
    return ok || err_set(e, ERR_CONFIG,
                         "%s %.40s: neither earliest, end, an offset, -30m (s, m, h, d) nor a time like "
                         "2026-11-27T10:00:00Z or @1764237600",
                         option, text);
}

bool moment_time_ms(const struct moment *m, int64_t now_ms, int64_t *out)
{
    *out = m->kind == MOMENT_BACK ? now_ms - m->value : m->value;
    return m->kind == MOMENT_BACK || m->kind == MOMENT_TIME;
}
