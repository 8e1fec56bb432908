#include "batch/rollup_commit.h"

#include <inttypes.h>

static const struct slice head = {(const uint8_t *)"rollup 1 position ", 18};
static const struct slice middle = {(const uint8_t *)" log_ms ", 8};

void rollup_commit_put(const struct rollup_commit *c, struct buf *out)
{
    buf_printf(out, "%.*s%" PRId64 "%.*s%" PRId64, SLICE_ARG(head), c->position, SLICE_ARG(middle),
               c->log_ms);
}

static bool text_take(struct slice *s, struct slice text)
{
    if (!slice_starts_with(*s, text)) {
        return false;
    }
    *s = slice_of(s->ptr + text.len, s->len - text.len);
    return true;
}

static bool number_take(struct slice *s, int64_t *out)
{
    int64_t sign = text_take(s, SLICE_LITERAL("-")) ? -1 : 1;
    size_t n = 0;
    *out = 0;
    for (; n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++) {
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, sign * (s->ptr[n] - '0'), out)) {
            return false;
        }
    }
    *s = slice_of(s->ptr + n, s->len - n);
    return n > 0;
}

bool rollup_commit_read(struct slice metadata, struct rollup_commit *out)
{
    struct slice s = metadata;
    return text_take(&s, head) && number_take(&s, &out->position) && text_take(&s, middle) &&
           number_take(&s, &out->log_ms) && s.len == 0 && out->position >= 0;
}
