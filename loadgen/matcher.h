/* Which of the model's series a stored one is, by metric name and labels: all of them, exactly. */
#pragma once

#include "base/table.h"
#include "batch/series.h"
#include "model.h"

enum { MAX_IGNORED = 16 };

enum match {
    MATCH_OURS,
    MATCH_OTHER,     /* of no server of this load */
    MATCH_UNEXPECTED /* of one of its servers, but no series of it, or with other labels */
};

struct matcher {
    const struct model *model; /* borrowed */
    struct table by_name;      /* (metric, dimension's value) → series + 1 */
    const char *ignored[MAX_IGNORED]; /* labels that do not count; borrowed */
    uint32_t n_ignored;
};

bool matcher_init(struct matcher *t, const struct model *m, struct err *e) MUST_CHECK;
void matcher_fini(struct matcher *t);
/* server is set unless MATCH_OTHER, series only with MATCH_OURS. A label "__name__" is passed over.*/
enum match matcher_find(struct matcher *t, struct slice metric, const struct label *labels,
                        uint32_t n_labels, uint32_t *server, uint32_t *series);
