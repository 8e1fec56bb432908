/* What every worker's main does before and after its own part: configuration, logs, metrics.
 *
 *   int main(int argc, char **argv) { return program_main(&program, argc, argv, run); } */
#pragma once

#include "run/config.h"
#include "run/metrics.h"

/* The worker's own part; returns the exit code. Both are borrowed until it returns. */
typedef int (*program_fn)(const struct config *config, struct metrics *metrics);

/* The table needs the key "log_level". A configuration that is wrong is one line on stderr and
 * exit code 2. Logs carry the program's name without "sluice-". */
int program_main(const struct config_program *program, int argc, char **argv, program_fn run);
