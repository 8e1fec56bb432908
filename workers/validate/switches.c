#include "switches.h"

#include <stdlib.h>

enum { N_SLOTS = 1 << 16 };

struct switch_slot {
    uint64_t source;
    uint64_t where; /* 0 = empty */
};

bool switches_init(struct switches *s)
{
    s->slots = calloc(N_SLOTS, sizeof *s->slots);
    return s->slots != NULL;
}

void switches_fini(struct switches *s)
{
    free(s->slots);
    s->slots = NULL;
}

bool switches_moved(const struct switches *s, uint64_t source, uint64_t where)
{
    const struct switch_slot *slot = &s->slots[source % N_SLOTS];
    return slot->where != 0 && slot->source == source && slot->where != where;
}

void switches_note(struct switches *s, uint64_t source, uint64_t where)
{
    struct switch_slot *slot = &s->slots[source % N_SLOTS];
    if (slot->source != source || slot->where != where) {
        *slot = (struct switch_slot){source, where};
    }
}
