#include "table_def.h"

static const struct table_def *const tables[N_TABLES] = {
    [TABLE_SAMPLES] = &samples_table,
    [TABLE_ROLLUP_1M] = &rollup_1m_table,
    [TABLE_ROLLUP_5M] = &rollup_5m_table,
    [TABLE_ROLLUP_1H] = &rollup_1h_table,
};

const struct table_def *table_def_of(enum table_id table)
{
    return tables[table];
}
