/* A record that is too large is split by series into parts, of one transaction. */
#pragma once

#include "rules.h"

struct splitter {
    size_t max_bytes;   /* of an encoded part */
    struct arena arena; /* decoded shapes */
    struct buf encoded;
};

void splitter_init(struct splitter *x, size_t max_bytes);
void splitter_fini(struct splitter *x);

/* Each part, encoded; is_last: no further one follows. ERR_FATAL: one series alone is too large. */
typedef bool (*part_fn)(void *ctx, struct slice bytes, bool is_last, struct err *e);
bool rollup_split(struct splitter *x, const struct rollup *row, part_fn each, void *ctx,
                  struct err *e) MUST_CHECK;
