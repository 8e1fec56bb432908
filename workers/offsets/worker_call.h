/* Worker binaries that do a part of this tool's work, since they know their sink: sluice-<stage>
 * beside this program, else the one on the PATH. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* words[0] is set here; NULL-ended, as argv. */

/* Becomes it. Comes back on failure alone, with the reason told. */
int worker_become(const char *stage, char **words);
/* Waits for its end. out: what it prints (NULL: goes where ours goes). *code: its exit code; what it
 * has to say against it stands on stderr. ERR_FATAL: it could not be run, or was killed. */
bool worker_run(const char *stage, char **words, struct buf *out, int *code,
                struct err *e) MUST_CHECK;
