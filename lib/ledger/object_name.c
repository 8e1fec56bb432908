#include "ledger/object_name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 19 };
static const char ending[] = ".parquet";

/* A number in front of `end`, back to the '-' before it. */
static bool number_before(struct slice text, size_t *end, int64_t *out)
{
    char digits[MAX_DIGITS + 1];
    const uint8_t *dash = *end == 0 ? NULL : memrchr(text.ptr, '-', *end);
    size_t start = dash == NULL ? 0 : (size_t)(dash - text.ptr) + 1;
    size_t n = *end - start;
    if (dash == NULL || n == 0 || n > MAX_DIGITS) {
        return false;
    }
    memcpy(digits, text.ptr + start, n);
    digits[n] = '\0';
    *end = start - 1;
    errno = 0;
    *out = strtoll(digits, NULL, 10);
    return errno == 0 && strspn(digits, "0123456789") == n;
}

bool object_name_read(struct slice key, struct object_name *out)
{
    const uint8_t *slash = key.len == 0 ? NULL : memrchr(key.ptr, '/', key.len);
    size_t folders = slash == NULL ? 0 : (size_t)(slash - key.ptr) + 1;
    struct slice name = slice_of(key.ptr + folders, key.len - folders);
    size_t end = name.len;
    int64_t partition;
    if (!slice_ends_with(name, slice_str(ending))) {
        return false;
    }
    end -= sizeof ending - 1;
    if (!number_before(name, &end, &out->last) || !number_before(name, &end, &out->first) ||
        !number_before(name, &end, &partition) || end < OBJECT_NAME_ID_CHARS + 2 ||
        name.ptr[end - OBJECT_NAME_ID_CHARS - 1] != '-' || partition > INT32_MAX ||
        out->last < out->first) {
        return false;
    }
    out->partition = (int32_t)partition;
    out->topic = slice_of(name.ptr, end - OBJECT_NAME_ID_CHARS - 1);
    out->topic_id = slice_of(name.ptr + end - OBJECT_NAME_ID_CHARS, OBJECT_NAME_ID_CHARS);
    return true;
}
