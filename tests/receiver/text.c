#include "text.h"

#include <time.h>

#include "base/cursor.h"
#include "base/utf8.h"

/* The next character's length; 0 when it is not UTF-8. */
static size_t character_len(struct slice s, size_t at)
{
    size_t left = s.len - at;
    for (size_t n = 1; n <= 4 && n <= left; n++) {
        if (utf8_valid(slice_of(s.ptr + at, n))) {
            return n;
        }
    }
    return 0;
}

static void character_put(struct buf *out, struct slice s, size_t *at)
{
    uint8_t byte = s.ptr[*at];
    if (byte == '"' || byte == '\\') {
        buf_printf(out, "\\%c", byte);
        *at += 1;
    } else if (byte < 0x20) {
        buf_printf(out, "\\u%04x", byte);
        *at += 1;
    } else {
        size_t n = character_len(s, *at);
        if (n == 0) {
            buf_put(out, "\xef\xbf\xbd", 3);
        } else {
            buf_put(out, s.ptr + *at, n);
        }
        *at += n == 0 ? 1 : n;
    }
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

void text_json_string(struct buf *out, struct slice s)
{
    buf_u8(out, '"');
    for (size_t at = 0; at < s.len;) {
        size_t run = at;
        while (run < s.len && is_plain(s.ptr[run])) {
            run++;
        }
        buf_put(out, s.ptr + at, run - at);
        at = run;
        if (at < s.len) {
            character_put(out, s, &at);
        }
    }
    buf_u8(out, '"');
}

void text_json_labels(struct buf *out, struct slice key)
{
    struct cursor c = cursor_of(key);
    buf_u8(out, '{');
    for (bool first = true; cursor_more(&c); first = false) {
        struct slice name = cursor_varint_bytes(&c);
        struct slice value = cursor_varint_bytes(&c);
        if (!first) {
            buf_u8(out, ',');
        }
        text_json_string(out, name);
        buf_u8(out, ':');
        text_json_string(out, value);
    }
    buf_u8(out, '}');
}

void text_series(struct buf *out, struct slice key)
{
    struct cursor c = cursor_of(key);
    buf_u8(out, '{');
    for (bool first = true; cursor_more(&c); first = false) {
        struct slice name = cursor_varint_bytes(&c);
        struct slice value = cursor_varint_bytes(&c);
        if (!first) {
            buf_put(out, ", ", 2);
        }
        size_t n_valid = utf8_check(name);
        buf_put(out, name.ptr, n_valid);
        buf_put(out, n_valid < name.len ? "\xef\xbf\xbd=" : "=", n_valid < name.len ? 4 : 1);
        text_json_string(out, value);
    }
    buf_u8(out, '}');
}

void text_time(struct buf *out, int64_t t_ms)
{
    int64_t ms = ((t_ms % 1000) + 1000) % 1000;
    time_t t_s = (time_t)((t_ms - ms) / 1000);
    struct tm tm;
    char text[40];
    if (gmtime_r(&t_s, &tm) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        buf_printf(out, "%lld ms", (long long)t_ms);
        return;
    }
    buf_printf(out, "%s.%03dZ", text, (int)ms);
}
