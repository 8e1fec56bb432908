/* sluice-offsets reset: moves a stopped rollup's group back, so that it goes over its input again; the
 * rows stay what they are. Which log time belongs to the new offset, only the log tells: it is read. */
#pragma once

#include "stage/kafka_client.h"

struct reset_options {
    const char *group;
    const char *topic;
    const char *to; /* "earliest", "-30m" (s, m, h: log time before the committed one), an offset */
    int64_t timeout_ms; /* longest time to read a partition */
    bool force; /* also forward */
    bool dry_run;
};

/* Prints a line for each partition. ERR_CONFIG: refused; nothing was changed. */
bool group_reset(const struct kafka_settings *s, const struct reset_options *o,
                 struct err *e) MUST_CHECK;
