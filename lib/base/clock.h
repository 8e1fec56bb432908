/* Time. Steps never read a clock: the loop passes now_ms to them. */
#pragma once

#include <stdint.h>

/* Wall clock, ms since the epoch. */
int64_t clock_now_ms(void);
/* Never goes back; for durations and deadlines. */
int64_t clock_mono_ms(void);
int64_t clock_mono_ns(void);
/* CPU time of this process, all threads. */
int64_t clock_cpu_ns(void);
