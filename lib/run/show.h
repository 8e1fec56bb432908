/* Times and foreign text as a person reads them on a terminal. */
#pragma once

#include "base/buf.h"

/* Appends what a terminal would obey as '?'. */
void show_text(struct buf *out, struct slice text);
/* "2026-11-25 15:42:01 UTC" */
void show_time(struct buf *out, int64_t time_ms);
/* "1h 59m" */
void show_duration(struct buf *out, int64_t ms);
