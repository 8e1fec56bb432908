/* list: the rules in force (--all: those that are over and still on the topic, too). */
#pragma once

#include "tool.h"

bool list_rules(const struct tool *t, struct err *e) MUST_CHECK;
