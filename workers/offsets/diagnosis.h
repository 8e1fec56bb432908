/* Why a partition stands still, as far as the brokers can tell. */
#pragma once

#include "status.h"

/* Sets each partition's trouble and why. Looks at the commits a second time where that tells. */
bool diagnose(const struct tool *t, rd_kafka_t *rk, struct status *s, struct err *e) MUST_CHECK;
static inline bool trouble_is_stuck(enum trouble t)
{
    return t > TROUBLE_PAUSED;
}
