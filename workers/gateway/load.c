#include "load.h"

static size_t part(size_t whole, int64_t percent)
{
    return whole / 100 * (size_t)percent;
}

bool load_begin(struct load *l, struct tenant *t)
{
    int n = atomic_fetch_add(&l->n_requests, 1) + 1;
    int n_of_tenant = atomic_fetch_add(&t->n_requests_in_flight, 1) + 1;
    /* At least one of a tenant, whatever its part comes to. */
    bool ok = n <= l->max_requests &&
              (n_of_tenant == 1 || (int64_t)n_of_tenant * 100 <= l->max_requests * l->tenant_percent);
    if (!ok) {
        load_end(l, t);
    }
    return ok;
}

void load_end(struct load *l, struct tenant *t)
{
    (void)atomic_fetch_sub(&l->n_requests, 1);
    (void)atomic_fetch_sub(&t->n_requests_in_flight, 1);
}

bool load_has_room(const struct load *l, const struct tenant *t, size_t n_bytes)
{
    return atomic_load(&l->n_bytes) + n_bytes <= l->max_bytes &&
           atomic_load(&t->n_bytes_in_flight) + n_bytes <= part(l->max_bytes, l->tenant_percent);
}

void load_add(struct load *l, struct tenant *t, size_t n_bytes)
{
    (void)atomic_fetch_add(&l->n_bytes, n_bytes);
    (void)atomic_fetch_add(&t->n_bytes_in_flight, n_bytes);
}

void load_remove(struct load *l, struct tenant *t, size_t n_bytes)
{
    (void)atomic_fetch_sub(&l->n_bytes, n_bytes);
    (void)atomic_fetch_sub(&t->n_bytes_in_flight, n_bytes);
}

bool load_sheds(const struct load *l, enum batch_class class)
{
    int64_t percent = l->shed_percent[class];
    return percent > 0 && atomic_load(&l->n_bytes) >= part(l->max_bytes, percent);
}
