#include "ledger/table.h"

const char *table_name(enum table_id table)
{
    static const char *const names[N_TABLES] = {
        [TABLE_SAMPLES] = "samples",
        [TABLE_ROLLUP_1M] = "rollup_1m",
        [TABLE_ROLLUP_5M] = "rollup_5m",
        [TABLE_ROLLUP_1H] = "rollup_1h",
    };
    return names[table];
}
