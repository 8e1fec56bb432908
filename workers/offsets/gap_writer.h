/* Tells on the topic of gaps what an operator has had a sink skip. */
#pragma once

#include "stage/gap_record.h"
#include "tool.h"

/* Returns when the brokers have all of them. ERR_CONFIG: there is no such topic. */
bool gaps_write(const struct tool *t, const struct gap_record *gaps, size_t n, struct err *e) MUST_CHECK;
