/* What the process takes of the machine's memory. */
#pragma once

#include <stdint.h>

/* Resident bytes (Linux, /proc/self/statm); 0 when not known. */
int64_t memory_resident_bytes(void);
