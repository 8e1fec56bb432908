/* A line on stderr now and then, for who waits at a terminal: nothing in scripts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    int64_t told_mono_ms; /* 0 = not yet: the first is due at once */
};

/* Is a line due? Then it counts as told. */
bool progress_due(struct progress *p);
