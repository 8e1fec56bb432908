#include "late.h"

#include <stdlib.h>

bool late_add(struct late_list *l, int64_t end_ms, uint32_t slot, double value, struct slice packed)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap == 0 ? 16 : l->cap * 2;
        struct late_point *points = reallocarray(l->points, cap, sizeof *points);
        if (points == NULL) {
            return false;
        }
        l->points = points;
        l->cap = cap;
    }
    struct late_point p = {
        .end_ms = end_ms, .slot = slot, .n_packed_bytes = (uint32_t)packed.len, .value = value};
    if (packed.len > 0) {
        p.packed = malloc(packed.len);
        if (p.packed == NULL) {
            return false;
        }
        memcpy(p.packed, packed.ptr, packed.len);
        l->n_packed_bytes += packed.len;
    }
    l->points[l->n++] = p;
    return true;
}

void late_reset(struct late_list *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->points[i].n_packed_bytes > 0) {
            free(l->points[i].packed);
        }
    }
    l->n = 0;
    l->n_packed_bytes = 0;
}

void late_fini(struct late_list *l)
{
    late_reset(l);
    free(l->points);
    *l = (struct late_list){0};
}
