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

struct reason_info {
    const char *name;
    enum reason_unit unit;
    int redrivable; /* 0: counted only */
    const char *help;
};

/* Never NULL. */
const struct reason_info *reason_info(enum reason r);

static inline const char *reason_name(enum reason r)
{
    return reason_info(r)->name;
}
