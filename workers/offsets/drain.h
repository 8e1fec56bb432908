/* reset --drain: a group's workers leave it, as a rule of the control topic tells them to, with what they have committed
 * (what they had begun beside it is done again), and come back when it is taken back. */
#pragma once

#include "groups.h"
#include "pauses.h"

struct drain {
    const struct tool *tool; /* all borrowed */
    const char *group;
    char id[PAUSE_ID_BYTES]; /* empty: there is no rule */
};

/* Waits until the group has no member. drain_end is due, also on failure. ERR_RETRY: some are still there after
 * drain_timeout_ms, or a signal came. */
bool drain_begin(const struct tool *t, rd_kafka_t *rk, const char *group, struct drain *out, struct err *e) MUST_CHECK;
/* The rule's time begins anew. */
bool drain_renew(struct drain *d, struct err *e) MUST_CHECK;
/* Lets them come back. ok: what was done in between; it is returned when this succeeds, and e tells what failed first. */
bool drain_end(const struct drain *d, bool ok, struct err *e) MUST_CHECK;
