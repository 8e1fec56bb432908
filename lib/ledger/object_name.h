/* What an object's name says: "<folders>/<topic>-<topic id>-<partition>-<first>-<last>.parquet". */
#pragma once

#include "base/slice.h"

enum { OBJECT_NAME_ID_CHARS = 22 }; /* of a topic id, as Kafka writes it: base64url (RFC 4648) */

struct object_name {
    struct slice topic; /* both borrowed from the key */
    struct slice topic_id;
    int32_t partition;
    int64_t first;
    int64_t last; /* not below first */
};

/* False: it is none of sluice's names. */
bool object_name_read(struct slice key, struct object_name *out);
