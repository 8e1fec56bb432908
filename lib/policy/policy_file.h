/* The policy's file while a worker runs: read again when it has changed. A file that is refused
 * changes nothing: the old policy stays in force. */
#pragma once

#include "base/file.h"
#include "policy/policy.h"

struct policy_file {
    const char *path; /* borrowed: the config's */
    struct file_stamp seen; /* what it was when it was last read, well or not */
};

enum policy_change { POLICY_SAME, POLICY_NEW, POLICY_REFUSED };

/* The first read: false (ERR_CONFIG) when there is none or it is refused. */
bool policy_file_open(struct policy_file *f, const char *path, struct policy **out,
                      struct err *e) MUST_CHECK;
/* POLICY_NEW: *out is the caller's. POLICY_REFUSED: e says why; not said again until it changes. */
enum policy_change policy_file_poll(struct policy_file *f, struct policy **out, struct err *e);
