#include "policy/reason.h"

#include <assert.h>

enum {
    UNIT_RECORD = REASON_OF_RECORD,
    UNIT_SERIES = REASON_OF_SERIES,
    UNIT_POINT = REASON_OF_POINT,
    FATE_COUNTED = 0,
    FATE_REDRIVABLE = 1
};

static const struct reason_info infos[N_REASONS] = {
#define REASON(id, name, unit, fate, help)                                                         \
    [id] = {name, (enum reason_unit)UNIT_##unit, FATE_##fate, help},
#include "policy/reason_table.h"
#undef REASON
};

const struct reason_info *reason_info(enum reason r)
{
    assert((unsigned)r < N_REASONS);
    return &infos[r];
}
