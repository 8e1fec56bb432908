#include "policy/reason.h"

#include <assert.h>

enum {
    UNIT_RECORD = REASON_OF_RECORD,
    UNIT_SERIES = REASON_OF_SERIES,
    UNIT_POINT = REASON_OF_POINT,
    FATE_COUNTED = REASON_IS_COUNTED,
    FATE_REDRIVABLE = REASON_IS_REDRIVABLE,
    FATE_TOLD = REASON_IS_TOLD
};

static const struct reason_info infos[N_REASONS] = {
#define REASON(id, name, unit, fate, help)                                                         \
    [id] = {name, (enum reason_unit)UNIT_##unit, (enum reason_fate)FATE_##fate,                     \
            FATE_##fate == FATE_REDRIVABLE, help},
#include "policy/reason_table.h"
#undef REASON
};

const struct reason_info *reason_info(enum reason r)
{
    assert((unsigned)r < N_REASONS);
    return &infos[r];
}

const char *reason_unit_name(enum reason_unit unit)
{
    static const char *const names[] = {"record", "series", "point"};
    return names[unit];
}

const char *reason_fate_name(enum reason_fate fate)
{
    static const char *const names[] = {"counted", "redrivable", "told"};
    return names[fate];
}
