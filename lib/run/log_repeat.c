#include "run/log_repeat.h"

#include <stdio.h>

enum { WINDOW_MS = 60000, LINES_PER_WINDOW = 10 };

/* The entry of hash, or the one to use for it: a free one, else the oldest. */
static struct log_repeat_entry *entry_seek(struct log_repeat *r, uint64_t hash)
{
    struct log_repeat_entry *best = &r->entries[0];
    for (int i = 0; i < LOG_REPEAT_MESSAGES; i++) {
        struct log_repeat_entry *entry = &r->entries[i];
        if (entry->hash == hash) {
            return entry;
        }
        if (entry->hash == 0 ? best->hash != 0
                             : best->hash != 0 && entry->start_ms < best->start_ms) {
            best = entry;
        }
    }
    return best;
}

bool log_repeat_allow(struct log_repeat *r, const char *msg, int64_t now_ms)
{
    uint64_t hash = hash64(slice_str(msg)) | 1;
    struct log_repeat_entry *entry = entry_seek(r, hash);
    if (entry->hash != hash || now_ms - entry->start_ms >= WINDOW_MS || now_ms < entry->start_ms) {
        *entry = (struct log_repeat_entry){.hash = hash, .start_ms = now_ms};
        (void)snprintf(entry->msg, sizeof entry->msg, "%s", msg);
    }
    if (entry->n_written >= LINES_PER_WINDOW) {
        entry->n_suppressed++;
        return false;
    }
    entry->n_written++;
    return true;
}

bool log_repeat_due(struct log_repeat *r, int64_t now_ms, struct log_repeat_entry *out)
{
    for (int i = 0; i < LOG_REPEAT_MESSAGES; i++) {
        struct log_repeat_entry *entry = &r->entries[i];
        if (entry->n_suppressed > 0 && now_ms - entry->start_ms >= WINDOW_MS) {
            *out = *entry;
            *entry = (struct log_repeat_entry){.hash = 0};
            return true;
        }
    }
    return false;
}
