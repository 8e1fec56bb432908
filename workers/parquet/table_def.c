#include "table_def.h"

static const struct table_def *const tables[] = {&samples_table};

const struct table_def *table_def_find(struct slice name)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (slice_eq_str(name, tables[i]->name)) {
            return tables[i];
        }
    }
    return NULL;
}
