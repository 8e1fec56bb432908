/* What the tools of the flow tests share: they read all of stdin, and end at the first thing that is wrong. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/slice.h"

#define MAX_INPUT_BYTES ((size_t)4 << 30)

static inline void die(const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
    exit(2);
}

static inline void *or_die(void *p)
{
    if (p == NULL) {
        die("out of memory");
    }
    return p;
}

static inline struct slice read_all(FILE *f)
{
    size_t cap = 1 << 20;
    size_t len = 0;
    uint8_t *bytes = or_die(malloc(cap));
    for (size_t n; (n = fread(bytes + len, 1, cap - len, f)) > 0;) {
        len += n;
        if (len == cap && cap < MAX_INPUT_BYTES) {
            cap *= 2;
            bytes = or_die(realloc(bytes, cap));
        }
    }
    return slice_of(bytes, len);
}
