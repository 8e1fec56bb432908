#include "replay/moment.h"

#include "base/duration.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool read_back(const char *text, struct moment *out)
{
    *out = (struct moment){.kind = MOMENT_BACK};
    return duration_read(text + 1, &out->value);
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

/* What may stand behind a time of the day; nothing is UTC, as "Z" is. */
static bool read_zone(const char *text, int64_t *ahead_ms)
{
    int hours;
    int minutes;
    int n = 0;
    *ahead_ms = 0;
    if (text[0] == '\0' || strcmp(text, "Z") == 0 || strcmp(text, "z") == 0 ||
        strcmp(text, " UTC") == 0) {
        return true;
    }
    if ((text[0] != '+' && text[0] != '-') ||
        sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 || text[1 + n] != '\0') {
        return false;
    }
    *ahead_ms = (text[0] == '-' ? -1 : 1) * (hours * INT64_C(3600000) + minutes * INT64_C(60000));
    return true;
}

/* ".25": the digits behind the seconds; *text moves behind them. */
static int64_t read_fraction_ms(const char **text)
{
    int64_t ms = 0;
    int64_t digit_ms = 100;
    if (**text != '.' || !isdigit((unsigned char)(*text)[1])) {
        return 0;
    }
    for ((*text)++; isdigit((unsigned char)**text); (*text)++, digit_ms /= 10) {
        ms += (**text - '0') * digit_ms;
    }
    return ms;
}

static bool read_date(const char *text, struct moment *out)
{
    struct tm tm = {0};
    int64_t ahead_ms = 0;
    int64_t part_ms = 0;
    const char *at = strptime(text, "%Y-%m-%d", &tm);
    if (at != NULL && *at != '\0') {
        const char *minutes = strptime(at, *at == 'T' ? "T%H:%M" : " %H:%M", &tm);
        const char *seconds = minutes == NULL ? NULL : strptime(minutes, ":%S", &tm);
        at = seconds == NULL ? minutes : seconds;
        part_ms = seconds == NULL ? 0 : read_fraction_ms(&at);
        if (at == NULL || !read_zone(at, &ahead_ms)) {
            return false;
        }
    }
    *out = (struct moment){MOMENT_TIME, (int64_t)timegm(&tm) * 1000 + part_ms - ahead_ms};
    return at != NULL && out->value >= 0;
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
    return ok ||
           err_set(e, ERR_CONFIG,
                   "%s %.40s: neither earliest, end, an offset, -30m (s, m, h, d) nor a time like "
                   "2026-11-27T10:00:00Z or @1764237600",
                   option, text);
}

bool moment_time_ms(const struct moment *m, int64_t now_ms, int64_t *out)
{
    *out = m->kind == MOMENT_BACK ? now_ms - m->value : m->value;
    return m->kind == MOMENT_BACK || m->kind == MOMENT_TIME;
}
