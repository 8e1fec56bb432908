/* When a cache that is emptied as a whole is worth emptying: one whose ceiling is far below what comes by
 * would otherwise learn all the time what it never meets again. At the ceiling it learns no more; it is
 * emptied once what it still knows has become rare. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { FULLNESS_PATIENCE = 4 };

struct fullness {
    bool is_full;
    uint64_t n_learned; /* since it was emptied */
    uint64_t n_hits;    /* when it became full */
    uint64_t n_misses;
};

/* Between two messages: is it to be emptied now? */
static inline bool fullness_look(struct fullness *f, bool is_over, uint64_t n_hits, uint64_t n_misses)
{
    if (!f->is_full) {
        f->is_full = is_over;
        f->n_hits = n_hits;
        f->n_misses = n_misses;
        return false;
    }
    return n_misses - f->n_misses > FULLNESS_PATIENCE * (f->n_learned + n_hits - f->n_hits);
}
