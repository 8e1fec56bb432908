/* `pause`, `resume`: partitions of a stage stand still while its workers stay members of the group. */
#pragma once

#include "tool.h"

bool pause_verb(const struct tool *t, struct err *e) MUST_CHECK;
bool resume_verb(const struct tool *t, struct err *e) MUST_CHECK;
