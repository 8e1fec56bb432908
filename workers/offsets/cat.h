/* `cat TOPIC[/PARTITION[/OFFSET]]`: records as JSON lines. */
#pragma once

#include "tool.h"

bool cat(const struct tool *t, struct err *e) MUST_CHECK;
