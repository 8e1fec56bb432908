/* Holds back log lines that repeat: at most 10 of one message a minute, the rest are counted.
 * Remembers the 64 messages that came last. */
#pragma once

#include "base/hash.h"

enum { LOG_REPEAT_MESSAGES = 64, LOG_REPEAT_MSG_BYTES = 96 };

struct log_repeat_entry {
    uint64_t hash; /* of the message; 0 = free */
    int64_t start_ms;
    int64_t n_written;
    int64_t n_suppressed;
    char msg[LOG_REPEAT_MSG_BYTES]; /* cut, to name what was held back */
};

struct log_repeat {
    struct log_repeat_entry entries[LOG_REPEAT_MESSAGES];
};

/* Is this line to be written? */
bool log_repeat_allow(struct log_repeat *r, const char *msg, int64_t now_ms);
/* A message whose minute is over and of which lines were held back, with their number; each is
 * told once. False when there is none. Ask before each allow. */
bool log_repeat_due(struct log_repeat *r, int64_t now_ms, struct log_repeat_entry *out);
