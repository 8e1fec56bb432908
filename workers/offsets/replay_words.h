/* `plan replay` and `apply`: a replay into amp or parquet is planned and done by that sink's own
 * binary, beside this one, which has the sink's code and its configuration; of the other stages it
 * is told here what a replay of theirs would do, and what to use in its place. */
#pragma once

#include <stdbool.h>

extern const char replay_usage[];

/* argv[1] is "plan" (then "replay"), or "apply". */
bool replay_words_asked(int argc, char **argv);
int replay_words_main(int argc, char **argv);
