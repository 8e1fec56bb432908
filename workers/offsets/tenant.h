/* `topics tenant create NAME`: all that a tenant with Kafka access needs, in one command that may be repeated. */
#pragma once

#include "tool.h"

bool tenant_create(const struct tool *t, struct err *e) MUST_CHECK;
