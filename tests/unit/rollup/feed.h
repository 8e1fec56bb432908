/* A generated log's records into rollup's step. */
#pragma once

#include <check.h>

#include "game.h"
#include "minute.h"

/* Check writes a line to a file for each of its asserts. */
static inline void must(bool ok, const char *text)
{
    if (!ok) {
        ck_abort_msg("%s", text);
    }
}

static inline void minute_feed(struct minute *m, const struct game_record *r)
{
    struct err e = ERR_INIT;
    struct batch b;
    struct arena a;
    arena_init(&a, 1 << 20);
    must(batch_decode(slice_of(r->bytes, r->n_bytes), &batch_default_caps, &a, &b, &e), e.text);
    must(minute_take(m, r->offset, &b, &e), e.text);
    arena_fini(&a);
}
