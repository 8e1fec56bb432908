/* When a cache that is emptied as a whole is worth emptying: one whose ceiling is far below what comes by
 * would otherwise learn all the time what it never meets again. At the ceiling it learns no more; it is
 * emptied once what it still knows has become rare: looked at over windows, so that what hit yesterday is no
 * reason to keep it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { FULLNESS_PATIENCE = 4, FULLNESS_WINDOW = 16 };

struct fullness {
    bool is_full;
    uint64_t n_learned; /* since it was emptied */
    uint64_t n_hits;    /* when the window began */
    uint64_t n_misses;
};

/* Between two messages: is it to be emptied now? */
static inline bool fullness_look(struct fullness *f, bool is_over, uint64_t n_hits, uint64_t n_misses)
{
    uint64_t hits = n_hits - f->n_hits;
    uint64_t misses = n_misses - f->n_misses;
    bool is_due = f->is_full && misses > FULLNESS_PATIENCE * (f->n_learned + hits);
    if (!f->is_full || hits + misses > FULLNESS_WINDOW * f->n_learned) {
        f->is_full = f->is_full || is_over;
        f->n_hits = n_hits;
        f->n_misses = n_misses;
    }
    return is_due;
}
