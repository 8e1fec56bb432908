#include "run/progress.h"

#include "base/clock.h"

#include <unistd.h>

enum { TELL_EVERY_MS = 2000 };

bool progress_due(struct progress *p)
{
    int64_t now_ms = clock_mono_ms();
    if ((p->told_mono_ms != 0 && now_ms - p->told_mono_ms < TELL_EVERY_MS) ||
        isatty(STDERR_FILENO) != 1) {
        return false;
    }
    p->told_mono_ms = now_ms;
    return true;
}
