/* Where a writer's bytes go in tests: kept, but for one write that fails as on a full disk. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct sink {
    struct buf bytes;
    int n_writes;
    int fail_at; /* -1: never */
};

static inline bool sink_write(void *context, struct slice bytes, struct err *e)
{
    struct sink *sink = context;
    if (sink->n_writes++ == sink->fail_at) {
        return err_set_code(e, ERR_RETRY, 28, "no space left");
    }
    buf_put_slice(&sink->bytes, bytes);
    return true;
}

static inline struct sink sink_of(int fail_at)
{
    struct sink s = {.fail_at = fail_at};
    buf_init(&s.bytes, 64 << 20);
    return s;
}
