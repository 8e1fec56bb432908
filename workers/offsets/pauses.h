/* Pauses of a group's partitions, as records of the control topic (lib/policy/control.h): read, written, taken back.
 * Workers obey within two seconds, keep their membership, and show it in /ready and sluice_partitions_paused. */
#pragma once

#include "policy/controls.h"
#include "tool.h"

enum { PAUSE_ID_BYTES = 16 };

/* The control topic to its end: rules of all kinds that are not over, into an empty set. ERR_CONFIG: there is no such
 * topic. */
bool pauses_read(const struct tool *t, struct controls *out, struct err *e) MUST_CHECK;
/* Told on the audit topic first, as `act`: the rule, and a tombstone for the id (empty: none) behind it. rule needs
 * group, topic, partitions and expires_ms; its id (in id), and created_ms, who and reason where it has none, are set here.
 * ERR_CONFIG: nothing was written. */
bool pause_put(const struct tool *t, const char *act, struct control_rule *rule, char id[PAUSE_ID_BYTES],
               struct slice dropped_id, struct err *e) MUST_CHECK;
/* A tombstone for the id; told afterwards: what stands still goes on, whether it can be told or not. */
bool pause_drop(const struct tool *t, const char *act, struct slice id, struct err *e) MUST_CHECK;
