/* A parquet group whose offsets are lost, or whose range retention has eaten:
 *
 *   parquet restore GROUP --topic T    offset and intent from the newest range of objects
 *   parquet skip GROUP --topic T       behind what is gone; told on sluice.gaps first */
#pragma once

#include "tool.h"

bool parquet_restore(const struct tool *t, struct err *e) MUST_CHECK;
bool parquet_skip(const struct tool *t, struct err *e) MUST_CHECK;
