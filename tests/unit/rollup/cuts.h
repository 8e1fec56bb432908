/* Recovery tried out wherever a run can be cut off: for each commit that could have been made, the
 * rest of the log gives the rows that it gave undisturbed, in their order, and further commits say
 * the same. So what comes after several cuts is right as well: each goes on from where the run
 * without them would have been. */
#pragma once

#include "rerun.h"

struct cuts {
    size_t n;       /* commits tried */
    size_t n_wrong; /* of these */
};

/* calm: ready to begin. Tells the first ones that are wrong on stderr. */
struct cuts cuts_try_all(struct rerun *calm);
