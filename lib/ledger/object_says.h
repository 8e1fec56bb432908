/* What an object says of itself and of its range, in its metadata and in its footer: the intent as
 * text, its own rows, and how many objects the range has. */
#pragma once

#include "ledger/intent.h"

enum { SAYS_INTENT, SAYS_ROWS, SAYS_OBJECTS, N_SAYS };
extern const char *const object_says_names[N_SAYS]; /* of the metadata */

struct object_says {
    struct intent intent;
    uint64_t n_rows;
    uint32_t n_objects;
};

/* first, last, topic_id: as its name has them, which it must repeat. values: NULL = not there.
 * ERR_BAD_INPUT: it does not tell, and why. */
bool object_says_read(const char *const values[N_SAYS], int64_t first, int64_t last, struct slice topic_id,
                      struct object_says *out, struct err *e) MUST_CHECK;
