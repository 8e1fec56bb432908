#include "run/show.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <time.h>

/* C0, DEL, and C1 in UTF-8. */
static bool is_control(struct slice text, size_t i)
{
    return text.ptr[i] < 0x20 || text.ptr[i] == 0x7f ||
           (text.ptr[i] == 0xc2 && i + 1 < text.len && text.ptr[i + 1] < 0xa0);
}

void show_text(struct buf *out, struct slice text)
{
    size_t i = 0;
    while (i < text.len) {
        struct slice rest = slice_of(text.ptr + i, text.len - i);
        size_t n_valid = utf8_check(rest);
        if (n_valid == 0) {
            buf_u8(out, '?');
            i++;
            continue;
        }
        for (size_t end = i + n_valid; i < end; i++) {
            bool control = is_control(text, i);
            i += control && text.ptr[i] == 0xc2;
            buf_u8(out, control ? '?' : text.ptr[i]);
        }
    }
}

void show_time(struct buf *out, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm tm;
    char text[64];
    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0) {
        buf_printf(out, "%" PRId64 " ms", time_ms);
        return;
    }
    buf_printf(out, "%s", text);
}

void show_duration(struct buf *out, int64_t ms)
{
    int64_t s = ms / 1000;
    if (s >= 86400) {
        buf_printf(out, "%" PRId64 "d %" PRId64 "h", s / 86400, s % 86400 / 3600);
    } else if (s >= 3600) {
        buf_printf(out, "%" PRId64 "h %" PRId64 "m", s / 3600, s % 3600 / 60);
    } else if (s >= 60) {
        buf_printf(out, "%" PRId64 "m %" PRId64 "s", s / 60, s % 60);
    } else {
        buf_printf(out, "%" PRId64 "s", s);
    }
}
