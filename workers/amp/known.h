/* The series that the store has, by what it took from us lately. Amazon counts a series as active
 * for two hours; what it has forgotten is a new one to it, which its limit may refuse. So a series
 * is known for an hour and a half, by the wall's clock and by its samples' own (of a backlog they
 * differ): less than the store's two, and more than the hour between two rows of a rollup. In
 * bounded memory: what was evicted is not known. */
#pragma once

#include "base/table.h"
#include "scrape.h"

struct known {
    struct table series; /* by id: when it was taken (known.c), as a pointer */
};

void known_init(struct known *k, size_t max_bytes);
void known_fini(struct known *k);
/* The store has taken the piece. */
void known_learn(struct known *k, const struct piece *p, int64_t wall_ms);
/* All series of its shape, for the scrape's times? One look at the shape. */
bool known_shape(const struct scrape *s, int64_t wall_ms);
/* The series of a piece of one point. */
bool known_has(struct known *k, const struct piece *p, int64_t wall_ms);
