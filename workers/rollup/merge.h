/* Two rows of one stream become one (1 m → 5 m → 1 h): total, last and ended of the later one, the
 * rest added up. Rows are of different windows, a the earlier one. */
#pragma once

#include "increase.h"

struct merger {
    struct increase *increase; /* borrowed: arithmetic, its arena and its counts */
    struct columns columns;
    struct buf packed;  /* a merged series' histograms */
    struct buf shape;   /* the merged shape */
    struct arena arena; /* decoded shapes */
};

void merger_init(struct merger *m, struct increase *x);
void merger_fini(struct merger *m);

/* b_is_late: b's window has a row already: what it brings counts as late, and of its gauges nothing is left; a has late
 * rows alone then. a may be NULL, always. out: columns and shape; the rest is b's, without amends. It lives
 * until the next call. layouts: of b's series, when both have the same shape and the caller knows;
 * NULL: the shapes are decoded. */
bool rows_merge(struct merger *m, const struct rollup *a, const struct rollup *b, bool b_is_late,
                const struct layout *layouts, struct rollup *out, struct err *e) MUST_CHECK;
