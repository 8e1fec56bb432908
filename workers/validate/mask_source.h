/* The key that masks label values in dead letters: from the configuration, or from a file that is
 * read again when it changes, so that keys can be rotated. A file that can't be used changes
 * nothing. Each key has an id that tells which one masked a value, and nothing of the key. */
#pragma once

#include "base/file.h"

enum { MASK_KEY_ID_BYTES = 8, MAX_MASK_KEY_BYTES = 4096 };

struct mask_source {
    const char *path; /* borrowed; "" = none */
    struct file_stamp seen;
    struct buf key;
    char id[MASK_KEY_ID_BYTES + 1]; /* "" = no key: nothing is masked */
};

enum mask_change { MASK_SAME, MASK_NEW, MASK_REFUSED };

/* ERR_CONFIG: both are given, or the file can't be used. */
bool mask_source_open(struct mask_source *m, const char *path, struct slice key,
                      struct err *e) MUST_CHECK;
void mask_source_fini(struct mask_source *m);
/* MASK_REFUSED: e says why; not said again until the file changes. */
enum mask_change mask_source_poll(struct mask_source *m, struct err *e);
