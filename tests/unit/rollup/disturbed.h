/* A run that is cut off again and again: it commits now and then, at times with only some of its
 * rows, loses its memory, recovers, and reads on from where the commit says or, as after a reset of
 * the group, from earlier. */
#pragma once

#include "rerun.h"

/* Runs the whole log; seed 0: undisturbed. How often it was cut off. The memory it ends with is
 * still there. */
int rerun_disturbed(struct rerun *r, uint64_t seed);
