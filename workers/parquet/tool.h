/* sluice-parquet inspect, verify: what Parquet files hold, and whether they hold what they say. */
#pragma once

#include <stdbool.h>

bool tool_is_asked(int argc, char **argv);
/* The exit code. */
int tool_main(int argc, char **argv);
