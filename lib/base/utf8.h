/* UTF-8 validity (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
#pragma once

#include "base/slice.h"

/* The offset of the first byte that is not valid, or s.len when all is. */
size_t utf8_check(struct slice s);

static inline bool utf8_valid(struct slice s)
{
    return utf8_check(s) == s.len;
}

/* How many bytes of s fit into max_bytes without cutting a character. */
size_t utf8_fit(struct slice s, size_t max_bytes);
