/* How much is under way: bytes of bodies that come in and of records that the brokers have not
 * acknowledged, and requests; in all and of each tenant, so that one can't take all the room. As it
 * fills up, samples are shed by class: verbose first, then standard, never critical. */
#pragma once

#include "directory.h"

struct load {
    size_t max_bytes;
    int max_requests;
    int64_t tenant_percent; /* of both, for one tenant */
    int64_t shed_percent[N_CLASSES]; /* from here on the class is shed; 0 = never */
    _Atomic(size_t) n_bytes;
    _Atomic(int) n_requests;
};

/* A request begins; load_end ends it. False: there are too many, in all or of the tenant. */
bool load_begin(struct load *l, struct tenant *t);
void load_end(struct load *l, struct tenant *t);
/* Is there room for so many bytes more? Critical samples may go over by a little: they take what
 * they need, but new bodies wait. */
bool load_has_room(const struct load *l, const struct tenant *t, size_t n_bytes);
void load_add(struct load *l, struct tenant *t, size_t n_bytes);
void load_remove(struct load *l, struct tenant *t, size_t n_bytes);
bool load_sheds(const struct load *l, enum batch_class class);
