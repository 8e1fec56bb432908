/* Writes a few records to a topic of one's own, and waits until the brokers have them. */
#pragma once

#include "base/buf.h"
#include "tool.h"

/* keys may be NULL. ERR_CONFIG: there is no such topic; ERR_RETRY: the brokers did not take all. */
bool records_write(const struct tool *t, const char *topic, const struct slice *keys,
                   const struct slice *values, size_t n, struct err *e) MUST_CHECK;
/* --who, $SUDO_USER, $USER or "unknown". */
const char *act_who(const struct tool *t);
/* What is done to what, to the audit topic, before it is done: who ($SUDO_USER, $USER, or --who),
 * when, why (--reason), and detail, a JSON text. audit_topic empty: nothing is written. */
bool act_note(const struct tool *t, const char *act, const char *id, const char *detail,
              struct err *e) MUST_CHECK;
