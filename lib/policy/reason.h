/* Why something was refused: the ids, names and texts of reason_table.h. */
#pragma once

#include <stddef.h>

enum reason {
#define REASON(id, name, unit, fate, help) id,
#include "policy/reason_table.h"
#undef REASON
    N_REASONS
};

enum reason_unit { REASON_OF_RECORD, REASON_OF_SERIES, REASON_OF_POINT };
enum reason_fate { REASON_IS_COUNTED, REASON_IS_REDRIVABLE, REASON_IS_TOLD };

struct reason_info {
    const char *name;
    enum reason_unit unit;
    enum reason_fate fate;
    int redrivable; /* fate is REASON_IS_REDRIVABLE */
    const char *help;
};

const char *reason_unit_name(enum reason_unit unit); /* "record" … */
const char *reason_fate_name(enum reason_fate fate); /* "counted", "redrivable", "told" */

/* Never NULL. */
const struct reason_info *reason_info(enum reason r);

static inline const char *reason_name(enum reason r)
{
    return reason_info(r)->name;
}
