/* `plan replay` of the stages that a replay does nothing to: what validate, limit and rollup have had
 * they know again. The log is read as for any plan, and what it would come to is told in numbers,
 * with what to use instead; there is nothing to apply. */
#pragma once

#include <stdbool.h>

bool replay_is_useless(const char *stage);
/* argv is that of a worker: …, "replay", "plan", options. Returns the exit code. */
int replay_useless_main(const char *stage, int argc, char **argv);
