#include "named.h"

#include <time.h>

#include "base/buf.h"
#include "base/cursor.h"

enum { MAX_LABEL_TEXT = 8192 };

static bool find(struct slice text, struct slice what, size_t *at)
{
    for (size_t i = 0; i + what.len <= text.len; i++) {
        if (memcmp(text.ptr + i, what.ptr, what.len) == 0) {
            *at = i + what.len;
            return true;
        }
    }
    return false;
}

/* Up to max_digits; how many there were. */
static size_t digits(struct cursor *c, size_t max_digits, int64_t *value)
{
    size_t n = 0;
    *value = 0;
    while (n < max_digits && cursor_more(c) && *c->next >= '0' && *c->next <= '9') {
        *value = *value * 10 + (cursor_u8(c) - '0');
        n++;
    }
    return n;
}

static bool separated(struct cursor *c, char separator, int64_t *value)
{
    return cursor_u8(c) == (uint8_t)separator && digits(c, 2, value) == 2;
}

static int64_t fraction_ms(struct cursor *c)
{
    int64_t value;
    if (!cursor_more(c) || *c->next != '.') {
        return 0;
    }
    (void)cursor_u8(c);
    size_t n = digits(c, 3, &value);
    return n == 1 ? value * 100 : n == 2 ? value * 10 : value;
}

bool named_time(struct slice text, int64_t *time_ms)
{
    size_t at;
    if (!find(text, SLICE_LITERAL("timestamp="), &at)) {
        return false;
    }
    struct cursor c = cursor_of(slice_of(text.ptr + at, text.len - at));
    int64_t first, month, day, hour, minute, second;
    size_t n = digits(&c, 18, &first);
    if (n != 4) {
        *time_ms = first;
        return n > 4;
    }
    if (!separated(&c, '-', &month) || !separated(&c, '-', &day) || !separated(&c, 'T', &hour) ||
        !separated(&c, ':', &minute) || !separated(&c, ':', &second)) {
        return false;
    }
    struct tm tm = {.tm_year = (int)first - 1900,
                    .tm_mon = (int)month - 1,
                    .tm_mday = (int)day,
                    .tm_hour = (int)hour,
                    .tm_min = (int)minute,
                    .tm_sec = (int)second};
    *time_ms = (int64_t)timegm(&tm) * 1000 + fraction_ms(&c);
    return true;
}

bool named_series(struct slice text, const struct wire_shape *w, uint32_t series)
{
    struct buf want;
    buf_init(&want, MAX_LABEL_TEXT);
    struct slice name, value;
    bool all = true;
    for (size_t at = 0; all && wire_shape_label_next(w, series, &at, &name, &value);) {
        size_t behind;
        buf_reset(&want);
        buf_put_slice(&want, name);
        buf_put(&want, "=\"", 2);
        buf_put_slice(&want, value);
        buf_u8(&want, '"');
        all = buf_ok(&want) && find(text, buf_slice(&want), &behind);
    }
    buf_fini(&want);
    return all;
}
