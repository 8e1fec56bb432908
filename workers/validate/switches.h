/* Which ingest partition a source came on last: a source that changes it is not keyed by source. A
 * fixed table; two sources that share a slot displace each other and are not counted then. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct switches {
    struct switch_slot *slots; /* owned */
};

bool switches_init(struct switches *s);
void switches_fini(struct switches *s);
/* True when the source was seen on another partition before. where: topic and partition as one
 * number. */
bool switches_moved(const struct switches *s, uint64_t source, uint64_t where);
void switches_note(struct switches *s, uint64_t source, uint64_t where);
