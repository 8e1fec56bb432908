/* The metadata of a remote write 1.0 message: types by metric family. */
#pragma once

#include "wire/remote_write.h"
#include "wire/protobuf.h"

enum { FAMILIES_TAG = PB_TAG(3, PB_LEN) }; /* WriteRequest.metadata */

struct family {
    struct slice name; /* ptr NULL = an empty place */
    enum remote_write_type type;
};

struct families {
    uint32_t n;
    uint32_t mask; /* places - 1 */
    struct family *places;
};

/* n: how many there are in the message. */
bool families_read(struct families *f, struct slice message, uint32_t n, struct arena *a, struct err *e) MUST_CHECK;
/* Of the family that has this name, or has it without _total, _bucket, _count or _sum. */
enum remote_write_type families_type(const struct families *f, struct slice metric);
