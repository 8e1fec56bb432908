/* Pauses of a group's partitions, as records of the control topic (lib/policy/control.h): read, written, taken back.
 * Workers obey within two seconds, keep their membership, and show it in /ready and sluice_partitions_paused. */
#pragma once

#include "policy/controls.h"
#include "tool.h"

enum { PAUSE_ID_BYTES = 16 };

/* The control topic to its end: rules of all kinds that are not over. controls_fini, also on failure. ERR_CONFIG: there
 * is no such topic. */
bool pauses_read(const struct tool *t, struct controls *out, uint64_t *draw, struct err *e) MUST_CHECK;
/* A pause's id is what it pauses, hashed: the same pause once more is another time for the same rule. */
void pause_id(const struct control_rule *r, char out[PAUSE_ID_BYTES]);
/* Told on the audit topic first, as `act`. Then, in one request, the rule (NULL: none) and a tombstone for the id
 * (empty: none). rule needs group, topic, partitions and expires_ms; who, reason and times are filled in. */
bool pause_put(const struct tool *t, const char *act, struct control_rule *rule, struct slice dropped_id,
               struct err *e) MUST_CHECK;
/* "metrics.admitted[0,3] of group sluice-amp" */
void pause_show_place(struct buf *out, const struct control_rule *r);
/* --reason, or what stands for it. */
const char *pause_reason(const struct tool *t);
