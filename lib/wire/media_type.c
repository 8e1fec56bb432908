#include "wire/media_type.h"

#include <strings.h>

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '"')) {
        s = slice_of(s.ptr + 1, s.len - 1);
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '"')) {
        s.len--;
    }
    return s;
}

struct slice media_type_parameter(struct slice header, const char *name)
{
    size_t n = strlen(name);
    size_t end;
    for (size_t at = 0; at < header.len; at = end + 1) {
        const uint8_t *found = memchr(header.ptr + at, ';', header.len - at);
        end = found == NULL ? header.len : (size_t)(found - header.ptr);
        struct slice part = trimmed(slice_of(header.ptr + at, end - at));
        if (part.len > n && part.ptr[n] == '=' && strncasecmp((const char *)part.ptr, name, n) == 0) {
            return trimmed(slice_of(part.ptr + n + 1, part.len - n - 1));
        }
    }
    return SLICE_NONE;
}

bool media_type_is(struct slice header, const char *type)
{
    size_t n = strlen(type);
    return header.len >= n && strncasecmp((const char *)header.ptr, type, n) == 0 &&
           (header.len == n || header.ptr[n] == ';' || header.ptr[n] == ' ');
}
