/* All that decides how the rows of a range become objects: keys, which rows go where, which
 * columns. It stands in the intent's metadata as text, so that whoever repeats a range writes the
 * same objects whatever is configured by then. Plain data: copy it as you like. A row's table is
 * not in it: that is told by the record's own bytes.
 *
 *   {"hours":1,"label_columns":["region"],"prefix":"metrics","tenant_level":false} */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "ledger/table.h"

enum {
    LAYOUT_MAX_LABEL_COLUMNS = 32,
    LAYOUT_MAX_NAME = 64,
    LAYOUT_MAX_PREFIX = 256,
    LAYOUT_MAX_TEXT = 1200 /* also in an object's metadata, of which there may be 2 KB */
};

struct layout {
    char prefix[LAYOUT_MAX_PREFIX]; /* "" or without a slash at either end */
    int hours;                      /* that share a folder: 1, 3, 6 or 24 */
    bool tenant_level;              /* an object holds one tenant, whose folder is above dt= */
    size_t n_label_columns;
    char label_columns[LAYOUT_MAX_LABEL_COLUMNS][LAYOUT_MAX_NAME]; /* labels with a column each */
};

/* "region,az,…": the labels that the local policy allows. */
extern const char layout_default_label_columns[];

/* What was configured; ERR_CONFIG names what can't be. Empty strings in labels are left out. */
bool layout_init(struct layout *l, const char *prefix, int hours, bool tenant_level,
                 const char *const *labels, size_t n_labels, struct err *e) MUST_CHECK;
/* One line of JSON, keys sorted: equal layouts have equal texts. */
void layout_text(const struct layout *l, struct buf *out);
/* Back. ERR_BAD_INPUT: no such text, or what layout_init would refuse. Texts from before there were
 * rollups name the table, samples. */
bool layout_parse(struct slice text, struct layout *out, struct err *e) MUST_CHECK;
