#include "base/json_text.h"

#include "base/utf8.h"

void json_slice(struct buf *out, struct slice text)
{
    buf_u8(out, '"');
    while (text.len > 0) {
        size_t n = utf8_check(text);
        for (size_t i = 0; i < n; i++) {
            uint8_t c = text.ptr[i];
            if (c == '"' || c == '\\') {
                buf_u8(out, '\\');
            }
            buf_u8(out, c < 0x20 || c == 0x7f ? '?' : c);
        }
        if (n < text.len) {
            buf_u8(out, '?');
            n++;
        }
        text = slice_of(text.ptr + n, text.len - n);
    }
    buf_u8(out, '"');
}

void json_text(struct buf *out, const char *text)
{
    json_slice(out, slice_str(text));
}
