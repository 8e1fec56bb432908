/* Two judges of one policy, one with skeletons, the other without: they must never differ. */
#pragma once

#include "edge/edge.h"

struct twins {
    struct edge *edges[2]; /* [1] walks everything */
    char policy_path[64];
};

/* Ends the program when it can't. cache_bytes: of each. */
void twins_open(struct twins *t, const char *policy, size_t cache_bytes);
void twins_close(struct twins *t);
/* NULL: both say the same, to the byte; otherwise where they differ. *n_accepted of the first, 0 when
 * refused. */
const char *twins_differ(struct twins *t, enum edge_format format, struct slice body, int64_t now_ms,
                         uint64_t *n_accepted);
